//! The tables of the bus, within one transaction.

use std::collections::BTreeMap;

use common::port::bus::{Delivery, Offset};
use jiff::Timestamp;
use redb::{
    ReadTransaction, ReadableTable as _, StorageError, Table, TableDefinition, WriteTransaction,
};

use super::record;

/// By name: the number of the topic, the offset of the next record, the size of the records.
const TOPICS: TableDefinition<'_, &str, (u32, i64, u64)> = TableDefinition::new("topics");
/// By topic and offset: when the record was taken, in microseconds since 1970, and the record.
const RECORDS: TableDefinition<'_, (u32, i64), (i64, &[u8])> = TableDefinition::new("records");
/// By topic and group: everything before is done.
const POSITIONS: TableDefinition<'_, (u32, &str), i64> = TableDefinition::new("positions");

/// What a record takes beside its bytes.
const OVERHEAD: u64 = 32;

/// How a topic stands.
#[derive(Debug, Clone)]
pub(super) struct Tail {
    pub(super) name: String,
    /// The offset of the next record.
    pub(super) next: i64,
    pub(super) bytes: u64,
    pub(super) positions: BTreeMap<String, i64>,
}

/// The oldest record of a topic.
#[derive(Debug, Clone, Copy)]
pub(super) struct Oldest {
    pub(super) offset: i64,
    /// In microseconds since 1970.
    pub(super) taken: i64,
    pub(super) size: u64,
}

pub(super) struct Tables<'txn> {
    topics: Table<'txn, &'static str, (u32, i64, u64)>,
    records: Table<'txn, (u32, i64), (i64, &'static [u8])>,
    positions: Table<'txn, (u32, &'static str), i64>,
}

/// What a record counts against the bound of its topic.
pub(super) fn size(record: &[u8]) -> u64 {
    u64::try_from(record.len()).unwrap_or(u64::MAX).saturating_add(OVERHEAD)
}

impl<'txn> Tables<'txn> {
    /// Opens the tables, which are made if they are missing.
    pub(super) fn open(transaction: &'txn WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Tables {
            topics: transaction.open_table(TOPICS)?,
            records: transaction.open_table(RECORDS)?,
            positions: transaction.open_table(POSITIONS)?,
        })
    }

    /// All topics by number.
    pub(super) fn tails(&self) -> Result<BTreeMap<u32, Tail>, redb::Error> {
        let mut tails = BTreeMap::new();
        for entry in self.topics.iter()? {
            let (name, topic) = entry?;
            let (id, next, bytes) = topic.value();
            let tail =
                Tail { name: name.value().to_owned(), next, bytes, positions: BTreeMap::new() };
            tails.insert(id, tail);
        }
        for entry in self.positions.iter()? {
            let (key, position) = entry?;
            let (id, group) = key.value();
            if let Some(tail) = tails.get_mut(&id) {
                tail.positions.insert(group.to_owned(), position.value());
            }
        }
        Ok(tails)
    }

    pub(super) fn put_topic(&mut self, id: u32, tail: &Tail) -> Result<(), redb::Error> {
        self.topics.insert(tail.name.as_str(), (id, tail.next, tail.bytes))?;
        Ok(())
    }

    pub(super) fn put_position(
        &mut self,
        id: u32,
        group: &str,
        position: i64,
    ) -> Result<(), redb::Error> {
        self.positions.insert((id, group), position)?;
        Ok(())
    }

    pub(super) fn append(
        &mut self,
        id: u32,
        offset: i64,
        taken: i64,
        record: &[u8],
    ) -> Result<(), redb::Error> {
        self.records.insert((id, offset), (taken, record))?;
        Ok(())
    }

    /// The first record that is still there.
    pub(super) fn oldest(&self, id: u32) -> Result<Option<Oldest>, redb::Error> {
        let Some(entry) = self.records.range((id, i64::MIN)..=(id, i64::MAX))?.next() else {
            return Ok(None);
        };
        let (key, value) = entry?;
        let ((_, offset), (taken, record)) = (key.value(), value.value());
        Ok(Some(Oldest { offset, taken, size: size(record) }))
    }

    pub(super) fn remove(&mut self, id: u32, offset: i64) -> Result<(), redb::Error> {
        self.records.remove((id, offset))?;
        Ok(())
    }
}

/// The records from an offset on, until there are as many or as large as asked for.
pub(super) fn read(
    transaction: &ReadTransaction,
    id: u32,
    from: i64,
    most: usize,
    most_bytes: usize,
) -> Result<Vec<Delivery>, redb::Error> {
    let records = transaction.open_table(RECORDS)?;
    let mut deliveries = Vec::new();
    let mut bytes = 0;
    for entry in records.range((id, from)..=(id, i64::MAX))? {
        let (key, value) = entry?;
        let ((_, offset), (taken, record)) = (key.value(), value.value());
        bytes += record.len();
        deliveries.push(delivery(offset, taken, record)?);
        if deliveries.len() >= most || bytes >= most_bytes {
            break;
        }
    }
    Ok(deliveries)
}

fn delivery(offset: i64, taken: i64, record: &[u8]) -> Result<Delivery, StorageError> {
    let broken = || StorageError::Corrupted(format!("record {offset} is none"));
    Ok(Delivery {
        offset: Offset(offset),
        timestamp: Timestamp::from_microsecond(taken).map_err(|_| broken())?,
        record: record::decode(record).ok_or_else(broken)?,
    })
}
