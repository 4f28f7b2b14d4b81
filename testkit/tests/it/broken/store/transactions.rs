//! Flaws of transactions.

use async_trait::async_trait;
use bytes::Bytes;
use common::port::Store as _;
use common::port::store::{Done, Error, Op, Path, Precondition, Version};
use testkit::contract::store::World;
use tokio::task::yield_now;

use super::super::Planted;
use super::flaw::{Client, Flaw};
use super::planted as plant;
use super::records::{put, there};

pub(super) fn planted() -> Vec<Planted<dyn World>> {
    let told = "transactions::what_was_done_is_told_in_order";
    let later = "transactions::later_operations_see_earlier_ones";
    let all = "transactions::nothing_is_done_when_one_operation_conflicts";
    let index = "transactions::a_conflict_names_the_first_operation_that_failed";
    vec![
        plant(told, "left == right", || {
            Answers(|mut done| {
                done.reverse();
                done
            })
        }),
        plant(told, "left == right", || {
            Answers(|mut done| {
                done.retain(|done| *done != Done::Checked);
                done
            })
        }),
        plant(later, "the transaction is done", || LooksOnlyBefore),
        plant(later, "the transaction is done", || LooksForChildrenBefore),
        plant(
            "transactions::records_are_made_below_a_record_of_the_same_transaction",
            "the transaction is done",
            || MakesParentsFirst,
        ),
        plant(all, "nothing is changed", || DoesOneByOne),
        plant(all, "nothing is made", || KeepsWhatItMade),
        plant(index, "operation 3 is the first", || Names(|_, _| 0)),
        plant(index, "operation 3 is the first", || Names(|ops, _| ops - 1)),
        plant(index, "operation 3 is the first", || {
            // Counts a folder that it makes on the way.
            Names(|ops, index| if ops > 4 { index + 1 } else { index })
        }),
        plant("transactions::a_check_changes_nothing", "it is as it was", || CountsChecks),
        plant("transactions::an_empty_transaction_changes_nothing", "is done", || RefusesNothing),
        plant("transactions::clients_exclude_each_other", "every change counts", || {
            LooksAndThenWrites
        }),
    ]
}

/// Tells something else.
#[derive(Debug)]
struct Answers(fn(Vec<Done>) -> Vec<Done>);

#[async_trait]
impl Flaw for Answers {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        client.store.commit(ops).await.map(self.0)
    }
}

/// Compares all operations with what was there before the first.
#[derive(Debug)]
struct LooksOnlyBefore;

#[async_trait]
impl Flaw for LooksOnlyBefore {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        for (index, op) in ops.iter().enumerate() {
            let now = there(client, op.path()).await.map(|entry| entry.version);
            let demanded = match op {
                Op::Put { precondition: Precondition::Version(version), .. }
                | Op::Delete { version, .. }
                | Op::Check { version, .. } => Some(*version),
                Op::Put { .. } | Op::PutEphemeral { .. } => None,
                Op::PutSequential { .. } => continue,
            };
            if demanded != now {
                return Err(Error::Conflict { index });
            }
        }
        client.store.commit(ops).await
    }
}

#[derive(Debug)]
struct LooksForChildrenBefore;

#[async_trait]
impl Flaw for LooksForChildrenBefore {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        for (index, op) in ops.iter().enumerate() {
            let removes = matches!(op, Op::Delete { .. });
            if removes && !client.tree.children(op.path()).await?.is_empty() {
                return Err(Error::Conflict { index });
            }
        }
        client.store.commit(ops).await
    }
}

/// Makes every missing parent beforehand, also those that the transaction makes itself.
#[derive(Debug)]
struct MakesParentsFirst;

#[async_trait]
impl Flaw for MakesParentsFirst {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        for parent in ops.iter().filter_map(|op| op.path().parent()) {
            make_missing(client, parent).await?;
        }
        client.store.commit(ops).await
    }
}

pub(super) async fn make_missing(client: &Client, path: Path) -> Result<(), Error> {
    if there(client, &path).await.is_none() {
        client.tree.commit(vec![put(path, Bytes::new(), Precondition::Absent)]).await?;
    }
    Ok(())
}

#[derive(Debug)]
struct DoesOneByOne;

#[async_trait]
impl Flaw for DoesOneByOne {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        let mut done = Vec::new();
        for (index, op) in ops.into_iter().enumerate() {
            let one = client.store.commit(vec![op]).await;
            done.extend(one.map_err(|err| at(err, index))?);
        }
        Ok(done)
    }
}

/// Takes back what it changed and removed, not what it made.
#[derive(Debug)]
struct KeepsWhatItMade;

#[async_trait]
impl Flaw for KeepsWhatItMade {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        let is_made = |op: &&Op| matches!(op, Op::Put { precondition: Precondition::Absent, .. });
        let made: Vec<Op> = ops.iter().filter(is_made).cloned().collect();
        let committed = client.store.commit(ops).await;
        if matches!(committed, Err(Error::Conflict { .. })) {
            for op in made {
                client.store.commit(vec![op]).await.ok();
            }
        }
        committed
    }
}

fn at(err: Error, index: usize) -> Error {
    if matches!(err, Error::Conflict { .. }) { Error::Conflict { index } } else { err }
}

/// Names another operation than the one that failed: from how many there are, and its index.
#[derive(Debug)]
struct Names(fn(usize, usize) -> usize);

#[async_trait]
impl Flaw for Names {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        let count = ops.len();
        match client.store.commit(ops).await {
            Err(Error::Conflict { index }) => {
                Err(Error::Conflict { index: (self.0)(count, index) })
            }
            committed => committed,
        }
    }
}

#[derive(Debug)]
struct CountsChecks;

#[async_trait]
impl Flaw for CountsChecks {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        let is_check = |op: &&Op| matches!(op, Op::Check { .. });
        let checked: Vec<Path> = ops.iter().filter(is_check).map(|op| op.path().clone()).collect();
        let done = client.store.commit(ops).await?;
        for path in checked {
            if let Some(entry) = there(client, &path).await {
                let over = Precondition::Version(entry.version);
                client.store.commit(vec![put(path, entry.value, over)]).await?;
            }
        }
        Ok(done)
    }
}

#[derive(Debug)]
struct RefusesNothing;

#[async_trait]
impl Flaw for RefusesNothing {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        if ops.is_empty() {
            return Err(Error::Refused("a transaction without operations".to_owned()));
        }
        client.store.commit(ops).await
    }
}

/// Compares the version, and writes when others may have written.
#[derive(Debug)]
struct LooksAndThenWrites;

#[async_trait]
impl Flaw for LooksAndThenWrites {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        let [Op::Put { path, value, precondition: Precondition::Version(version) }] = &ops[..]
        else {
            return client.store.commit(ops).await;
        };
        let now = there(client, path).await.map(|entry| entry.version);
        if now != Some(*version) {
            return Err(Error::Conflict { index: 0 });
        }
        yield_now().await;
        client.tree.seed(path, value.clone());
        Ok(vec![Done::Written { path: path.clone(), version: Version(version.0 + 1) }])
    }
}
