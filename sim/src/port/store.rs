//! The store, one client of it per life of a service.

use std::sync::Arc;

use async_trait::async_trait;
use common::port::Store;
use common::port::store::{Change, Done, Entry, Error, Op, Path};
use futures::StreamExt as _;
use futures::stream::BoxStream;

use super::mischief;
use crate::call::CallKind;
use crate::gate::{Call, Gate, Lost};
use crate::plant::Plant;
use crate::step;

#[derive(Debug)]
pub(crate) struct SimStore {
    gate: Gate,
}

impl SimStore {
    pub(crate) fn new(gate: Gate) -> Self {
        SimStore { gate }
    }

    fn inner(&self) -> &dyn Store {
        &self.gate.life.session
    }
}

fn lost(how: Lost) -> Error {
    match how {
        Lost::Known => Error::Unavailable("simulated".into()),
        Lost::Unknown => Error::OutcomeUnknown("simulated".into()),
    }
}

#[async_trait]
impl Store for SimStore {
    async fn get(&self, path: &Path) -> Result<Option<Entry>, Error> {
        let what = self.gate.world.essence(format_args!("get {path}"));
        let found = self.gate.ask(CallKind::StoreGet, what, lost, self.inner().get(path)).await?;
        let forgets = self.gate.world.has(Plant::RequestsKeptInMemory);
        Ok(found.filter(|_| !forgets || !mischief::is_before_memory(&self.gate, path)))
    }

    async fn children(&self, path: &Path) -> Result<Vec<String>, Error> {
        let what = self.gate.world.essence(format_args!("children of {path}"));
        let children = self.inner().children(path);
        let mut found = self.gate.ask(CallKind::StoreChildren, what, lost, children).await?;
        if self.gate.world.has(Plant::StoreHidesChildren) && mischief::now_and_then(&self.gate, 4) {
            found.pop();
        }
        let stands = path.as_str().starts_with("/avishkar/leaders/") && self.gate.life.number > 4;
        if self.gate.world.has(Plant::StandbysSleep) && stands {
            found.insert(0, "candidate-0000000000".to_owned());
        }
        Ok(found)
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        let what = self.gate.world.essence(format_args!("commit {}", Ops(&ops)));
        let by = self.gate.life.service;
        let step = step::of_commit(by, &ops);
        let call = Call { kind: CallKind::StoreCommit, what, step: &|| step };
        let gate = self.gate.clone();
        let session = Arc::clone(&self.gate.life);
        let blindly = gate.world.has(Plant::StoreRetriesBlindly).then(|| ops.clone());
        let body = move |_| async move {
            if gate.world.plant.is_none() {
                return session.session.commit(ops).await;
            }
            mischief::commit(&gate, &session.session, ops).await
        };
        match (self.gate.order(call, lost, body).await, blindly) {
            (Err(Error::OutcomeUnknown(_)), Some(ops)) => mischief::again(&self.gate, ops).await,
            (done, _) => done,
        }
    }

    async fn sync(&self) -> Result<(), Error> {
        let what = self.gate.world.essence(format_args!("sync"));
        self.gate.ask(CallKind::StoreSync, what, lost, self.inner().sync()).await
    }

    async fn watch(&self, path: &Path) -> Result<BoxStream<'static, Change>, Error> {
        let what = self.gate.world.essence(format_args!("watch {path}"));
        let hints =
            self.gate.ask(CallKind::StoreWatch, what, lost, self.inner().watch(path)).await?;
        let life = Arc::clone(&self.gate.life);
        // A lost hint is one that does not come; the connection says Resync once it is back.
        let heard = hints.filter(move |change| {
            let is_heard = !(life.is_deaf() && matches!(change, Change::At(_)));
            async move { is_heard }
        });
        Ok(heard.boxed())
    }
}

/// A transaction in a few words, with all that it writes.
struct Ops<'a>(&'a [Op]);

impl std::fmt::Display for Ops<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for op in self.0 {
            match op {
                Op::Put { path, value, precondition } => {
                    write!(f, "put {path} {precondition:?} ")?;
                    value_to(f, value)?;
                }
                Op::PutEphemeral { path, .. } => write!(f, "put ephemeral {path}")?,
                Op::PutSequential { path, .. } => write!(f, "put sequential {path}")?,
                Op::Delete { path, version } => write!(f, "delete {path} at {}", version.0)?,
                Op::Check { path, version } => write!(f, "check {path} at {}", version.0)?,
            }
            f.write_str("; ")?;
        }
        Ok(())
    }
}

fn value_to(f: &mut std::fmt::Formatter<'_>, value: &[u8]) -> std::fmt::Result {
    match std::str::from_utf8(value) {
        Ok(text) => f.write_str(text),
        Err(_) => write!(f, "{} bytes", value.len()),
    }
}
