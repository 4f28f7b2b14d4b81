//! Another host key of a machine: whoever says it has compared it. It ends a quarantine; a machine that shows the key that it
//! should keeps it.

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
    /// It is in no quarantine, and known by another host key.
    Trusted,
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
    let is_quarantined = machine.state == MachineState::Quarantined;
    match &machine.host_key {
        Some(known) if !is_quarantined && *known == pin.host_key => return Ok(Answer::Pinned),
        Some(_) if !is_quarantined => return Ok(Answer::Trusted),
        Some(_) | None => {}
    }
    // Which machine was compared only that key can tell.
    machine.id = None;
    machine.host_key = Some(pin.host_key.clone());
    let mut changes = Vec::new();
    if is_quarantined {
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
