//! [`LocalNodes`]: this agent for the services of the same process, without a network between.
//!
//! Owns how the agent's answers become those of the port; asks the same agent as the HTTP interface
//! does, so that ledger, epochs and firewall hold for both. Knows no other node than its own.

use std::io::{self, Read as _};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chassis::blocking;
use common::digest::ImageRef;
use common::failure::{Failure, FailureCode};
use common::name::ContainerName;
use common::port::container::{Container, ContainerSpec};
use common::port::containers::{Follow, LineStream};
use common::port::disk::{Collected, Collection, Disk, Needs, Pin};
use common::port::nodes::{self, Build, Error, Issuer, Probe, Removal, SampleStream};
use common::port::{Cause, Nodes};
use futures::{StreamExt as _, stream};

use crate::agent::{self, Agent};
use crate::bundles::Word;
use crate::disk;
use crate::ledger::Conflict;

/// How long reading an archive from the disk may take.
const READ_WITHIN: Duration = Duration::from_mins(10);

/// The port of nodes with one node behind it: the agent of this process.
#[derive(Debug, Clone)]
pub(crate) struct LocalNodes(pub(crate) Arc<Agent>);

impl LocalNodes {
    fn agent(&self, asked: &nodes::Agent) -> Result<&Agent, Error> {
        if asked.node == self.0.config.node {
            return Ok(&self.0);
        }
        let source = Cause::from("this machine is the only node");
        Err(Error::Unreachable { node: asked.node.clone(), source })
    }

    fn refused(&self, err: &agent::Error) -> Error {
        let node = self.0.config.node.clone();
        if let agent::Error::Conflict(Conflict::StaleEpoch { seen, .. }) = err {
            return Error::StaleEpoch { node, seen: *seen };
        }
        let failure = err.to_failure();
        tracing::warn!(error = err as &dyn std::error::Error, code = %failure.code, "refused");
        Error::Failed { node, failure }
    }

    /// The archive as it is; it is bounded by what the agent takes.
    async fn read(&self, build: Build) -> Result<Bytes, Error> {
        let limit = self.0.config.build_context_bytes;
        let read = blocking::run(READ_WITHIN, move |_| read_up_to(build.context, limit)).await;
        let node = || self.0.config.node.clone();
        match read {
            Ok(Ok(Some(bytes))) => Ok(bytes),
            Ok(Ok(None)) => {
                let message = format!("an archive may have at most {} MiB", limit / 1024 / 1024);
                let failure = Failure::new(FailureCode::BuildFailed, message);
                Err(Error::Failed { node: node(), failure })
            }
            Ok(Err(err)) => Err(Error::Unreachable { node: node(), source: err.into() }),
            Err(err) => Err(Error::Unreachable { node: node(), source: err.into() }),
        }
    }
}

/// None if there is more than `limit`.
fn read_up_to(file: std::fs::File, limit: usize) -> io::Result<Option<Bytes>> {
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= limit).then(|| bytes.into()))
}

#[async_trait]
impl Nodes for LocalNodes {
    async fn ensure(
        &self,
        agent: &nodes::Agent,
        issuer: Issuer,
        spec: &ContainerSpec,
    ) -> Result<Container, Error> {
        let ensured = self.agent(agent)?.ensure(issuer, spec).await;
        ensured.map_err(|err| self.refused(&err))
    }

    async fn remove(
        &self,
        agent: &nodes::Agent,
        issuer: Issuer,
        removal: &Removal,
    ) -> Result<(), Error> {
        let removed = self.agent(agent)?.remove(issuer, removal).await;
        removed.map_err(|err| self.refused(&err))
    }

    async fn list(&self, agent: &nodes::Agent) -> Result<Vec<Container>, Error> {
        self.agent(agent)?.list().await.map_err(|err| self.refused(&err))
    }

    async fn build(
        &self,
        agent: &nodes::Agent,
        issuer: Issuer,
        build: Build,
    ) -> Result<ImageRef, Error> {
        let agent = self.agent(agent)?;
        let repository = build.repository.clone();
        let admitted = agent.admit_build(issuer, &repository).await;
        admitted.map_err(|err| self.refused(&err))?;
        let context = self.read(build).await?;
        agent.build(&repository, context).await.map_err(|err| self.refused(&err))
    }

    async fn pull(
        &self,
        agent: &nodes::Agent,
        issuer: Issuer,
        image: &ImageRef,
    ) -> Result<(), Error> {
        self.agent(agent)?.pull(issuer, image).await.map_err(|err| self.refused(&err))
    }

    async fn probe(&self, agent: &nodes::Agent, name: &ContainerName) -> Result<Probe, Error> {
        self.agent(agent)?.probe(name).await.map_err(|err| self.refused(&err))
    }

    async fn logs(
        &self,
        agent: &nodes::Agent,
        name: &ContainerName,
        tail: usize,
        follow: Follow,
    ) -> Result<LineStream, Error> {
        let agent = self.agent(agent)?;
        let lines = agent.logs(name, tail, follow).await.map_err(|err| self.refused(&err))?;
        Ok(lines.take_until(agent.closing.clone().cancelled_owned()).boxed())
    }

    /// As over HTTP: a slow reader misses some, and never gets old ones.
    async fn samples(&self, agent: &nodes::Agent) -> Result<SampleStream, Error> {
        let agent = self.agent(agent)?;
        let samples = stream::unfold(agent.samples.subscribe(), |mut samples| async move {
            samples.changed().await.ok()?;
            let sample = samples.borrow_and_update().sample().cloned();
            Some((sample, samples))
        });
        let samples = samples.filter_map(async |sample| sample.map(Ok));
        Ok(samples.take_until(agent.closing.clone().cancelled_owned()).boxed())
    }

    async fn announce(&self, agent: &nodes::Agent, issuer: Issuer) -> Result<(), Error> {
        self.agent(agent)?.announce(issuer).await.map_err(|err| self.refused(&err))
    }

    async fn disk(&self, agent: &nodes::Agent) -> Result<Disk, Error> {
        disk::look(self.agent(agent)?).await.map_err(|err| self.refused(&err))
    }

    async fn collect(
        &self,
        agent: &nodes::Agent,
        collection: &Collection,
    ) -> Result<Collected, Error> {
        let collected = disk::collect(self.agent(agent)?, *collection).await;
        collected.map_err(|err| self.refused(&err))
    }

    async fn pin(&self, agent: &nodes::Agent, issuer: Issuer, pins: &[Pin]) -> Result<(), Error> {
        let pinned = disk::pin(self.agent(agent)?, issuer, pins.to_vec()).await;
        pinned.map_err(|err| self.refused(&err))
    }

    async fn need(&self, agent: &nodes::Agent, issuer: Issuer, needs: &Needs) -> Result<(), Error> {
        let noted = disk::need(self.agent(agent)?, issuer, needs.clone(), Word::All).await;
        noted.map_err(|err| self.refused(&err))
    }
}
