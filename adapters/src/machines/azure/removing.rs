//! Removes a machine and what was made for it, in the reverse order of making.

use common::name::NodeName;
use common::port::machines::{AzureShape, Error, MachineSpec};

use super::failure::Fault;
use super::found::Making;
use super::resource::{Parts, Resource};
use super::{AzureMachines, body};

impl AzureMachines {
    /// Makes sure that there is nothing of a machine.
    pub(super) async fn remove(&self, name: &NodeName) -> Result<(), Error> {
        match self.find(name).await? {
            // Whatever carries its name belongs to somebody else's machine.
            Some(found) if !found.is_ours => Ok(()),
            Some(_) | None => self.remove_all(name).await.map_err(|fault| fault.of(name)),
        }
    }

    /// After a refusal: what was made so far goes, but never a machine that somebody made meanwhile.
    pub(super) async fn remove_rest(
        &self,
        name: &NodeName,
        spec: &MachineSpec,
        shape: &AzureShape,
    ) -> Result<(), Error> {
        match self.find(name).await? {
            Some(found) if !found.is_ours => Ok(()),
            Some(found) if found.making != Making::Failed => Ok(()),
            Some(found) if found.spec != Some(body::hash(spec, shape)) => Ok(()),
            Some(_) | None => self.remove_all(name).await.map_err(|fault| fault.of(name)),
        }
    }

    async fn remove_all(&self, name: &NodeName) -> Result<(), Fault> {
        let Parts { computer, disk, interface, address, rules, .. } =
            Parts::of(name, &self.settings);
        for part in [computer, disk, interface, address, rules] {
            self.remove_part(&part).await?;
        }
        Ok(())
    }

    async fn remove_part(&self, part: &Resource) -> Result<(), Fault> {
        let found = self.arm.get(part).await?;
        if found.is_some_and(|found| body::is_ours(&found, &self.settings)) {
            self.arm.delete(part).await?;
        }
        Ok(())
    }
}
