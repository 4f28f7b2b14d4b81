//! Document 001's registry of apps: `/apps/<instance>/instance<n>` holds a replica's `ip:port` as
//! plain text, exactly as long as the edge serves it.
//!
//! Everybody may write there: what the registry should say follows from the deployment alone, and is
//! compared with what it says.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use common::id::SlotNumber;
use common::port::Store;
use common::port::store::{Entry, Error, Op, Precondition};
use common::record::deployment::{Deployment, Slot, SlotState, State};
use common::record::path;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

/// How many entries are read at once.
const AT_ONCE: usize = 8;
/// How many entries go with one change: it must fit into a transaction. The rest goes with the next.
const MOST_REMOVED: usize = 30;
/// The same of all entries, with those of a canary.
const MOST_CHANGED: usize = 56;

/// Whether a change of a deployment is one of what the registry should say.
pub(crate) fn is_concerned(before: &Deployment, after: &Deployment) -> bool {
    entries(before) != entries(after) || after.state == State::Stopped
}

/// Whether the registry says something else than it should.
pub(crate) async fn has_drifted(store: &dyn Store, deployment: &Deployment) -> Result<bool, Error> {
    let found = Found::read(store, deployment).await?;
    let said = found.entries.into_iter().map(|(slot, entry)| (slot, entry.value));
    Ok(!said.eq(entries(deployment)))
}

/// The operations that make the registry say what it should. They belong into the transaction that
/// changes the deployment.
pub(crate) async fn follow(store: &dyn Store, deployment: &Deployment) -> Result<Vec<Op>, Error> {
    let wanted = entries(deployment);
    let found = Found::read(store, deployment).await?;
    let mut ops = Vec::new();
    for (slot, value) in &wanted {
        let precondition = match found.entries.get(slot) {
            Some(entry) if entry.value == *value => continue,
            Some(entry) => Precondition::Version(entry.version),
            None => Precondition::Absent,
        };
        let path = path::registry_replica(&deployment.instance, *slot);
        ops.push(Op::Put { path, value: value.clone(), precondition });
    }
    let surplus = found.entries.iter().filter(|(slot, _)| !wanted.contains_key(*slot));
    let removed: Vec<Op> = surplus
        .take(MOST_REMOVED.min(MOST_CHANGED.saturating_sub(ops.len())))
        .map(|(slot, entry)| Op::Delete {
            path: path::registry_replica(&deployment.instance, *slot),
            version: entry.version,
        })
        .collect();
    let is_emptied = wanted.is_empty() && removed.len() == found.names;
    ops.extend(removed);
    if deployment.state == State::Stopped && is_emptied {
        let path = path::registry_app(&deployment.instance);
        let folder = store.get(&path).await?;
        ops.extend(folder.map(|folder| Op::Delete { path, version: folder.version }));
    }
    Ok(ops)
}

/// What stands in the registry.
struct Found {
    entries: BTreeMap<SlotNumber, Entry>,
    /// How many names there are, those that are no replica's among them.
    names: usize,
}

impl Found {
    async fn read(store: &dyn Store, deployment: &Deployment) -> Result<Self, Error> {
        let instance = &deployment.instance;
        let names = store.children(&path::registry_app(instance)).await?;
        let slots: Vec<SlotNumber> = names.iter().filter_map(|name| slot(name)).collect();
        let entries = stream::iter(slots)
            .map(|slot| async move {
                let entry = store.get(&path::registry_replica(instance, slot)).await?;
                Ok::<_, Error>(entry.map(|entry| (slot, entry)))
            })
            .buffered(AT_ONCE)
            .try_filter_map(|found| async move { Ok(found) })
            .try_collect()
            .await?;
        Ok(Found { entries, names: names.len() })
    }
}

/// `instance<n>`, as ours are written.
fn slot(name: &str) -> Option<SlotNumber> {
    let slot = SlotNumber(name.strip_prefix("instance")?.parse().ok()?);
    (format!("instance{slot}") == name).then_some(slot)
}

fn entries(deployment: &Deployment) -> BTreeMap<SlotNumber, Bytes> {
    let routed = deployment.slots.iter().filter(|slot| slot.state == SlotState::Routed);
    let entry = |slot: &Slot| {
        let place = slot.place.as_ref()?;
        let address = SocketAddr::new(place.ip, place.host_port);
        Some((slot.number, Bytes::from(address.to_string())))
    };
    routed.filter_map(entry).collect()
}
