//! A careless store, and a careless bus.

use bytes::Bytes;
use common::port::bus::{self, Offset, Record};
use common::port::store::{self, Done, Op, Path, Precondition, Version};
use common::port::{Bus as _, Store as _};
use common::record::{self, deployment};
use common::service::ServiceName;
use common::topic::TopicName;
use serde_json::Value;
use testkit::MemoryStore;

use super::courses;
use super::memory::commit_from_memory;
use super::now_and_then;
use crate::gate::Gate;
use crate::plant::Plant;

pub(in crate::port) async fn commit(
    gate: &Gate,
    store: &MemoryStore,
    ops: Vec<Op>,
) -> Result<Vec<Done>, store::Error> {
    let has = |plant| gate.world.has(plant);
    if has(Plant::StoreTearsTransactions) && ops.len() > 2 {
        return torn(store, ops).await;
    }
    if has(Plant::StoreForgetsWrites) && ops.len() > 1 && now_and_then(gate, 30) {
        return Ok(pretended(&ops));
    }
    if has(Plant::EpochStaysTheSame) && ops.iter().any(takes_the_lead) {
        return Ok(standing(&ops));
    }
    if has(Plant::RequestsKeptInMemory) {
        return commit_from_memory(gate, store, ops).await;
    }
    let ops = forgotten(gate, ops);
    let ops = edited(gate, ops);
    store.commit(unconditional(gate, store, ops).await?).await
}

/// Without the operations that a careless store does not do.
fn forgotten(gate: &Gate, mut ops: Vec<Op>) -> Vec<Op> {
    let has = |plant| gate.world.has(plant);
    if has(Plant::StoreForgetsOperations) {
        ops.retain(|op| !op.path().as_str().contains("/operations/"));
    }
    if has(Plant::StoreForgetsRegistry) {
        ops.retain(|op| !op.path().as_str().starts_with("/apps/"));
    }
    if has(Plant::ScalesStay) {
        let drops = |op: &Op| matches!(op, Op::Delete { path, .. } if path.as_str().starts_with("/avishkar/scale/"));
        ops.retain(|op| !drops(op));
    }
    if has(Plant::StoreForgetsLeases) {
        ops.retain(|op| !op.path().as_str().contains("/ports/node"));
    }
    ops
}

/// With records of deployments as a careless service writes them.
fn edited(gate: &Gate, ops: Vec<Op>) -> Vec<Op> {
    let owes = gate.world.has(Plant::StoreForgetsOwed) && now_and_then(gate, 8);
    let hurries = gate.world.has(Plant::RunsTooEarly) && now_and_then(gate, 8);
    let goes_back = gate.world.has(Plant::GenerationGoesBack);
    let of_courses = [Plant::CanariesStay, Plant::MovesStopFirst, Plant::BackOutsSayNothing];
    if of_courses.into_iter().any(|plant| gate.world.has(plant)) {
        return courses::edited(gate, ops);
    }
    if gate.world.has(Plant::FrontPortsChange) && now_and_then(gate, 8) {
        let other = |port: &Value| port.as_u64().map(|port| (port + 50).into());
        let change = |op| changed(op, "/avishkar/routes/", "front_port", other);
        return ops.into_iter().map(change).collect();
    }
    if gate.world.has(Plant::ScaleKeepsCount) {
        return ops.into_iter().map(|op| with_old_count(gate, op)).collect();
    }
    if gate.world.has(Plant::DeployTakesPrevious) {
        let is_deploy = ops.iter().any(|op| op.path().as_str().ends_with(".app-manager.deploy"));
        let change = |op| if is_deploy { with_previous_release(op) } else { op };
        return ops.into_iter().map(change).collect();
    }
    if gate.world.has(Plant::WindowsNeverEnd) {
        return ops.into_iter().map(with_closed_window).collect();
    }
    if !owes && !hurries && !goes_back {
        return ops;
    }
    let edit = |record: &mut Value| {
        if owes {
            record["owed"] = Value::Array(Vec::new());
        }
        if hurries && (record["state"] == "placing" || record["state"] == "starting") {
            record["state"] = serde_json::json!(deployment::State::Running);
        }
        if goes_back && record["state"] == "stopping" {
            record["generation"] = 1.into();
        }
    };
    let change = |mut op| {
        if let Op::Put { path, value, .. } = &mut op
            && path.as_str().starts_with("/avishkar/deployments/")
            && let Ok(mut record) = record::decode::<Value>(value)
        {
            edit(&mut record);
            *value = record::encode(&record);
        }
        op
    };
    ops.into_iter().map(change).collect()
}

/// A record in a folder as it is, with a field changed.
fn changed(mut op: Op, folder: &str, field: &str, new: impl FnOnce(&Value) -> Option<Value>) -> Op {
    if let Op::Put { path, value, .. } = &mut op
        && path.as_str().starts_with(folder)
        && let Ok(mut record) = record::decode::<Value>(value)
        && let Some(standing) = record.get_mut(field)
        && let Some(new) = new(standing)
    {
        *standing = new;
        *value = record::encode(&record);
    }
    op
}

fn with_old_count(gate: &Gate, op: Op) -> Op {
    let standing = gate.world.truth.store.records(op.path()).into_iter().next();
    let standing = standing.and_then(|(_, value)| record::decode::<Value>(&value).ok());
    changed(op, "/avishkar/scale/", "replicas", |_| standing?.get("replicas").cloned())
}

