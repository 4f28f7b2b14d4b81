//! The first start: the machines of the description become records. From then on the records are the truth.

use chassis::records;
use common::id::Generation;
use common::record::machine::{MachineGoal, MachineRecord, MachineState};
use common::record::path;
use jiff::Timestamp;
use rollout::platform::PlannedMachine;

use crate::fleet;
use crate::records::{Error, commit, load};
use crate::shared::Shared;

/// Makes the records that are missing, of machines and of nodes whose address is known.
pub(crate) async fn import(shared: &Shared) -> Result<(), Error> {
    let Some(platform) = &shared.config.platform else { return Ok(()) };
    shared.ports.store.sync().await?;
    for machine in &platform.machines {
        let path = path::machine(&machine.name);
        let record = match load::<MachineRecord>(shared, &path).await? {
            Some(stored) => stored.record,
            None => {
                let record = described(machine, shared.ports.clock.now());
                commit(shared, vec![records::put(path, &record, None)]).await?;
                tracing::info!(machine = %record.name, "a machine of the description is kept from now on");
                record
            }
        };
        if let Some(change) = fleet::node_change(shared, &record).await? {
            commit(shared, vec![change]).await?;
        }
    }
    Ok(())
}

fn described(machine: &PlannedMachine, now: Timestamp) -> MachineRecord {
    let PlannedMachine { name, shape, gate, user, credential, id, host_key, .. } = machine.clone();
    MachineRecord {
        schema: 1,
        name,
        shape,
        goal: MachineGoal::Node,
        generation: Generation(1),
        gate,
        user,
        credential,
        id,
        host_key,
        address: machine.reached_at(),
        state: MachineState::Preparing,
        reason: "it is described".to_owned(),
        since: now,
        restarts: Vec::new(),
    }
}
