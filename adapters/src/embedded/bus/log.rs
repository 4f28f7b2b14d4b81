//! What is written to the log, and what is thrown away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::port::Clock;
use common::port::bus::{Error as BusError, Offset};
use redb::WriteTransaction;

use super::retention::Retention;
use super::tables::{self, Oldest, Tables, Tail};
use super::topics::Topics;
use crate::embedded::failure::Error;
use crate::embedded::queue::{Failure, Reply};
use crate::embedded::writer::{self, Opening, Work, Wrote};

/// How many old records one transaction throws away for their age, at most.
const SWEEP: usize = 4096;
/// How often old records are looked for, in microseconds.
const SWEEP_EVERY: i64 = 60_000_000;

/// What the bus asks of its log.
#[derive(Debug)]
pub(super) enum Write {
    /// Makes those topics that are missing.
    Make {
        names: Vec<String>,
        reply: Reply<()>,
    },
    /// Puts an encoded record at the end of a topic.
    Append {
        topic: u32,
        record: Vec<u8>,
        reply: Reply<Result<Offset, BusError>>,
    },
    /// Tells a group's position; one that is new begins at the beginning.
    Join {
        topic: u32,
        group: String,
        reply: Reply<Offset>,
    },
    Commit {
        topic: u32,
        group: String,
        position: i64,
        reply: Reply<()>,
    },
}

impl writer::Write for Write {
    fn settle(self, outcome: Result<(), &Failure>) {
        match self {
            Write::Make { reply, .. } | Write::Commit { reply, .. } => reply.settle(outcome),
            Write::Append { reply, .. } => reply.settle(outcome),
            Write::Join { reply, .. } => reply.settle(outcome),
        }
    }
}

pub(super) struct Log {
    clock: Arc<dyn Clock>,
    retention: Retention,
    topics: Arc<Topics>,
    /// By the topic's number, as the last transaction left them.
    tails: BTreeMap<u32, Tail>,
    /// The topics that the transaction has changed.
    changed: BTreeSet<u32>,
    /// When old records were looked for, in microseconds since 1970; none if some were left.
    swept: Option<i64>,
}

impl Log {
    pub(super) fn new(clock: Arc<dyn Clock>, retention: Retention, topics: Arc<Topics>) -> Self {
        let (tails, changed) = (BTreeMap::new(), BTreeSet::new());
        Log { clock, retention, topics, tails, changed, swept: None }
    }

    fn now(&self) -> i64 {
        self.clock.now().as_microsecond()
    }

    fn apply_one(
        &mut self,
        tables: &mut Tables<'_>,
        write: &mut Write,
    ) -> Result<Wrote, redb::Error> {
        match write {
            Write::Make { names, reply } => {
                reply.prepare(());
                Ok(self.make(names))
            }
            Write::Append { topic, record, reply } => {
                let now = self.now();
                let Some(tail) = self.tails.get_mut(topic) else { return Ok(Wrote::Nothing) };
                self.changed.insert(*topic);
                reply.prepare(append(tables, *topic, tail, self.retention, (now, record))?);
                Ok(Wrote::Something)
            }
            Write::Join { topic, group, reply } => {
                let Some(tail) = self.tails.get_mut(topic) else { return Ok(Wrote::Nothing) };
                // A position beyond the end is of a log that is no more: it means the beginning.
                let known = tail.positions.get(group).filter(|position| **position <= tail.next);
                if let Some(position) = known {
                    reply.prepare(Offset(*position));
                    return Ok(Wrote::Nothing);
                }
                let beginning = tables.oldest(*topic)?.map_or(tail.next, |oldest| oldest.offset);
                reply.prepare(Offset(beginning));
                set_position(tables, *topic, tail, group, beginning)
            }
            Write::Commit { topic, group, position, reply } => {
                let Some(tail) = self.tails.get_mut(topic) else { return Ok(Wrote::Nothing) };
                reply.prepare(());
                set_position(tables, *topic, tail, group, *position)
            }
        }
    }

