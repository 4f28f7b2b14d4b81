//! Makes a machine and what it needs, in document 000's order, each step only where it is not done.

use common::name::NodeName;
use common::port::machines::{AzureShape, Error, Machine, MachineSpec, Power};
use serde_json::Value;
use tokio::time::sleep;

use super::arm::{Existing, Made};
use super::failure::Fault;
use super::found::Making;
use super::resource::{Parts, Resource};
use super::{AzureMachines, body};

/// How often a machine that was put again does not become one.
const TRIES: usize = 3;

impl AzureMachines {
    /// Makes a machine exist and run.
    pub(super) async fn ensure(
        &self,
        spec: &MachineSpec,
        shape: &AzureShape,
    ) -> Result<Machine, Error> {
        let name = &spec.name;
        let in_use = |what: &str| Error::InUse { name: name.clone(), what: what.to_owned() };
        let mut tries = 0;
        loop {
            let Some(found) = self.find(name).await? else {
                tries += 1;
                if tries > TRIES {
                    return Err(Error::Refused(format!("machine {name} does not stay")));
                }
                self.make(spec, shape).await?;
                continue;
            };
            if !found.is_ours {
                return Err(in_use("a virtual machine that is not the platform's has its name"));
            }
            if found.spec != Some(body::hash(spec, shape)) {
                return Err(in_use("a machine of its name and another specification exists"));
            }
            if found.making == Making::UnderWay || found.machine.power == Power::Changing {
                sleep(self.settings.pace).await;
                continue;
            }
            if found.making == Making::Failed && found.machine.power == Power::Unknown {
                tries += 1;
                if tries > TRIES {
                    return Err(Error::Refused(format!("machine {name} was not made whole")));
                }
                self.put_again(spec, shape).await.map_err(|fault| fault.of(name))?;
                continue;
            }
            let parts = Parts::of(name, &self.settings);
            self.ensure_rules(&parts, name, shape).await.map_err(|fault| fault.of(name))?;
            return self.running(name).await;
        }
    }

    /// Where it is refused for good, nothing that was made for it is left.
    async fn make(&self, spec: &MachineSpec, shape: &AzureShape) -> Result<(), Error> {
        let name = &spec.name;
        let Err(fault) = self.make_parts(spec, shape).await else { return Ok(()) };
        if !fault.is_passing()
            && let Err(err) = self.remove_rest(name, spec, shape).await
        {
            let error = &err as &dyn std::error::Error;
            tracing::warn!(machine.name = %name, error, "what was made for a machine is left");
        }
        Err(fault.of(name))
    }

    async fn make_parts(&self, spec: &MachineSpec, shape: &AzureShape) -> Result<(), Fault> {
        let (name, parts) = (&spec.name, Parts::of(&spec.name, &self.settings));
        self.ensure_shared().await?;
        self.ensure_rules(&parts, name, shape).await?;
        self.ensure_part(&parts.address, &body::address(&self.settings, name)).await?;
        let interface = body::interface(&self.settings, name, shape, &parts);
        self.ensure_part(&parts.interface, &interface).await?;
        let computer = body::computer(&self.settings, spec, shape, &parts);
        // Somebody who was faster made the same, or something else: it is looked at next.
        match self.arm.put(&parts.computer, &computer, Existing::Keep).await? {
            Made::Done | Made::Existed => Ok(()),
        }
    }

    /// One that was left half made: what it should be is said once more.
    async fn put_again(&self, spec: &MachineSpec, shape: &AzureShape) -> Result<(), Fault> {
        let parts = Parts::of(&spec.name, &self.settings);
        let computer = body::computer(&self.settings, spec, shape, &parts);
        self.arm.put(&parts.computer, &computer, Existing::Replace).await.map(drop)
    }

    /// The group, the network and its subnet. Those of others are used as they are.
    async fn ensure_shared(&self) -> Result<(), Fault> {
        let _sharing = self.sharing.lock().await;
        let settings = &self.settings;
        let group = settings.group();
        if self.arm.get(&group).await?.is_none() {
            self.arm.put(&group, &body::group(settings), Existing::Replace).await?;
        }
        let network = settings.virtual_network();
        let found = self.arm.get(&network).await?;
        let Some(found) = found else {
            return self.put(&network, &body::network(settings)).await;
        };
        let subnet = settings.subnet();
        if self.arm.get(&subnet).await?.is_some() {
            return Ok(());
        }
        if body::is_ours(&found, settings) {
            return self.put(&subnet, &body::subnet(settings)).await;
        }
        Err(Fault::Taken(format!("network {network} is not the platform's, and has no {subnet}")))
    }

    async fn ensure_rules(
        &self,
        parts: &Parts,
        name: &NodeName,
        shape: &AzureShape,
    ) -> Result<(), Fault> {
        let wanted = body::rules(&self.settings, name, shape);
        let found = self.ours(&parts.rules).await?;
        if found.is_some_and(|found| body::has_rules(&found, &wanted)) {
            return Ok(());
        }
        self.put(&parts.rules, &wanted).await
    }

    /// What was left from an earlier try is said once more: it may have been meant for another specification.
    async fn ensure_part(&self, part: &Resource, wanted: &Value) -> Result<(), Fault> {
        self.ours(part).await?;
        self.put(part, wanted).await
    }

    /// A resource that is the platform's, if there is one of its name.
    async fn ours(&self, resource: &Resource) -> Result<Option<Value>, Fault> {
        let found = self.arm.get(resource).await?;
        if found.as_ref().is_some_and(|found| !body::is_ours(found, &self.settings)) {
            return Err(Fault::Taken(format!("{resource} is not the platform's")));
        }
        Ok(found)
    }

    async fn put(&self, resource: &Resource, wanted: &Value) -> Result<(), Fault> {
        self.arm.put(resource, wanted, Existing::Replace).await.map(drop)
    }
}
