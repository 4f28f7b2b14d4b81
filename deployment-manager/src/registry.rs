//! Document 001's registry of apps: `/apps/<instance>/instance<n>` holds a replica's `ip:port` as
//! plain text, exactly as long as the edge serves it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use common::id::SlotNumber;
use common::port::Store;
use common::port::store::{Error, Op, Path, Precondition};
use common::record::deployment::{Deployment, Slot, SlotState, State};
use common::record::path;

/// The operations by which the registry follows a change of a deployment. They belong into the
/// transaction that makes the change.
pub(crate) async fn follow(
    store: &dyn Store,
    before: &Deployment,
    after: &Deployment,
) -> Result<Vec<Op>, Error> {
    let (old, new) = (entries(before), entries(after));
    let mut ops = Vec::new();
    for (slot, value) in &new {
        if old.get(slot) == Some(value) {
            continue;
        }
        let path = path::registry_replica(&after.instance, *slot);
        let precondition = match store.get(&path).await? {
            Some(entry) if entry.value == *value => continue,
            Some(entry) => Precondition::Version(entry.version),
            None => Precondition::Absent,
        };
        ops.push(Op::Put { path, value: value.clone(), precondition });
    }
    for slot in old.keys().filter(|slot| !new.contains_key(*slot)) {
        ops.extend(delete(store, path::registry_replica(&after.instance, *slot)).await?);
    }
    if after.state == State::Stopped {
        ops.extend(delete(store, path::registry_app(&after.instance)).await?);
    }
    Ok(ops)
}

async fn delete(store: &dyn Store, path: Path) -> Result<Option<Op>, Error> {
    let entry = store.get(&path).await?;
    Ok(entry.map(|entry| Op::Delete { path, version: entry.version }))
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
