//! Flaws of sessions.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use common::port::Store as _;
use common::port::store::{Done, Entry, Error, Lifetime, Op, Path, Precondition, Version};
use testkit::MemoryStore;
use testkit::contract::store::World;

use super::super::Planted;
use super::flaw::{Client, Flaw};
use super::planted as plant;
use super::records::{put, there};

pub(super) fn planted() -> Vec<Planted<dyn World>> {
    let once = "sessions::an_ephemeral_record_is_made_once";
    let end = "ephemeral records end with their session";
    let bare = "sessions::nothing_is_made_below_an_ephemeral_record";
    vec![
        plant(
            "sessions::a_synced_read_sees_what_others_committed_before",
            "it was committed before the sync",
            || SyncsNothing,
        ),
        plant(once, "it is there", || TakesOver::when(|_, _| true)),
        plant(once, "it is there", || TakesOver::when(|owner, client| owner == client)),
        plant(
            "sessions::an_ephemeral_record_is_otherwise_a_record",
            "the transaction is done",
            OnlyOwnersChange::default,
        ),
        plant("sessions::ephemeral_records_end_with_their_session", end, || {
            Puts(|op, _| {
                let Op::PutEphemeral { path, value } = op else { return op };
                put(path, value, Precondition::Absent)
            })
        }),
        plant("sessions::numbered_ephemeral_records_end_with_their_session", end, || {
            Puts(|op, _| {
                let Op::PutSequential { path, value, .. } = op else { return op };
                Op::PutSequential { path, value, lifetime: Lifetime::Persistent }
            })
        }),
        plant("sessions::persistent_records_outlive_their_session", "it stays", || {
            // A transaction has one lifetime.
            Puts(|op, ops| {
                let is_ephemeral = ops.iter().any(|op| matches!(op, Op::PutEphemeral { .. }));
                if !is_ephemeral {
                    return op;
                }
                let Op::Put { path, value, .. } = op else { return op };
                Op::PutEphemeral { path, value }
            })
        }),
        plant(
            "sessions::persistent_records_outlive_their_session",
            "the parent stays",
            RemovesEmptyParents::default,
        ),
        plant(
            "sessions::ephemeral_records_outlive_the_sessions_of_others",
            "its session goes on",
            SharesOneSession::default,
        ),
        plant(bare, "an ephemeral record has no children", || {
            CallsRefusals(|_| Err(Error::Conflict { index: 0 }))
        }),
        plant(bare, "an ephemeral record has no children", || {
            CallsRefusals(|path| Ok(vec![Done::Written { path, version: Version(0) }]))
        }),
    ]
}

/// Reads of a client show what was there when it was opened, or when it last committed.
#[derive(Debug)]
struct SyncsNothing;

#[async_trait]
impl Flaw for SyncsNothing {
    fn opened(&self, client: &Client) {
        client.store.freeze_reads();
    }

    async fn sync(&self, _client: &Client) -> Result<(), Error> {
        Ok(())
    }
}

/// Which client made which ephemeral record.
#[derive(Debug, Default)]
struct Owners(Mutex<BTreeMap<Path, u64>>);

impl Owners {
    fn of(&self, path: &Path) -> Option<u64> {
        self.0.lock().unwrap().get(path).copied()
    }

    /// Commits, and remembers who made what.
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        let is_ephemeral = |op: &&Op| matches!(op, Op::PutEphemeral { .. });
        let made: Vec<Path> = ops.iter().filter(is_ephemeral).map(|op| op.path().clone()).collect();
        let done = client.store.commit(ops).await?;
        self.0.lock().unwrap().extend(made.into_iter().map(|path| (path, client.number)));
        Ok(done)
    }
}

/// Replaces an ephemeral record: decided from its owner and the client.
#[derive(Debug)]
struct TakesOver {
    may: fn(u64, u64) -> bool,
    owners: Owners,
}

impl TakesOver {
    fn when(may: fn(u64, u64) -> bool) -> Self {
        TakesOver { may, owners: Owners::default() }
    }
}

#[async_trait]
impl Flaw for TakesOver {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        if let [Op::PutEphemeral { path, .. }] = &ops[..]
            && self.owners.of(path).is_some_and(|owner| (self.may)(owner, client.number))
            && let Some(Entry { version, .. }) = there(client, path).await
        {
            client.store.commit(vec![Op::Delete { path: path.clone(), version }]).await?;
        }
        self.owners.commit(client, ops).await
    }
}

#[derive(Debug, Default)]
struct OnlyOwnersChange {
    owners: Owners,
}

#[async_trait]
impl Flaw for OnlyOwnersChange {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        let is_of_another = |op: &Op| {
            matches!(op, Op::Put { .. } | Op::Delete { .. })
                && self.owners.of(op.path()).is_some_and(|owner| owner != client.number)
        };
        if let Some(index) = ops.iter().position(is_of_another) {
            return Err(Error::Conflict { index });
        }
        self.owners.commit(client, ops).await
    }
}

/// Puts something else: from the operation and all of its transaction.
#[derive(Debug)]
struct Puts(fn(Op, &[Op]) -> Op);

#[async_trait]
impl Flaw for Puts {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        let put = ops.iter().map(|op| (self.0)(op.clone(), &ops)).collect();
        client.store.commit(put).await
    }
}

/// Removes what stands empty when its last ephemeral record has gone.
#[derive(Debug, Default)]
struct RemovesEmptyParents {
    owners: Owners,
}

#[async_trait]
impl Flaw for RemovesEmptyParents {
    async fn get(&self, client: &Client, path: &Path) -> Result<Option<Entry>, Error> {
        let owned =
            self.owners.0.lock().unwrap().keys().any(|of| of.parent().as_ref() == Some(path));
        if owned && client.tree.children(path).await?.is_empty() {
            return Ok(None);
        }
        client.store.get(path).await
    }

    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        self.owners.commit(client, ops).await
    }
}

/// As when all clients share a connection, and whoever leaves closes it.
#[derive(Debug, Default)]
struct SharesOneSession {
    shared: Mutex<Option<MemoryStore>>,
}

#[async_trait]
impl Flaw for SharesOneSession {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        let shared = {
            let mut shared = self.shared.lock().unwrap();
            shared.get_or_insert_with(|| client.tree.session()).clone()
        };
        shared.commit(ops).await
    }

    fn closing(&self, _client: &Client) {
        if let Some(shared) = &*self.shared.lock().unwrap() {
            shared.expire();
        }
    }
}

/// Answers something else when a record below an ephemeral one is to be made.
#[derive(Debug)]
struct CallsRefusals(fn(Path) -> Result<Vec<Done>, Error>);

#[async_trait]
impl Flaw for CallsRefusals {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        let made = ops.first().map(|op| op.path().clone());
        match (client.store.commit(ops).await, made) {
            (Err(Error::Refused(why)), Some(path)) if why.contains("ephemeral") => (self.0)(path),
            (committed, _) => committed,
        }
    }
}
