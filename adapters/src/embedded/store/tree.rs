//! What is written to the tree: transactions, and the ends of sessions.

use common::port::store::{Done, Error, Op, Path};
use redb::WriteTransaction;

use super::session::SessionId;
use super::tables::Tables;
use super::transaction::{self, Stop};
use super::watch::Changes;
use crate::embedded::queue::{Failure, Reply};
use crate::embedded::writer::{self, Opening, Work, Wrote};

/// What a client asks of the tree.
#[derive(Debug)]
pub(super) enum Write {
    Commit {
        session: SessionId,
        ops: Vec<Op>,
        reply: Reply<Result<Vec<Done>, Error>>,
    },
    /// Changes nothing: an answer means that all that came before has its own.
    Sync {
        reply: Reply<()>,
    },
    /// Removes what the session leaves.
    End {
        session: SessionId,
    },
}

impl writer::Write for Write {
    fn settle(self, outcome: Result<(), &Failure>) {
        match self {
            Write::Commit { reply, .. } => reply.settle(outcome),
            Write::Sync { reply } => reply.settle(outcome),
            Write::End { .. } => {}
        }
    }
}

pub(super) struct Tree {
    changes: Changes,
    /// What the transaction has changed.
    changed: Vec<Path>,
    /// Sessions whose end is not durable yet.
    ending: Vec<SessionId>,
}

impl Tree {
    pub(super) fn new(changes: Changes) -> Self {
        Tree { changes, changed: Vec::new(), ending: Vec::new() }
    }

    fn apply_one(&mut self, tables: &mut Tables<'_>, write: &mut Write) -> Result<(), redb::Error> {
        match write {
            Write::Commit { session, ops, reply } => {
                match transaction::stage(tables, ops, *session) {
                    Ok((done, staged)) => {
                        tables.write(&staged)?;
                        self.note(staged.into_keys());
                        reply.prepare(Ok(done));
                    }
                    // Told no sooner than what it was refused for is durable.
                    Err(Stop::Refused(err)) => reply.prepare(Err(err)),
                    Err(Stop::Broken(err)) => return Err(err),
                }
            }
            Write::Sync { reply } => reply.prepare(()),
            Write::End { session } => self.end(*session),
        }
        Ok(())
    }

    fn end(&mut self, session: SessionId) {
        if !self.ending.contains(&session) {
            self.ending.push(session);
        }
    }

    /// All but the root, which is nobody's record.
    fn note(&mut self, paths: impl IntoIterator<Item = String>) {
        self.changed.extend(paths.into_iter().filter_map(|path| path.parse::<Path>().ok()));
    }
}

impl Work for Tree {
    type Write = Write;

    fn load(
        &mut self,
        transaction: &WriteTransaction,
        opening: Opening,
    ) -> Result<(), redb::Error> {
        let mut tables = Tables::open(transaction)?;
        self.changed.clear();
        match opening {
            Opening::First => drop(tables.end(None)?),
            // Nobody knows what became of the last transaction.
            Opening::Again => self.changes.anything(),
        }
        Ok(())
    }

    fn run(
        &mut self,
        transaction: &WriteTransaction,
        writes: &mut [Write],
    ) -> Result<Wrote, redb::Error> {
        let mut tables = Tables::open(transaction)?;
        for write in writes {
            self.apply_one(&mut tables, write)?;
        }
        for session in self.ending.clone() {
            let ended = tables.end(Some(session))?;
            self.note(ended);
        }
        Ok(if self.changed.is_empty() { Wrote::Nothing } else { Wrote::Something })
    }

    fn committed(&mut self) {
        self.ending.clear();
        let changed = std::mem::take(&mut self.changed);
        if !changed.is_empty() {
            self.changes.at(changed);
        }
    }

    fn failed(&mut self, writes: &[Write]) {
        for write in writes {
            match write {
                Write::End { session } => self.end(*session),
                Write::Commit { .. } | Write::Sync { .. } => {}
            }
        }
    }

    fn stopped(&mut self) {}
}
