//! Flaws of what is too much.

use async_trait::async_trait;
use bytes::Bytes;
use common::port::Store as _;
use common::port::store::{
    Done, Error, MAX_OPS, MAX_TRANSACTION, MAX_VALUE, Op, Version, check_limits,
};
use testkit::contract::store::World;

use super::super::Planted;
use super::flaw::{Client, Flaw};
use super::planted as plant;

pub(super) fn planted() -> Vec<Planted<dyn World>> {
    let value = "limits::of_a_value_are_64_kib";
    let (many, much) =
        ("limits::of_a_transaction_are_64_operations", "limits::of_a_transaction_are_512_kib");
    let is_done = "the transaction is done";
    vec![
        plant(value, "a value is too large", || TakesLargeValues),
        plant(value, "a value is too large", || BlamesItself),
        plant(value, "what is refused is not kept", || {
            KeepsWhatItRefuses(|ops| largest(ops) > MAX_VALUE)
        }),
        plant(value, is_done, || Refuses(|ops| largest(ops) >= MAX_VALUE)),
        plant(many, "there are too many operations", || TakesItInParts(|ops| ops.len() > MAX_OPS)),
        plant(many, "nothing of it is done", || KeepsWhatItRefuses(|ops| ops.len() > MAX_OPS)),
        plant(many, is_done, || Refuses(|ops| ops.len() >= MAX_OPS)),
        plant(much, "there are too many bytes", || {
            TakesItInParts(|ops| total(ops) > MAX_TRANSACTION)
        }),
        plant(much, "nothing of it is done", || {
            KeepsWhatItRefuses(|ops| total(ops) > MAX_TRANSACTION)
        }),
        plant(much, is_done, || Refuses(|ops| total(ops) >= MAX_TRANSACTION)),
    ]
}

fn sizes(ops: &[Op]) -> impl Iterator<Item = usize> {
    ops.iter().filter_map(Op::value).map(Bytes::len)
}

fn largest(ops: &[Op]) -> usize {
    sizes(ops).max().unwrap_or(0)
}

fn total(ops: &[Op]) -> usize {
    sizes(ops).sum()
}

/// Writes a value of any size.
#[derive(Debug)]
struct TakesLargeValues;

#[async_trait]
impl Flaw for TakesLargeValues {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        if largest(&ops) <= MAX_VALUE {
            return client.store.commit(ops).await;
        }
        let put = |op: &Op| {
            client.tree.seed(op.path(), op.value().cloned().unwrap_or_default());
            Done::Written { path: op.path().clone(), version: Version(0) }
        };
        Ok(ops.iter().map(put).collect())
    }
}

/// Calls a refusal something that passes.
#[derive(Debug)]
struct BlamesItself;

#[async_trait]
impl Flaw for BlamesItself {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        check_limits(&ops).map_err(|err| Error::Unavailable(err.into()))?;
        client.store.commit(ops).await
    }
}

/// Does too much one by one.
#[derive(Debug)]
struct TakesItInParts(fn(&[Op]) -> bool);

#[async_trait]
impl Flaw for TakesItInParts {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        if !(self.0)(&ops) {
            return client.store.commit(ops).await;
        }
        let mut done = Vec::new();
        for op in ops {
            done.extend(client.store.commit(vec![op]).await?);
        }
        Ok(done)
    }
}

/// Refuses too much only when some of it is written.
#[derive(Debug)]
struct KeepsWhatItRefuses(fn(&[Op]) -> bool);

#[async_trait]
impl Flaw for KeepsWhatItRefuses {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        if (self.0)(&ops)
            && let Some(op) = ops.first()
        {
            client.tree.seed(op.path(), op.value().cloned().unwrap_or_default());
        }
        client.store.commit(ops).await
    }
}

/// Has narrower limits.
#[derive(Debug)]
struct Refuses(fn(&[Op]) -> bool);

#[async_trait]
impl Flaw for Refuses {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        if (self.0)(&ops) {
            return Err(Error::Refused("it is too much".to_owned()));
        }
        client.store.commit(ops).await
    }
}
