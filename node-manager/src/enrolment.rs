//! The records of the nodes: written as the configuration says, or read as the lifecycle manager wrote them;
//! and the end of those that are no longer nodes.

use std::time::Duration;

use chassis::leading::Error;
use chassis::records::{self, Stored};
use common::name::NodeName;
use common::port::store::{Op, Version};
use common::record::node::{Alive, Node, Verdict};
use common::record::path;
use futures::StreamExt as _;
use tokio::time::{sleep, timeout};

use crate::config::Nodes;
use crate::drains;
use crate::shared::Shared;

/// A hint of the store may be lost: so it is looked again anyway.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(1);

/// Makes `nodes/<node>` say what the configuration says, or knows what it says.
pub(crate) async fn enrol(shared: &Shared) -> Result<(), Error> {
    let store = shared.ports.store.as_ref();
    store.sync().await?;
    let Nodes::Configured(configured) = &shared.config.nodes else { return read(shared).await };
    for node in configured {
        let path = path::node(&node.name);
        let stored: Option<Stored<Node>> = records::load(store, &path).await?;
        if stored.as_ref().is_some_and(|stored| stored.record == *node) {
            continue;
        }
        let version = stored.map(|stored| stored.version);
        shared.seat.commit(vec![records::put(path, node, version)]).await?;
        tracing::info!(node.id = %node.name, "enrolled");
    }
    for name in store.children(&path::folder("nodes")).await? {
        let Ok(name) = name.parse::<NodeName>() else { continue };
        if !configured.iter().any(|node| node.name == name) {
            let Some(entry) = store.get(&path::node(&name)).await? else { continue };
            dismiss(shared, &name, Some(entry.version), "it is no longer configured").await?;
        }
    }
    drains::forget_strangers(shared).await
}

/// Keeps knowing what the records say, whoever leads; never ends.
pub(crate) async fn follow(shared: &Shared) {
    if matches!(shared.config.nodes, Nodes::Configured(_)) {
        return std::future::pending().await;
    }
    loop {
        if let Err(err) = follow_once(shared).await {
            tracing::warn!(
                error = &err as &dyn std::error::Error,
                "the records of the nodes cannot be read; trying again"
            );
        }
        sleep(RETRY).await;
    }
}

async fn follow_once(shared: &Shared) -> Result<(), Error> {
    let mut hints = shared.ports.store.watch(&path::folder("nodes")).await?;
    loop {
        read(shared).await?;
        if let Ok(None) = timeout(LOOK_EVERY, hints.next()).await {
            return Ok(());
        }
    }
}

/// Takes the nodes from their records; who leads dismisses those that are nodes no longer.
async fn read(shared: &Shared) -> Result<(), Error> {
    let store = shared.ports.store.as_ref();
    let mut nodes = Vec::new();
    for name in store.children(&path::folder("nodes")).await? {
        let Ok(name) = name.parse::<NodeName>() else { continue };
        let stored: Option<Stored<Node>> = records::load(store, &path::node(&name)).await?;
        nodes.extend(stored.map(|stored| stored.record));
    }
    nodes.sort_by(|one, other| one.name.cmp(&other.name));
    if shared.members().replace(nodes) {
        let names = shared.members().names();
        tracing::info!(nodes = ?names, "the nodes have changed");
        for name in names {
            shared.verdict_wake.wake(name);
        }
    }
    if shared.seat.epoch().is_none() {
        return Ok(());
    }
    for name in store.children(&path::folder("alive")).await? {
        let Ok(name) = name.parse::<NodeName>() else { continue };
        let is_known_dead =
            shared.verdict(&name).is_some_and(|alive| alive.record.verdict == Verdict::Dead);
        if shared.members().find(&name).is_none() && !is_known_dead {
            dismiss(shared, &name, None, "it is no longer a node").await?;
        }
    }
    drains::forget_strangers(shared).await
}

/// What is no longer a node is dead to everybody; `record`: its version, where its record is still there.
async fn dismiss(
    shared: &Shared,
    name: &NodeName,
    record: Option<Version>,
    reason: &str,
) -> Result<(), Error> {
    let store = shared.ports.store.as_ref();
    let path = path::alive(name);
    let before: Option<Stored<Alive>> = records::load(store, &path).await?;
    let is_dead = before.as_ref().is_some_and(|alive| alive.record.verdict == Verdict::Dead);
    if record.is_none() && is_dead {
        return Ok(());
    }
    let verdict = Alive {
        schema: 1,
        node: name.clone(),
        verdict: Verdict::Dead,
        reason: reason.to_owned(),
        since: shared.ports.clock.now(),
    };
    let mut ops = vec![records::put(path, &verdict, before.map(|alive| alive.version))];
    ops.extend(record.map(|version| Op::Delete { path: path::node(name), version }));
    shared.seat.commit(ops).await?;
    // Its next verdict, should it become a node again, is written over this one.
    shared.verdicts().remove(name);
    tracing::warn!(node.id = %name, reason, "dismissed");
    Ok(())
}
