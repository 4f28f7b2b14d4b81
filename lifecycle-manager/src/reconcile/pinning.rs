//! The host key that a machine is pinned by while it becomes a node, whoever told it, and which machine has it: written
//! down before anything is sent to it. One that shows another key the next time, however often it failed meanwhile, is
//! found out.

use async_trait::async_trait;
use chassis::records::Stored;
use common::port::Cause;
use common::port::host::HostKey;
use common::port::machines::MachineId;
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
        let MachineRecord { id: kept_id, host_key: kept, .. } = &machine.record;
        if is_kept((kept_id.as_ref(), kept.as_ref()), (id.as_ref(), host_key.as_ref()))? {
            return Ok(());
        }
        let record = MachineRecord { id, host_key, ..machine.record.clone() };
        let at = path::machine(&record.name);
        let version = save(self.shared, &at, &record, Some(machine.version)).await?;
        *machine = Stored { record, version };
        Ok(())
    }
}

type Proof<'a> = (Option<&'a MachineId>, Option<&'a HostKey>);

/// Whether what is known now is written down already. Who begins again goes by what was known at first: of the same machine
/// the key stays that was pinned meanwhile.
fn is_kept(kept: Proof<'_>, known: Proof<'_>) -> Result<bool, &'static str> {
    match (kept, known) {
        ((Some(id), Some(_)), (Some(same), None)) if id == same => Ok(true),
        ((Some(id), Some(pinned)), (Some(same), Some(shown))) if id == same && pinned != shown => {
            Err("it shows another host key than a moment ago")
        }
        (kept, known) => Ok(kept == known),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_one_machine_is_pinned_once_and_that_of_another_takes_its_place() {
        let id = |text: &str| MachineId(text.to_owned());
        let key = |letter: &str| -> HostKey {
            format!("ssh-ed25519 SHA256:{}", letter.repeat(43)).parse().unwrap()
        };
        let (one, other, first, second) = (id("1"), id("2"), key("a"), key("b"));
        let kept: Proof<'_> = (Some(&one), Some(&first));
        assert_eq!(is_kept(kept, kept), Ok(true));
        assert_eq!(is_kept(kept, (Some(&one), None)), Ok(true));
        assert!(is_kept(kept, (Some(&one), Some(&second))).is_err());
        for anew in [(Some(&other), None), (Some(&other), Some(&second)), (None, None)] {
            assert_eq!(is_kept(kept, anew), Ok(false));
        }
        assert_eq!(is_kept((None, Some(&first)), kept), Ok(false), "its id is learned");
        assert_eq!(is_kept((Some(&one), None), kept), Ok(false), "its key is pinned");
    }
}
