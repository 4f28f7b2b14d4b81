//! A transaction as `ZooKeeper`'s multi: every operation of ours, and the folders that must be made
//! within it because they stand below a record that it makes.

use std::collections::BTreeSet;

use bytes::Bytes;
use common::port::store::{Done, Error, Lifetime, Op, Path, Precondition, Version};
use zookeeper_client::{
    self as zk, Acls, Client, CreateMode, CreateOptions, MultiWriteError, MultiWriteResult,
};

use super::failure;

/// One operation of a multi, with the index of the operation of ours that it belongs to.
#[derive(Debug)]
pub(super) struct Step<'a> {
    index: usize,
    act: Act<'a>,
}

#[derive(Debug)]
enum Act<'a> {
    Folder(Path),
    Create { path: &'a Path, value: &'a Bytes, mode: CreateMode },
    Change { path: &'a Path, value: &'a Bytes, version: i32 },
    Delete { path: &'a Path, version: i32 },
    Check { path: &'a Path, version: i32 },
}

/// What makes the operations so.
pub(super) fn steps(ops: &[Op]) -> Result<Vec<Step<'_>>, Error> {
    let mut made = BTreeSet::new();
    let mut steps = Vec::with_capacity(ops.len());
    for (index, op) in ops.iter().enumerate() {
        let version = |version: &Version| at(*version).ok_or(Error::Conflict { index });
        let create = |path, value, mode| Act::Create { path, value, mode };
        let act = match op {
            Op::Put { path, value, precondition: Precondition::Absent } => {
                create(path, value, CreateMode::Persistent)
            }
            Op::Put { path, value, precondition: Precondition::Version(over) } => {
                Act::Change { path, value, version: version(over)? }
            }
            Op::PutEphemeral { path, value } => create(path, value, CreateMode::Ephemeral),
            Op::PutSequential { path, value, lifetime: Lifetime::Persistent } => {
                create(path, value, CreateMode::PersistentSequential)
            }
            Op::PutSequential { path, value, lifetime: Lifetime::Ephemeral } => {
                create(path, value, CreateMode::EphemeralSequential)
            }
            Op::Delete { path, version: over } => Act::Delete { path, version: version(over)? },
            Op::Check { path, version: over } => Act::Check { path, version: version(over)? },
        };
        if matches!(act, Act::Create { .. }) {
            for folder in inner_folders(op.path(), &made) {
                made.insert(folder.clone());
                steps.push(Step { index, act: Act::Folder(folder) });
            }
            made.insert(op.path().clone());
        }
        steps.push(Step { index, act });
    }
    Ok(steps)
}

/// The version as `ZooKeeper` counts it; -1 would mean any.
fn at(version: Version) -> Option<i32> {
    i32::try_from(version.0).ok().filter(|version| *version >= 0)
}

/// The missing folders between a new record and one that the same transaction has made, outermost first.
fn inner_folders(path: &Path, made: &BTreeSet<Path>) -> Vec<Path> {
    let mut folders = Vec::new();
    let mut above = path.parent();
    while let Some(folder) = above {
        if made.contains(&folder) {
            folders.reverse();
            return folders;
        }
        above = folder.parent();
        folders.push(folder);
    }
    Vec::new()
}

/// The parents of new records that must be there before the transaction.
pub(super) fn outer_parents(ops: &[Op]) -> BTreeSet<Path> {
    let mut made = BTreeSet::new();
    let mut parents = BTreeSet::new();
    for op in ops.iter().filter(|op| creates(op)) {
        let is_inner = |above: &Path| made.iter().any(|path| above.is_within(path));
        parents.extend(op.path().parent().filter(|parent| !is_inner(parent)));
        made.insert(op.path().clone());
    }
    parents
}

fn creates(op: &Op) -> bool {
    match op {
        Op::Put { precondition, .. } => *precondition == Precondition::Absent,
        Op::PutEphemeral { .. } | Op::PutSequential { .. } => true,
        Op::Delete { .. } | Op::Check { .. } => false,
    }
}

/// Sends the transaction; what is returned waits for the answer.
pub(super) fn send<'a>(
    client: &'a Client,
    steps: &[Step<'_>],
) -> Result<
    impl Future<Output = Result<Vec<MultiWriteResult>, MultiWriteError>> + Send + use<'a>,
    Error,
