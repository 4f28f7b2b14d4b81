//! The records of the nodes that the configuration names, and the end of those it no longer does.

use chassis::records::{self, Stored};
use common::name::NodeName;
use common::port::store::Op;
use common::record::node::{Alive, Node, Verdict};
use common::record::path;

use crate::records::{Error, commit};
use crate::shared::Shared;

/// Makes `nodes/<node>` say what the configuration says.
pub(crate) async fn enrol(shared: &Shared) -> Result<(), Error> {
    let store = shared.ports.store.as_ref();
    store.sync().await?;
    for node in &shared.config.nodes {
        let path = path::node(&node.name);
        let stored: Option<Stored<Node>> = records::load(store, &path).await?;
        if stored.as_ref().is_some_and(|stored| stored.record == *node) {
            continue;
        }
        let version = stored.map(|stored| stored.version);
        commit(shared, vec![records::put(path, node, version)]).await?;
        tracing::info!(node.id = %node.name, "enrolled");
    }
    for name in store.children(&path::folder("nodes")).await? {
        let Ok(name) = name.parse::<NodeName>() else { continue };
        if !shared.config.nodes.iter().any(|node| node.name == name) {
            dismiss(shared, &name).await?;
        }
    }
    Ok(())
}

/// A node that the configuration no longer names is dead to everybody.
async fn dismiss(shared: &Shared, name: &NodeName) -> Result<(), Error> {
    let store = shared.ports.store.as_ref();
    let Some(entry) = store.get(&path::node(name)).await? else { return Ok(()) };
    let alive: Option<Stored<Alive>> = records::load(store, &path::alive(name)).await?;
    let verdict = Alive {
        schema: 1,
        node: name.clone(),
        verdict: Verdict::Dead,
        reason: "it is no longer configured".to_owned(),
        since: shared.ports.clock.now(),
    };
    let version = alive.map(|alive| alive.version);
    let ops = vec![
        Op::Delete { path: path::node(name), version: entry.version },
        records::put(path::alive(name), &verdict, version),
    ];
    commit(shared, ops).await?;
    tracing::warn!(node.id = %name, "dismissed: it is no longer configured");
    Ok(())
}
