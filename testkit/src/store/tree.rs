//! The tree of records and the rules of a transaction.

use std::collections::BTreeMap;

use bytes::Bytes;
use common::port::store::{Done, Entry, Error, Lifetime, Op, Path, Precondition, Version};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SessionId(pub(super) u64);

#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    nodes: BTreeMap<Path, Node>,
    /// Numbers of sequential records directly below the root.
    top: u64,
}

#[derive(Debug, Clone)]
struct Node {
    value: Bytes,
    version: i64,
    /// The session that an ephemeral record ends with.
    owner: Option<SessionId>,
    /// The number that the next sequential record below gets.
    next_number: u64,
}

/// What a record was before a transaction touched it.
type Undo = Vec<(Path, Option<Node>)>;

/// A record that a transaction touched, and its value before.
pub(super) type Touched = (Path, Option<Bytes>);

impl Tree {
    pub(super) fn get(&self, path: &Path) -> Option<Entry> {
        let node = self.nodes.get(path)?;
        Some(Entry { value: node.value.clone(), version: Version(node.version) })
    }

    pub(super) fn children(&self, path: &Path) -> Vec<String> {
        self.descendants(path)
            .filter(|(below, _)| below.parent().as_ref() == Some(path))
            .map(|(below, _)| below.name().to_owned())
            .collect()
    }

    pub(super) fn below(&self, path: &Path) -> Vec<(Path, Bytes)> {
        let this = self.nodes.get_key_value(path);
        this.into_iter()
            .chain(self.descendants(path))
            .map(|(path, node)| (path.clone(), node.value.clone()))
            .collect()
    }

    /// What holds for a record now.
    pub(super) fn precondition(&self, path: &Path) -> Precondition {
        self.nodes
            .get(path)
            .map_or(Precondition::Absent, |node| Precondition::Version(Version(node.version)))
    }

    pub(super) fn remove_owned_by(&mut self, session: SessionId) -> Vec<Touched> {
        let owned: Vec<Touched> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.owner == Some(session))
            .map(|(path, node)| (path.clone(), Some(node.value.clone())))
            .collect();
        for (path, _) in &owned {
            self.nodes.remove(path);
        }
        owned
    }

    /// Does all operations or none; returns what they left behind and the records they touched.
    pub(super) fn apply(
        &mut self,
        ops: &[Op],
        session: SessionId,
    ) -> Result<(Vec<Done>, Vec<Touched>), Error> {
        let mut undo = Undo::new();
        let mut done = Vec::with_capacity(ops.len());
        for (index, op) in ops.iter().enumerate() {
            match self.apply_one(op, index, session, &mut undo) {
                Ok(left) => done.push(left),
                Err(err) => {
                    self.undo(undo);
                    return Err(err);
                }
            }
        }
        let touched = undo.into_iter().map(|(path, before)| (path, before.map(|node| node.value)));
        Ok((done, touched.collect()))
    }

    fn apply_one(
        &mut self,
        op: &Op,
        index: usize,
        session: SessionId,
        undo: &mut Undo,
    ) -> Result<Done, Error> {
        let conflict = Error::Conflict { index };
        match op {
            Op::Put { path, value, precondition: Precondition::Absent } => {
                self.create(path.clone(), value, None, undo)?.ok_or(conflict)
            }
            Op::PutEphemeral { path, value } => {
                self.create(path.clone(), value, Some(session), undo)?.ok_or(conflict)
            }
            Op::PutSequential { path, value, lifetime } => {
                let owner = match lifetime {
                    Lifetime::Persistent => None,
                    Lifetime::Ephemeral => Some(session),
                };
                let numbered = self.number(path, undo)?;
                self.create(numbered, value, owner, undo)?.ok_or(conflict)
            }
            Op::Put { path, value, precondition: Precondition::Version(version) } => {
                let node = self.at_version(path, *version).ok_or(conflict)?;
                undo.push((path.clone(), Some(node.clone())));
                node.value = value.clone();
                node.version += 1;
                Ok(Done::Written { path: path.clone(), version: Version(node.version) })
            }
            Op::Delete { path, version } => {
                let bare = self.descendants(path).next().is_none();
                let node = self.at_version(path, *version).filter(|_| bare).ok_or(conflict)?;
                undo.push((path.clone(), Some(node.clone())));
                self.nodes.remove(path);
                Ok(Done::Deleted)
            }
            Op::Check { path, version } => {
                self.at_version(path, *version).ok_or(conflict)?;
                Ok(Done::Checked)
            }
        }
    }

    /// Makes a record and its missing parents; none if it is there already.
    fn create(
        &mut self,
        path: Path,
        value: &Bytes,
        owner: Option<SessionId>,
        undo: &mut Undo,
    ) -> Result<Option<Done>, Error> {
        if self.nodes.contains_key(&path) {
            return Ok(None);
        }
        self.make_parents(&path, undo)?;
        undo.push((path.clone(), None));
        let node = Node { value: value.clone(), version: 0, owner, next_number: 0 };
        self.nodes.insert(path.clone(), node);
        Ok(Some(Done::Written { path, version: Version(0) }))
    }

    fn make_parents(&mut self, path: &Path, undo: &mut Undo) -> Result<(), Error> {
        let Some(parent) = path.parent() else { return Ok(()) };
        match self.nodes.get(&parent) {
            Some(node) if node.owner.is_some() => {
                Err(Error::Refused(format!("{parent} is ephemeral and has no records below it")))
            }
            Some(_) => Ok(()),
            None => self.create(parent, &Bytes::new(), None, undo).map(drop),
        }
    }

    /// The path with the next number of its siblings.
    fn number(&mut self, path: &Path, undo: &mut Undo) -> Result<Path, Error> {
        self.make_parents(path, undo)?;
        let counter = match path.parent() {
            None => &mut self.top,
            Some(parent) => {
                let node = self.nodes.get_mut(&parent).expect("the parents were just made");
                undo.push((parent, Some(node.clone())));
                &mut node.next_number
            }
        };
        let number = *counter;
        *counter += 1;
        let numbered = format!("{path}{number:010}");
        numbered.parse().map_err(|_| Error::Refused(format!("{numbered:?} is no path")))
    }

    fn at_version(&mut self, path: &Path, version: Version) -> Option<&mut Node> {
        self.nodes.get_mut(path).filter(|node| Version(node.version) == version)
    }

    fn undo(&mut self, undo: Undo) {
        for (path, before) in undo.into_iter().rev() {
            match before {
                Some(node) => self.nodes.insert(path, node),
                None => self.nodes.remove(&path),
            };
        }
    }

    fn descendants<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = (&'a Path, &'a Node)> {
        // No name sorts before "!", the first printable character.
        let first = path.join("!").expect("a printable name makes a path");
        self.nodes.range(first..).take_while(move |(below, _)| below.is_within(path))
    }
}