> {
    let mut writer = client.new_multi_writer();
    let options =
        |mode: CreateMode| -> CreateOptions<'static> { mode.with_acls(Acls::anyone_all()) };
    for Step { act, .. } in steps {
        let added = match act {
            Act::Folder(path) => {
                writer.add_create(path.as_str(), &[], &options(CreateMode::Persistent))
            }
            Act::Create { path, value, mode } => {
                writer.add_create(path.as_str(), value, &options(*mode))
            }
            Act::Change { path, value, version } => {
                writer.add_set_data(path.as_str(), value, Some(*version))
            }
            Act::Delete { path, version } => writer.add_delete(path.as_str(), Some(*version)),
            Act::Check { path, version } => writer.add_check_version(path.as_str(), *version),
        };
        added.map_err(|err| Error::Refused(err.to_string()))?;
    }
    Ok(writer.commit())
}

/// What our operations left behind.
pub(super) fn done(steps: &[Step<'_>], left: Vec<MultiWriteResult>) -> Vec<Done> {
    let pairs = steps.iter().zip(left);
    pairs
        .filter_map(|(step, left)| match &step.act {
            Act::Folder(_) => None,
            Act::Create { path, .. } => Some(made(path, left)),
            Act::Change { path, version, .. } => {
                // The condition held, and each change counts one.
                let version = Version(i64::from(*version) + 1);
                Some(Done::Written { path: (*path).clone(), version })
            }
            Act::Delete { .. } => Some(Done::Deleted),
            Act::Check { .. } => Some(Done::Checked),
        })
        .collect()
}

/// A new record begins at version 0; `ZooKeeper` tells what it called a numbered one.
fn made(path: &Path, left: MultiWriteResult) -> Done {
    let named =
        if let MultiWriteResult::Create { path, .. } = left { path.parse().ok() } else { None };
    Done::Written { path: named.unwrap_or_else(|| path.clone()), version: Version(0) }
}

/// Whether nothing was done because a new record has no parent.
pub(super) fn lacks_parents(steps: &[Step<'_>], err: &MultiWriteError) -> bool {
    match err {
        MultiWriteError::OperationFailed { index, source: zk::Error::NoNode } => {
            matches!(steps.get(*index), Some(Step { act: Act::Create { .. }, .. }))
        }
        MultiWriteError::OperationFailed { .. } | MultiWriteError::RequestFailed { .. } => false,
    }
}

/// Why the transaction was not done, as the port says it.
pub(super) fn refusal(steps: &[Step<'_>], err: MultiWriteError) -> Error {
    match err {
        MultiWriteError::RequestFailed { source } => failure::of_write(source),
        MultiWriteError::OperationFailed { index, source } => {
            let is_conflict = matches!(
                source,
                zk::Error::BadVersion
                    | zk::Error::NoNode
                    | zk::Error::NodeExists
                    | zk::Error::NotEmpty
            );
            let index = steps.get(index).map_or(index, |step| step.index);
            if is_conflict { Error::Conflict { index } } else { failure::of_write(source) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        text.parse().unwrap()
    }

    fn make(at: &str) -> Op {
        Op::Put { path: path(at), value: Bytes::new(), precondition: Precondition::Absent }
    }

    #[test]
    fn folders_below_a_new_record_are_made_within_the_transaction() {
        let ops = [make("/a/b"), make("/a/b/c/d/e"), make("/a/b/c/f"), make("/x/y")];
        let steps = steps(&ops).unwrap();
        let folders: Vec<(usize, &str)> = steps
            .iter()
            .filter_map(|step| match &step.act {
                Act::Folder(path) => Some((step.index, path.as_str())),
                Act::Create { .. }
                | Act::Change { .. }
                | Act::Delete { .. }
                | Act::Check { .. } => None,
            })
            .collect();
        assert_eq!(folders, [(1, "/a/b/c"), (1, "/a/b/c/d")]);
        assert_eq!(outer_parents(&ops), BTreeSet::from([path("/a"), path("/x")]));
    }

    #[test]
    fn a_failed_step_is_told_as_the_operation_it_belongs_to() {
        let ops = [make("/a"), make("/a/b/c"), make("/d")];
        let steps = steps(&ops).unwrap();
        let failed =
            |index, source| refusal(&steps, MultiWriteError::OperationFailed { index, source });
        assert!(matches!(failed(3, zk::Error::NodeExists), Error::Conflict { index: 2 }));
        assert!(matches!(failed(1, zk::Error::NodeExists), Error::Conflict { index: 1 }));
    }
}
