//! Services that do not know, or not any more, what they did before.

use common::port::Store as _;
use common::port::store::{self, Done, Op, Path, Precondition};
use testkit::MemoryStore;

use super::records::rewritten;
use crate::gate::Gate;

/// Does a transaction again whose outcome nobody knows, whatever stands there by now.
pub(in crate::port) async fn again(gate: &Gate, ops: Vec<Op>) -> Result<Vec<Done>, store::Error> {
    let span = gate.world.dice().millis(50, 1500);
    gate.world.stage.sleep(span).await;
    gate.alive().await;
    let store = &gate.life.session;
    let writes = |_: &Path, op: &Op| matches!(op, Op::Put { .. } | Op::Check { .. });
    store.commit(rewritten(store, ops, writes).await?).await
}

/// Whether a record is a request that was accepted before this life of a service began.
pub(in crate::port) fn is_before_memory(gate: &Gate, path: &Path) -> bool {
    let is_operation = path.as_str().starts_with("/avishkar/operations/");
    is_operation && !gate.world.mischief().remembered.contains(&(gate.life.number, path.clone()))
}

/// Accepts requests as one who keeps them in memory only.
pub(super) async fn commit_from_memory(
    gate: &Gate,
    store: &MemoryStore,
    ops: Vec<Op>,
) -> Result<Vec<Done>, store::Error> {
    let paths: Vec<Path> = ops.iter().map(|op| op.path().clone()).collect();
    let forgotten: Vec<&Path> = paths.iter().filter(|path| is_before_memory(gate, path)).collect();
    let makes = |path: &Path, op: &Op| {
        matches!(op, Op::Put { precondition: Precondition::Absent, .. })
            && forgotten.contains(&path)
    };
    let done = store.commit(rewritten(store, ops, makes).await?).await?;
    let mut mischief = gate.world.mischief();
    mischief.remembered.extend(paths.into_iter().map(|path| (gate.life.number, path)));
    Ok(done)
}
