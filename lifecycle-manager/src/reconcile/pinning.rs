//! The host key that a machine is pinned by while it becomes a node, whoever told it, and which machine has it: written
//! down before anything is sent to it. One that shows another key the next time, however often it failed meanwhile, is
//! found out.

use async_trait::async_trait;
use chassis::records::Stored;
use common::port::Cause;
use common::record::machine::MachineRecord;
use common::record::path;
use rollout::machine::{Journal, Step};
use rollout::platform::PlannedMachine;
use tokio::sync::Mutex;

use crate::records::save;
use crate::shared::Shared;

/// A machine's record during its enrolment.
#[derive(Debug)]
pub(crate) struct Pinning<'a> {
    shared: &'a Shared,
    machine: Mutex<Stored<MachineRecord>>,
}

impl<'a> Pinning<'a> {
    pub(crate) fn new(shared: &'a Shared, machine: Stored<MachineRecord>) -> Self {
        Pinning { shared, machine: Mutex::new(machine) }
    }

    /// The record as it was written last.
    pub(crate) fn ended(self) -> Stored<MachineRecord> {
        self.machine.into_inner()
    }

    async fn keep(&self, known: &PlannedMachine) -> Result<(), Cause> {
        let mut machine = self.machine.lock().await;
        let PlannedMachine { id, host_key, .. } = known.clone();
        if (&machine.record.id, &machine.record.host_key) == (&id, &host_key) {
            return Ok(());
        }
        let record = MachineRecord { id, host_key, ..machine.record.clone() };
        let at = path::machine(&record.name);
        let version = save(self.shared, &at, &record, Some(machine.version)).await?;
        *machine = Stored { record, version };
        Ok(())
    }
}

#[async_trait]
impl Journal for Pinning<'_> {
    async fn begins(&self, _: &Step) -> Result<(), Cause> {
        Ok(())
    }

    async fn found(&self, machine: &PlannedMachine) -> Result<(), Cause> {
        self.keep(machine).await
    }

    async fn ends(&self, _: &Step, machine: &PlannedMachine) -> Result<(), Cause> {
        self.keep(machine).await
    }
}
