//! A machine is taken away: only one that was added, that holds neither an instance of a service nor the registry, and one
//! at a time. What was looked at is written over or checked in the same transaction, so that two at once cannot both go.
//! What only the platform wants to be gone is a person's as soon as one wants it too.

use chassis::records::{self, Stored};
use common::name::NodeName;
use common::port::store::Op;
use common::record::machine::{MachineGoal, MachineRecord, MachineState};
use common::record::path;
use common::service::ServiceName;

use super::committed;
use crate::fleet;
use crate::records::{
    Departures, Error, Rollout, Taker, commit, departures_path, load, registry_path, rollout_path,
};
use crate::shared::Shared;

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It goes as soon as it is empty.
    Going,
    Unknown,
    /// Why it stays.
    InUse(String),
}

pub(crate) async fn accept(
    shared: &Shared,
    name: &NodeName,
    taker: Taker,
) -> Result<Answer, Error> {
    committed(shared, || once(shared, name, taker)).await
}

async fn once(shared: &Shared, name: &NodeName, taker: Taker) -> Result<Answer, Error> {
    // Read first: whoever else takes one away meanwhile has written it.
    let departures = load::<Departures>(shared, &departures_path()).await?;
    let stored = load::<MachineRecord>(shared, &path::machine(name)).await?;
    let Some(Stored { record: mut machine, version }) = stored else {
        return Ok(Answer::Unknown);
    };
    let was_wanted_by = departures.as_ref().map(|stored| stored.record.taker(name));
    let (last, read_at) = (name.clone(), departures.map(|stored| stored.version));
    let now = shared.ports.clock.now();
    let departures = Departures { schema: 1, last, by: taker, at: now };
    let mut changes = vec![records::put(departures_path(), &departures, read_at)];
    if machine.goal == MachineGoal::Absent {
        if (was_wanted_by, taker) == (Some(Taker::Platform), Taker::Person) {
            machine.since = now;
            changes.push(records::put(path::machine(name), &machine, Some(version)));
            commit(shared, changes).await?;
        }
        return Ok(Answer::Going);
    }
    let described = shared.config.platform.as_ref().is_some_and(|one| one.machine(name).is_some());
    if described {
        let why = format!("{name} is one of the described machines of the platform");
        return Ok(Answer::InUse(why));
    }
    for service in ServiceName::ALL {
        let rollout = load::<Rollout>(shared, &rollout_path(service)).await?;
        let Some(Stored { record: rollout, version }) = rollout else { continue };
        if rollout.instance(name).is_some() {
            return Ok(Answer::InUse(format!("an instance of {service} is on {name}")));
        }
        changes.push(Op::Check { path: rollout_path(service), version });
    }
    if let Some(Stored { record: place, version }) = fleet::registry(shared).await? {
        if place.node == *name {
            return Ok(Answer::InUse(format!("the registry is on {name}")));
        }
        changes.push(Op::Check { path: registry_path(), version });
    }
    let leaves = |other: &MachineRecord| other.name != *name && other.goal == MachineGoal::Absent;
    if let Some(other) = fleet::machines(shared).await?.into_iter().find(leaves) {
        let why = format!("{} is being taken away: one at a time", other.name);
        return Ok(Answer::InUse(why));
    }
    machine.goal = MachineGoal::Absent;
    machine.generation = machine.generation.next();
    machine.state = MachineState::Leaving;
    "it is to be taken away".clone_into(&mut machine.reason);
    machine.since = now;
    changes.push(records::put(path::machine(name), &machine, Some(version)));
    // From now on its apps are made elsewhere.
    changes.extend(fleet::node_change(shared, &machine).await?);
    commit(shared, changes).await?;
    shared.machines.wake(name.clone());
    Ok(Answer::Going)
}