fn with_previous_release(op: Op) -> Op {
    let previous = |number: &Value| {
        let number = number.as_u64()?.saturating_sub(1).max(1);
        Some(number.into())
    };
    changed(op, "/avishkar/instances/", "release", previous)
}

fn with_closed_window(op: Op) -> Op {
    let closed = |wish: &Value| {
        let mut wish = wish.clone();
        *wish.pointer_mut("/progress/open")? = Value::Null;
        Some(wish)
    };
    changed(op, "/avishkar/schedules/", "wish", closed)
}

/// With preconditions that hold, where a careless store does not look at them.
async fn unconditional(
    gate: &Gate,
    store: &MemoryStore,
    ops: Vec<Op>,
) -> Result<Vec<Op>, store::Error> {
    let has = |plant| gate.world.has(plant);
    if has(Plant::StoreIgnoresVersions) {
        let versions = |path: &Path, op: &Op| {
            matches!(op, Op::Put { precondition: Precondition::Version(_), .. })
                && !path.as_str().contains("/epochs/")
        };
        return rewritten(store, ops, versions).await;
    }
    if has(Plant::StoreMakesTwice) {
        let makes =
            |_: &Path, op: &Op| matches!(op, Op::Put { precondition: Precondition::Absent, .. });
        return rewritten(store, ops, makes).await;
    }
    if has(Plant::StoreIgnoresChecks) {
        let checks = |_: &Path, op: &Op| matches!(op, Op::Check { .. });
        return rewritten(store, ops, checks).await;
    }
    Ok(ops)
}

/// Preconditions that would hold now, for the operations that are meant.
pub(super) async fn rewritten(
    store: &MemoryStore,
    ops: Vec<Op>,
    meant: impl Fn(&Path, &Op) -> bool,
) -> Result<Vec<Op>, store::Error> {
    let mut new = Vec::with_capacity(ops.len());
    for op in ops {
        let found = store.get(op.path()).await?.map(|entry| entry.version);
        let is_meant = meant(op.path(), &op);
        new.push(match (op, found) {
            (Op::Put { path, value, .. }, Some(version)) if is_meant => {
                Op::Put { path, value, precondition: Precondition::Version(version) }
            }
            (Op::Put { path, value, .. }, None) if is_meant => {
                Op::Put { path, value, precondition: Precondition::Absent }
            }
            (Op::Check { path, .. }, Some(version)) if is_meant => Op::Check { path, version },
            (op, _) => op,
        });
    }
    Ok(new)
}

async fn torn(store: &MemoryStore, mut ops: Vec<Op>) -> Result<Vec<Done>, store::Error> {
    let second = ops.split_off(ops.len() / 2);
    let mut done = store.commit(ops).await?;
    done.extend(store.commit(second).await?);
    Ok(done)
}

/// The answer of a store that did nothing.
fn pretended(ops: &[Op]) -> Vec<Done> {
    let done = |op: &Op| match op {
        Op::Put { path, precondition, .. } => {
            let version = match precondition {
                Precondition::Absent => Version(0),
                Precondition::Version(Version(version)) => Version(version + 1),
            };
            Done::Written { path: path.clone(), version }
        }
        Op::PutEphemeral { path, .. } | Op::PutSequential { path, .. } => {
            Done::Written { path: path.clone(), version: Version(0) }
        }
        Op::Delete { .. } => Done::Deleted,
        Op::Check { .. } => Done::Checked,
    };
    ops.iter().map(done).collect()
}

fn takes_the_lead(op: &Op) -> bool {
    let is_epoch = op.path().as_str().contains("/epochs/");
    is_epoch && matches!(op, Op::Put { precondition: Precondition::Version(_), .. })
}

/// The same, with the versions that stand.
fn standing(ops: &[Op]) -> Vec<Done> {
    let mut done = pretended(ops);
    for (done, op) in done.iter_mut().zip(ops) {
        if let (Done::Written { version, .. }, Op::Put { precondition, .. }) = (done, op)
            && let Precondition::Version(stands) = precondition
        {
            *version = *stands;
        }
    }
    done
}

pub(in crate::port) async fn publish(
    gate: &Gate,
    topic: &TopicName,
    record: Record,
) -> Result<Offset, bus::Error> {
    let bus = &gate.world.truth.bus;
    if gate.world.has(Plant::BusLosesRecords) && now_and_then(gate, 40) {
        return bus.end(topic).await;
    }
    if !gate.world.has(Plant::BusSwapsRecords) {
        return bus.publish(topic, record).await;
    }
    let is_command = gate.life.service == ServiceName::AppManager;
    let earlier = gate.world.mischief().kept_back.take();
    if is_command && earlier.is_none() && now_and_then(gate, 3) {
        gate.world.mischief().kept_back = Some((topic.clone(), record));
        return bus.end(topic).await;
    }
    let offset = bus.publish(topic, record).await?;
    if let Some((topic, record)) = earlier {
        bus.publish(&topic, record).await?;
    }
    Ok(offset)
}

/// What goes when a session ends that should not.
pub(crate) async fn lose_leases(store: &MemoryStore) {
    let folder = record::path::folder("ports");
    for (path, value) in store.records(&folder) {
        let is_lease = path.as_str().matches('/').count() == 4 && value != Bytes::new();
        if !is_lease || path.as_str().contains("/edge/") {
            continue;
        }
        if let Ok(Some(entry)) = store.get(&path).await {
            drop(store.commit(vec![Op::Delete { path, version: entry.version }]).await);
        }
    }
}