    fn make(&mut self, names: &[String]) -> Wrote {
        let mut wrote = Wrote::Nothing;
        for name in names {
            if self.tails.values().any(|tail| tail.name == *name) {
                continue;
            }
            let id = self.tails.keys().next_back().map_or(0, |last| last + 1);
            let tail = Tail { name: name.clone(), next: 0, bytes: 0, positions: BTreeMap::new() };
            self.tails.insert(id, tail);
            self.changed.insert(id);
            wrote = Wrote::Something;
        }
        wrote
    }

    /// Throws away what is too old, now and then. The clock may have been set back.
    fn sweep(&mut self, tables: &mut Tables<'_>) -> Result<Wrote, redb::Error> {
        let now = self.now();
        if self.swept.is_some_and(|swept| (swept..swept + SWEEP_EVERY).contains(&now)) {
            return Ok(Wrote::Nothing);
        }
        let age = i64::try_from(self.retention.age.as_micros()).unwrap_or(i64::MAX);
        let kept_from = now.saturating_sub(age);
        let mut left = SWEEP;
        for (id, tail) in &mut self.tails {
            while let Some(oldest) = tables.oldest(*id)?
                && oldest.taken < kept_from
                && left > 0
            {
                remove(tables, *id, tail, oldest)?;
                self.changed.insert(*id);
                left -= 1;
            }
        }
        self.swept = (left > 0).then_some(now);
        Ok(if left < SWEEP { Wrote::Something } else { Wrote::Nothing })
    }
}

impl Work for Log {
    type Write = Write;

    fn load(
        &mut self,
        transaction: &WriteTransaction,
        _opening: Opening,
    ) -> Result<(), redb::Error> {
        self.tails = Tables::open(transaction)?.tails()?;
        self.changed = self.tails.keys().copied().collect();
        self.committed();
        Ok(())
    }

    fn run(
        &mut self,
        transaction: &WriteTransaction,
        writes: &mut [Write],
    ) -> Result<Wrote, redb::Error> {
        let mut tables = Tables::open(transaction)?;
        let mut wrote = self.sweep(&mut tables)?;
        for write in writes {
            if self.apply_one(&mut tables, write)? == Wrote::Something {
                wrote = Wrote::Something;
            }
        }
        for id in &self.changed {
            if let Some(tail) = self.tails.get(id) {
                tables.put_topic(*id, tail)?;
            }
        }
        Ok(wrote)
    }

    fn committed(&mut self) {
        for id in std::mem::take(&mut self.changed) {
            if let Some(tail) = self.tails.get(&id) {
                self.topics.announce(&tail.name, id, tail.next);
            }
        }
    }

    fn failed(&mut self, _jobs: &[Write]) {}

    fn stopped(&mut self) {
        self.topics.stop();
    }
}

/// Appends a record, taken at a time, if there is room or room can be made.
fn append(
    tables: &mut Tables<'_>,
    id: u32,
    tail: &mut Tail,
    retention: Retention,
    (now, record): (i64, &[u8]),
) -> Result<Result<Offset, BusError>, redb::Error> {
    let size = tables::size(record);
    while tail.bytes.saturating_add(size) > retention.bytes {
        let Some(oldest) = tables.oldest(id)? else { break };
        let unread = tail.positions.iter().find(|(_, position)| **position <= oldest.offset);
        if let Some((group, _)) = unread {
            let full = Error::TopicFull { topic: tail.name.clone(), group: group.clone() };
            return Ok(Err(BusError::Unavailable(full.into())));
        }
        remove(tables, id, tail, oldest)?;
    }
    let offset = tail.next;
    tables.append(id, offset, now, record)?;
    tail.next += 1;
    tail.bytes = tail.bytes.saturating_add(size);
    Ok(Ok(Offset(offset)))
}

fn remove(
    tables: &mut Tables<'_>,
    id: u32,
    tail: &mut Tail,
    oldest: Oldest,
) -> Result<(), redb::Error> {
    tables.remove(id, oldest.offset)?;
    tail.bytes = tail.bytes.saturating_sub(oldest.size);
    Ok(())
}

fn set_position(
    tables: &mut Tables<'_>,
    id: u32,
    tail: &mut Tail,
    group: &str,
    position: i64,
) -> Result<Wrote, redb::Error> {
    if tail.positions.insert(group.to_owned(), position) == Some(position) {
        return Ok(Wrote::Nothing);
    }
    tables.put_position(id, group, position)?;
    Ok(Wrote::Something)
}
