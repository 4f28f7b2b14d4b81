//! The rules of a transaction: what it would change, or why it is not done.

use bytes::Bytes;
use common::port::store::{Done, Error, Lifetime, Op, Path, Precondition, Version};

use super::session::SessionId;
use super::tables::{Node, Staged, Tables};

/// Why a transaction is not done.
#[derive(Debug)]
pub(super) enum Stop {
    /// It breaks a rule; whoever asked for it is told.
    Refused(Error),
    /// The database failed.
    Broken(redb::Error),
}

impl From<redb::Error> for Stop {
    fn from(err: redb::Error) -> Self {
        Stop::Broken(err)
    }
}

/// The records as the transaction has left them so far.
struct Stage<'a, 'txn> {
    tables: &'a Tables<'txn>,
    session: SessionId,
    staged: Staged,
}

/// Does the operations in order, beside the tables.
pub(super) fn stage(
    tables: &Tables<'_>,
    ops: &[Op],
    session: SessionId,
) -> Result<(Vec<Done>, Staged), Stop> {
    let mut stage = Stage { tables, session, staged: Staged::new() };
    let mut done = Vec::with_capacity(ops.len());
    for (index, op) in ops.iter().enumerate() {
        let left = stage.apply(op)?;
        done.push(left.ok_or(Stop::Refused(Error::Conflict { index }))?);
    }
    Ok((done, stage.staged))
}

impl Stage<'_, '_> {
    /// None if the operation meets another version.
    fn apply(&mut self, op: &Op) -> Result<Option<Done>, Stop> {
        match op {
            Op::Put { path, value, precondition: Precondition::Absent } => {
                self.create(path.clone(), value, Lifetime::Persistent)
            }
            Op::Put { path, value, precondition: Precondition::Version(version) } => {
                let Some(mut node) = self.at(path, *version)? else { return Ok(None) };
                node.value = value.clone();
                node.version += 1;
                let version = Version(node.version);
                self.staged.insert(path.as_str().to_owned(), Some(node));
                Ok(Some(Done::Written { path: path.clone(), version }))
            }
            Op::PutEphemeral { path, value } => {
                self.create(path.clone(), value, Lifetime::Ephemeral)
            }
            Op::PutSequential { path, value, lifetime } => {
                let numbered = self.number(path)?;
                self.create(numbered, value, *lifetime)
            }
            Op::Delete { path, version } => {
                if self.at(path, *version)?.is_none() || self.has_children(path)? {
                    return Ok(None);
                }
                self.staged.insert(path.as_str().to_owned(), None);
                Ok(Some(Done::Deleted))
            }
            Op::Check { path, version } => Ok(self.at(path, *version)?.map(|_| Done::Checked)),
        }
    }

    fn node(&self, path: &str) -> Result<Option<Node>, redb::Error> {
        match self.staged.get(path) {
            Some(staged) => Ok(staged.clone()),
            None => self.tables.node(path),
        }
    }

    fn at(&self, path: &Path, version: Version) -> Result<Option<Node>, redb::Error> {
        let node = self.node(path.as_str())?;
        Ok(node.filter(|node| Version(node.version) == version))
    }

    /// Makes a record and its missing parents; none if it is there already.
    fn create(
        &mut self,
        path: Path,
        value: &Bytes,
        lifetime: Lifetime,
    ) -> Result<Option<Done>, Stop> {
        if self.node(path.as_str())?.is_some() {
            return Ok(None);
        }
        self.make_parents(&path)?;
        let owner = match lifetime {
            Lifetime::Persistent => None,
            Lifetime::Ephemeral => Some(self.session),
        };
        let node = Node { value: value.clone(), owner, ..Node::default() };
        self.staged.insert(path.as_str().to_owned(), Some(node));
        Ok(Some(Done::Written { path, version: Version(0) }))
    }

    fn make_parents(&mut self, path: &Path) -> Result<(), Stop> {
        let mut above = path.parent();
        while let Some(parent) = above {
            match self.node(parent.as_str())? {
                Some(node) if node.owner.is_some() => {
                    let refusal = format!("{parent} is ephemeral and has no records below it");
                    return Err(Stop::Refused(Error::Refused(refusal)));
                }
                Some(_) => break,
                None => {
                    self.staged.insert(parent.as_str().to_owned(), Some(Node::default()));
                    above = parent.parent();
                }
            }
        }
        Ok(())
    }

    /// The path with the next number of its siblings, which the parent keeps.
    fn number(&mut self, path: &Path) -> Result<Path, Stop> {
        self.make_parents(path)?;
        let parent = path.parent().map(String::from).unwrap_or_default();
        let mut node = self.node(&parent)?.unwrap_or_default();
        let numbered = format!("{path}{:010}", node.next_number);
        node.next_number += 1;
        self.staged.insert(parent, Some(node));
        let refused = |_| Stop::Refused(Error::Refused(format!("{numbered:?} is no path")));
        numbered.parse().map_err(refused)
    }

    fn has_children(&self, path: &Path) -> Result<bool, redb::Error> {
        let below = format!("{path}/");
        // What lies deeper was not made without what lies between.
        let mut staged = self.staged.range(below.clone()..);
        if staged.by_ref().take_while(|(at, _)| at.starts_with(&below)).any(|(_, n)| n.is_some()) {
            return Ok(true);
        }
        let is_left = |name: &str| !self.staged.contains_key(&format!("{below}{name}"));
        self.tables.any_child(path.as_str(), is_left)
    }
}
