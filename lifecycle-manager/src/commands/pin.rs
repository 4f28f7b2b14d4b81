//! Another host key of a machine: whoever says it has compared it. It ends a quarantine.

use chassis::records::{self, Stored};
use common::name::NodeName;
use common::port::store::Op;
use common::port::upkeep::Pin;
use common::record::machine::{MachineRecord, MachineState};
use common::record::path;

use super::committed;
use crate::records::{Error, Repair, commit, load, repair_path};
use crate::shared::Shared;

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Pinned,
    Unknown,
}

pub(crate) async fn accept(shared: &Shared, name: &NodeName, pin: &Pin) -> Result<Answer, Error> {
    committed(shared, || once(shared, name, pin)).await
}

async fn once(shared: &Shared, name: &NodeName, pin: &Pin) -> Result<Answer, Error> {
    let stored = load::<MachineRecord>(shared, &path::machine(name)).await?;
    let Some(Stored { record: mut machine, version }) = stored else {
        return Ok(Answer::Unknown);
    };
    machine.host_key = Some(pin.host_key.clone());
    let mut changes = Vec::new();
    if machine.state == MachineState::Quarantined {
        changes.extend(looked_after_anew(shared, name).await?);
        machine.state = MachineState::Preparing;
        "its new host key was pinned".clone_into(&mut machine.reason);
        machine.since = shared.ports.clock.now();
    }
    changes.push(records::put(path::machine(name), &machine, Some(version)));
    commit(shared, changes).await?;
    shared.machines.wake(name.clone());
    Ok(Answer::Pinned)
}

/// What was tried while nobody knew whose key it was says nothing of the machine.
async fn looked_after_anew(shared: &Shared, name: &NodeName) -> Result<Option<Op>, Error> {
    let stored = records::readable(load::<Repair>(shared, &repair_path(name)).await)?;
    Ok(stored.map(|Stored { record, version }| {
        let anew = Repair { attempts: 0, last: None, failure: None, ..record };
        records::put(repair_path(name), &anew, Some(version))
    }))
}
