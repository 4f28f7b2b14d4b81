//! What is true now, as far as the store tells.

use std::collections::BTreeSet;

use chassis::records::{self, Stored};
use common::name::NodeName;
use common::port::Store;
use common::record::epoch::{EpochRecord, SettledRecord};
use common::record::machine::{MachineGoal, MachineRecord, MachineState};
use common::record::node::Node;
use common::record::path;
use common::record::platform::{PlacedService, PlatformRecord, RunningService};
use common::service::ServiceName;
use jiff::Timestamp;

use crate::config::Config;
use crate::domain::order::PLACEABLE;
use crate::domain::placement::{Machine, Standing};
use crate::domain::plan::{Entry, Observed, Seen};
use crate::entries;
use crate::records::Error;
use crate::shared::Shared;

/// Everything that a step is decided from. The reads are no older than the call.
pub(crate) async fn observe(shared: &Shared, record: PlatformRecord) -> Result<Observed, Error> {
    let mut services = Vec::new();
    for service in in_order(&shared.config) {
        services.push(see(shared, service).await?);
    }
    let store = shared.ports.store.as_ref();
    let now = shared.ports.clock.now();
    let machines = machines(store, &shared.config, now).await?;
    let is_lifecycle_ready = is_lifecycle_ready(store).await?;
    Ok(Observed { record, services, machines, is_lifecycle_ready, now })
}

/// Whether a lifecycle manager leads that has said so since it leads. One that stands for the lead, or has only taken it,
/// answers no request for a restart yet.
async fn is_lifecycle_ready(store: &dyn Store) -> Result<bool, Error> {
    let service = ServiceName::LifecycleManager;
    if store.children(&path::leaders(service)).await?.is_empty() {
        return Ok(false);
    }
    let epoch: Option<Stored<EpochRecord>> = records::load(store, &path::epoch(service)).await?;
    let said: Option<Stored<SettledRecord>> = records::load(store, &path::settled(service)).await?;
    let settled = said.map(|said| said.record.epoch);
    Ok(settled.is_some() && settled == epoch.map(|stored| stored.record.epoch))
}

/// Those that are configured in their order; others that were placed earlier come first, so that they end last.
fn in_order(config: &Config) -> impl Iterator<Item = ServiceName> {
    let others = PLACEABLE.into_iter().filter(|service| !config.services.contains(service));
    others.chain(config.services.iter().copied())
}

pub(crate) async fn see(shared: &Shared, service: ServiceName) -> Result<Seen, Error> {
    let store = shared.ports.store.as_ref();
    let placed: Option<Stored<PlacedService>> =
        records::load(store, &path::placed_service(service)).await?;
    let running: Option<Stored<RunningService>> =
        records::load(store, &path::running_service(service)).await?;
    let mut seen = Seen {
        service,
        is_configured: shared.config.services.contains(&service),
        has_front_door: shared.config.front_doors.contains(&service),
        placed: placed.map(|stored| stored.record),
        running: running.map(|stored| stored.record),
        entry: Entry::Absent,
        refusal: shared.refusal(service),
    };
    seen.entry = entries::read(shared, service).await?.judge(&seen);
    Ok(seen)
}

/// The machines that services may run on: those of the configuration that are nodes, in its order; without any
/// there, every node.
pub(crate) async fn machines(
    store: &dyn Store,
    config: &Config,
    now: Timestamp,
) -> Result<Vec<Machine>, records::Error> {
    let mut nodes = Vec::new();
    for name in store.children(&path::folder("nodes")).await? {
        let Ok(name) = name.parse::<NodeName>() else { continue };
        let node = records::readable(records::load::<Node>(store, &path::node(&name)).await)?;
        nodes.extend(node.map(|stored| stored.record));
    }
    let mut found = Vec::new();
    let mut silent = BTreeSet::new();
    for node in chosen(config, nodes) {
        let at = path::machine(&node.name);
        let record = records::readable(records::load::<MachineRecord>(store, &at).await)?;
        let record = record.map(|stored| stored.record);
        let Some(standing) = standing(record.as_ref()) else { continue };
        if record.as_ref().is_some_and(|record| is_lost(config, record, now)) {
            silent.insert(node.name.clone());
        }
        found.push(Machine { name: node.name, ip: node.ip, standing });
    }
    // Where many look lost at once, it is more likely the one who looks.
    if silent.len() * 3 <= found.len() {
        for machine in &mut found {
            if silent.contains(&machine.name) {
                machine.standing = Standing::Lost;
            }
        }
    }
    Ok(found)
}

fn chosen(config: &Config, nodes: Vec<Node>) -> Vec<Node> {
    if config.machines.is_empty() {
        return nodes;
    }
    let named = |machine: &crate::config::Machine| {
        nodes.iter().find(|node| machine.is(&node.name, node.ip)).cloned()
    };
    config.machines.iter().filter_map(named).collect()
}

/// None: nothing may run on it.
fn standing(machine: Option<&MachineRecord>) -> Option<Standing> {
    let Some(machine) = machine else { return Some(Standing::Ready) };
    match (machine.goal, machine.state) {
        (MachineGoal::Absent, _)
        | (MachineGoal::Node, MachineState::Quarantined | MachineState::Leaving) => None,
        (MachineGoal::Node, MachineState::Ready) => Some(Standing::Ready),
        (
            MachineGoal::Node,
            MachineState::Preparing | MachineState::Silent | MachineState::Failed,
        ) => Some(Standing::Away),
    }
}

fn is_lost(config: &Config, machine: &MachineRecord, now: Timestamp) -> bool {
    let is_silent = matches!(machine.state, MachineState::Silent | MachineState::Failed);
    let lost_after = config.move_after.filter(|_| is_silent);
    lost_after.is_some_and(|after| now.duration_since(machine.since) >= after)
}
