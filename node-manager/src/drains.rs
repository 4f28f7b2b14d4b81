//! Drains: nodes that somebody wants to serve nothing of apps, until they return them. Kept in `drains/<node>`, which only
//! the leader writes; the verdict follows (`reconcile/verdicts.rs`), and the deployment manager makes it so.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chassis::leading::Error;
use chassis::records::{self, Stored};
use common::name::NodeName;
use common::port::store::{Op, Version};
use common::record::node::{Alive, Drain, Verdict};
use common::record::path;
use tokio::sync::Mutex as AsyncMutex;

use crate::shared::Shared;

/// How often a change is decided again because somebody wrote in between, or nobody knows.
const ATTEMPTS: usize = 3;

/// What is known of the drains.
#[derive(Debug, Default)]
pub(crate) struct Drains {
    /// As they stand in the store; none where that has to be read first. That there is a record says it all: one that cannot
    /// be read drains its node as well, and goes as the others do.
    known: Mutex<Option<BTreeMap<NodeName, Version>>>,
    /// Held while they are read or written: what was read before a write must not be kept after it, and two drains at once
    /// could leave no node.
    changing: AsyncMutex<()>,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Unknown,
    /// No other node could take apps.
    LastNode,
}

impl Drains {
    fn known(&self) -> MutexGuard<'_, Option<BTreeMap<NodeName, Version>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A change that is under way. Whatever comes of it, also where nobody waits for its end, what stands in the store is read
/// again.
struct Writing<'a>(&'a Drains);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        *self.0.known() = None;
    }
}

/// Whether a node is drained.
pub(crate) async fn stands(shared: &Shared, node: &NodeName) -> Result<bool, records::Error> {
    if let Some(known) = shared.drains.known().as_ref() {
        return Ok(known.contains_key(node));
    }
    let _changing = shared.drains.changing.lock().await;
    Ok(all(shared).await?.contains_key(node))
}

/// What somebody wants of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Drain,
    Return,
}

/// Drains a node, or returns it. May be repeated; decides again where what it was decided from was not so any more.
pub(crate) async fn change(shared: &Shared, node: &NodeName, wish: Wish) -> Result<Answer, Error> {
    let _changing = shared.drains.changing.lock().await;
    let mut attempt = 1;
    loop {
        let change = match decide(shared, node, wish).await? {
            Change::None(answer) => return Ok(answer),
            Change::Write(change) => change,
        };
        let writing = Writing(&shared.drains);
        let written = shared.seat.commit(vec![change]).await;
        drop(writing);
        match written {
            Err(err) if err.is_changed() && attempt < ATTEMPTS => attempt += 1,
            Err(err) => return Err(err),
            Ok(_) => {
                shared.verdict_wake.wake(node.clone());
                return Ok(Answer::Done);
            }
        }
    }
}

/// Another node of the same name, should there be one later, is none that somebody drained.
pub(crate) async fn forget_strangers(shared: &Shared) -> Result<(), Error> {
    let _changing = shared.drains.changing.lock().await;
    for (node, version) in all(shared).await? {
        // A listing may have left it out.
        let is_node = shared.members().find(&node).is_some()
            || shared.ports.store.get(&path::node(&node)).await?.is_some();
        if !is_node {
            let _writing = Writing(&shared.drains);
            let gone = Op::Delete { path: path::drain(&node), version };
            shared.seat.commit(vec![gone]).await?;
        }
    }
    Ok(())
}

enum Change {
    None(Answer),
    Write(Op),
}

async fn decide(shared: &Shared, node: &NodeName, wish: Wish) -> Result<Change, records::Error> {
    let mut known = all(shared).await?;
    let drain = known.remove(node);
    let is_node = shared.members().find(node).is_some();
    Ok(match (wish, drain) {
        (Wish::Return, Some(version)) => {
            Change::Write(Op::Delete { path: path::drain(node), version })
        }
        _ if !is_node => Change::None(Answer::Unknown),
        (Wish::Return, None) | (Wish::Drain, Some(_)) => Change::None(Answer::Done),
        (Wish::Drain, None) if !others_take_apps(shared, &known, node).await? => {
            Change::None(Answer::LastNode)
        }
        (Wish::Drain, None) => {
            let drain = Drain { schema: 1, node: node.clone(), since: shared.ports.clock.now() };
            Change::Write(records::put(path::drain(node), &drain, None))
        }
    })
}

/// Whether apps have anywhere to go. Who is being emptied for a moment longer, because it has just been returned, takes them.
async fn others_take_apps(
    shared: &Shared,
    drained: &BTreeMap<NodeName, Version>,
    node: &NodeName,
) -> Result<bool, records::Error> {
    for other in shared.members().all().iter() {
        if other.name == *node || other.leaves || drained.contains_key(&other.name) {
            continue;
        }
        let store = shared.ports.store.as_ref();
        let alive: Option<Stored<Alive>> = records::load(store, &path::alive(&other.name)).await?;
        let verdict = alive.map(|alive| alive.record.verdict);
        if matches!(verdict, Some(Verdict::Live | Verdict::Draining)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Who asks holds `changing`.
async fn all(shared: &Shared) -> Result<BTreeMap<NodeName, Version>, records::Error> {
    if let Some(known) = shared.drains.known().clone() {
        return Ok(known);
    }
    let store = shared.ports.store.as_ref();
    // A write that nobody waited for may be on its way yet.
    store.sync().await?;
    let mut found = BTreeMap::new();
    for name in store.children(&path::folder("drains")).await? {
        let Ok(name) = name.parse::<NodeName>() else { continue };
        let entry = store.get(&path::drain(&name)).await?;
        found.extend(entry.map(|entry| (name, entry.version)));
    }
    *shared.drains.known() = Some(found.clone());
    Ok(found)
}
