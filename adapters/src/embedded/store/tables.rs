//! The tables of the store, within one transaction.

use std::collections::BTreeMap;

use bytes::Bytes;
use common::port::store::{Entry, Version};
use redb::{ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::session::SessionId;

/// By the path of the parent and the name: version, session (0: none), number of the next sequential
/// record below, value. The root is the record without either.
const RECORDS: TableDefinition<'_, (&str, &str), Stored<'_>> = TableDefinition::new("records");
/// Ephemeral records by session.
const EPHEMERALS: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("ephemerals");

type Stored<'a> = (i64, u64, u64, &'a [u8]);
/// No printable name is before it.
const FIRST_NAME: &str = "!";

/// A record, or the root of all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Node {
    pub(super) value: Bytes,
    pub(super) version: i64,
    /// The session that an ephemeral record ends with.
    pub(super) owner: Option<SessionId>,
    /// The number that the next sequential record below gets.
    pub(super) next_number: u64,
}

/// Records by path that a transaction has changed or, where there is none, removed.
pub(super) type Staged = BTreeMap<String, Option<Node>>;

pub(super) struct Tables<'txn> {
    records: Table<'txn, (&'static str, &'static str), Stored<'static>>,
    ephemerals: Table<'txn, (u64, &'static str), ()>,
}

impl<'txn> Tables<'txn> {
    /// Opens the tables, which are made if they are missing.
    pub(super) fn open(transaction: &'txn WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Tables {
            records: transaction.open_table(RECORDS)?,
            ephemerals: transaction.open_table(EPHEMERALS)?,
        })
    }

    pub(super) fn node(&self, path: &str) -> Result<Option<Node>, redb::Error> {
        node(&self.records, path)
    }

    /// Whether a child is such a one.
    pub(super) fn any_child(
        &self,
        path: &str,
        mut is_such: impl FnMut(&str) -> bool,
    ) -> Result<bool, redb::Error> {
        for entry in self.records.range((path, FIRST_NAME)..)? {
            let (key, _) = entry?;
            let (parent, name) = key.value();
            if parent != path {
                break;
            }
            if is_such(name) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn write(&mut self, staged: &Staged) -> Result<(), redb::Error> {
        for (path, node) in staged {
            let owner = node.as_ref().and_then(|node| node.owner);
            let former = match node {
                Some(node) => self.put(path, node)?,
                None => self.remove(path)?,
            };
            if former == owner {
                continue;
            }
            if let Some(SessionId(former)) = former {
                self.ephemerals.remove((former, path.as_str()))?;
            }
            if let Some(SessionId(owner)) = owner {
                self.ephemerals.insert((owner, path.as_str()), ())?;
            }
        }
        Ok(())
    }

    /// The session that the record belonged to until now.
    fn put(&mut self, path: &str, node: &Node) -> Result<Option<SessionId>, redb::Error> {
        let owner = node.owner.map_or(0, |owner| owner.0);
        let stored = (node.version, owner, node.next_number, node.value.as_ref());
        let former = self.records.insert(key(path), stored)?;
        Ok(former.and_then(|former| owner_of(former.value())))
    }

    fn remove(&mut self, path: &str) -> Result<Option<SessionId>, redb::Error> {
        let former = self.records.remove(key(path))?;
        Ok(former.and_then(|former| owner_of(former.value())))
    }

    /// Removes the ephemeral records of a session, or of all; returns their paths.
    pub(super) fn end(&mut self, session: Option<SessionId>) -> Result<Vec<String>, redb::Error> {
        let (from, to) = session.map_or((0, u64::MAX), |session| (session.0, session.0 + 1));
        let mut ended = Vec::new();
        for entry in self.ephemerals.extract_from_if((from, "")..(to, ""), |_, ()| true)? {
            ended.push(entry?.0.value().1.to_owned());
        }
        for path in &ended {
            self.remove(path)?;
        }
        Ok(ended)
    }
}

/// The record as it is durable now.
pub(super) fn entry(
    transaction: &ReadTransaction,
    path: &str,
) -> Result<Option<Entry>, redb::Error> {
    let found = node(&transaction.open_table(RECORDS)?, path)?;
    Ok(found.map(|node| Entry { value: node.value, version: Version(node.version) }))
}

/// The names directly below, sorted.
pub(super) fn children(
    transaction: &ReadTransaction,
    path: &str,
) -> Result<Vec<String>, redb::Error> {
    let records = transaction.open_table(RECORDS)?;
    let mut names = Vec::new();
    for entry in records.range((path, FIRST_NAME)..)? {
        let (key, _) = entry?;
        let (parent, name) = key.value();
        if parent != path {
            break;
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

fn node(
    records: &impl ReadableTable<(&'static str, &'static str), Stored<'static>>,
    path: &str,
) -> Result<Option<Node>, redb::Error> {
    let Some(stored) = records.get(key(path))? else { return Ok(None) };
    let (version, _, next_number, value) = stored.value();
    let (value, owner) = (Bytes::copy_from_slice(value), owner_of(stored.value()));
    Ok(Some(Node { value, version, owner, next_number }))
}

fn owner_of((_, owner, _, _): Stored<'_>) -> Option<SessionId> {
    (owner != 0).then_some(SessionId(owner))
}

/// The parent's path and the name: the children of a record lie side by side.
fn key(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}
