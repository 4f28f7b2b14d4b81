//! The port of simulated nodes' parts.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use common::digest::{Digest, ImageRef};
use common::failure::FailureCode;
use common::name::{NodeName, PartName, ShareName};
use common::port::host::ChunkStream;
use common::port::nodes::{Agent, Error, Issuer};
use common::port::part::{Part, PartImage, PartRemoval, PartSpec};
use common::port::{PartContainers as _, Parts, containers, share};

use super::node::make_run;
use super::{MemoryParts, PartCall};
use crate::nodes::Reach;
use crate::part_containers::MemoryPartContainers;

/// How long a caller waits for a node that never answers.
const DEADLINE: Duration = Duration::from_secs(5);

fn unreachable(node: &NodeName, why: &'static str) -> Error {
    Error::Unreachable { node: node.clone(), source: why.into() }
}

fn failed(node: &NodeName, err: &containers::Error) -> Error {
    Error::Failed { node: node.clone(), failure: err.to_failure() }
}

impl MemoryParts {
    /// Every call goes through here: it is recorded, then reaches the node or does not.
    async fn reach(&self, agent: &Agent, call: PartCall) -> Result<MemoryPartContainers, Error> {
        let found = {
            let mut world = self.world();
            world.calls.push(call);
            let at = |node: &&super::Node| node.agent == *agent;
            let found = world.nodes.get(&agent.node).filter(at);
            found.map(|node| (node.reach, node.delay, node.engine.clone()))
        };
        match found {
            Some((Reach::Up, delay, engine)) => {
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                Ok(engine)
            }
            Some((Reach::Hung, ..)) => {
                tokio::time::sleep(DEADLINE).await;
                Err(unreachable(&agent.node, "no answer in time"))
            }
            Some((Reach::Dead | Reach::Partitioned, ..)) | None => {
                Err(unreachable(&agent.node, "no route to host"))
            }
        }
    }

    /// A call that changes something: the issuer must be the latest leader of its service.
    async fn order(
        &self,
        agent: &Agent,
        issuer: Issuer,
        call: PartCall,
    ) -> Result<MemoryPartContainers, Error> {
        let engine = self.reach(agent, call).await?;
        self.with(&agent.node, |node| {
            node.admit(issuer)?;
            match node.failures.pop_front() {
                Some(failure) => Err(Error::Failed { node: agent.node.clone(), failure }),
                None => Ok(engine),
            }
        })
    }

    /// The way back: the answer arrives or is lost.
    fn answer<T>(&self, agent: &Agent, result: Result<T, Error>) -> Result<T, Error> {
        let lost = self.with(&agent.node, |node| {
            let lost = node.lost_answers > 0;
            node.lost_answers = node.lost_answers.saturating_sub(1);
            lost
        });
        if lost { Err(unreachable(&agent.node, "the answer was lost")) } else { result }
    }

    fn told_of(&self, agent: &Agent, part: Part) -> Part {
        let told = self.with(&agent.node, |node| node.told(vec![part.clone()]));
        let told = told.into_iter().next().unwrap_or(part);
        // Nobody has looked yet.
        Part { healthy: None, ..told }
    }
}

#[async_trait]
impl Parts for MemoryParts {
    async fn ensure_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        spec: &PartSpec,
    ) -> Result<Part, Error> {
        let node = agent.node.clone();
        let call = PartCall::Ensure { node: node.clone(), issuer, spec: Box::new(spec.clone()) };
        let engine = self.order(agent, issuer, call).await?;
        let before = self.with(&node, |node| {
            node.build(&spec.image)?;
            node.note(issuer, spec)
        })?;
        let made = make_run(&engine, issuer.epoch, spec).await;
        if made.is_err() {
            self.with(&node, |node| match before {
                Some(before) => node.ledger.insert(spec.name.clone(), before),
                None => node.ledger.remove(&spec.name),
            });
        }
        let made = made.map(|part| self.told_of(agent, part));
        self.answer(agent, made.map_err(|err| failed(&node, &err)))
    }

    async fn remove_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        removal: &PartRemoval,
    ) -> Result<(), Error> {
        let node = agent.node.clone();
        let call = PartCall::Remove { node: node.clone(), issuer, removal: removal.clone() };
        let engine = self.order(agent, issuer, call).await?;
        if self.with(&node, |node| node.holds_newer_than(removal)) {
            return self.answer(agent, Ok(()));
        }
        self.with(&node, |node| node.ledger.remove(&removal.name));
        let removed = engine.ensure_part_absent(&removal.name).await;
        self.answer(agent, removed.map_err(|err| failed(&node, &err)))
    }

    async fn restart_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        name: &PartName,
    ) -> Result<Part, Error> {
        let node = agent.node.clone();
        let call = PartCall::Restart { node: node.clone(), issuer, name: name.clone() };
        let engine = self.order(agent, issuer, call).await?;
        let told = self.with(&node, |node| {
            let unknown = || node.refused(FailureCode::UnknownInstance, "there is no such part");
            node.ledger.get(name).cloned().ok_or_else(unknown)
        })?;
        let restarted = match engine.end_part(name).await {
            Ok(()) => make_run(&engine, told.epoch, &told.spec).await,
            Err(err) => Err(err),
        };
        let restarted = restarted.map(|part| self.told_of(agent, part));
        self.answer(agent, restarted.map_err(|err| failed(&node, &err)))
    }

    async fn parts(&self, agent: &Agent) -> Result<Vec<Part>, Error> {
        let node = agent.node.clone();
        let engine = self.reach(agent, PartCall::List { node: node.clone() }).await?;
        let listed = engine.list_parts().await.map_err(|err| failed(&node, &err))?;
        Ok(self.with(&node, |node| node.told(listed)))
    }

    async fn part_logs(
        &self,
        agent: &Agent,
        name: &PartName,
        tail: usize,
    ) -> Result<Vec<String>, Error> {
        let node = agent.node.clone();
        let call = PartCall::Logs { node: node.clone(), name: name.clone() };
        let engine = self.reach(agent, call).await?;
        let output = engine.part_output(name, tail).await.map_err(|err| failed(&node, &err))?;
        let unknown = |node: &mut super::Node| {
            node.refused(FailureCode::UnknownInstance, "there is no such part")
        };
        output.ok_or_else(|| self.with(&node, unknown))
    }

    async fn images(&self, agent: &Agent) -> Result<Vec<ImageRef>, Error> {
        let node = agent.node.clone();
        let engine = self.reach(agent, PartCall::Images { node: node.clone() }).await?;
        engine.registry_images().await.map_err(|err| failed(&node, &err))
    }

    async fn push_image(
        &self,
        agent: &Agent,
        issuer: Issuer,
        image: &PartImage,
        repository: &str,
    ) -> Result<ImageRef, Error> {
        let node = agent.node.clone();
        let call = PartCall::Push {
            node: node.clone(),
            issuer,
            image: image.clone(),
            repository: repository.to_owned(),
        };
        let engine = self.order(agent, issuer, call).await?;
        let pushed = engine.push_image_as(image, repository).await;
        self.answer(agent, pushed.map_err(|err| failed(&node, &err)))
    }

    async fn image_archive(&self, agent: &Agent, image: &Digest) -> Result<ChunkStream, Error> {
        let (node, image) = (agent.node.clone(), image.clone());
        let call = PartCall::Archive { node: node.clone(), image: image.clone() };
        let engine = self.reach(agent, call).await?;
        engine.image_archive(&image).await.map_err(|err| failed(&node, &err))
    }

    async fn registry_at(
        &self,
        agent: &Agent,
        issuer: Issuer,
        registry: SocketAddr,
    ) -> Result<(), Error> {
        let call = PartCall::Registry { node: agent.node.clone(), issuer, registry };
        self.order(agent, issuer, call).await?;
        self.with(&agent.node, |node| node.registry = Some(registry));
        self.answer(agent, Ok(()))
    }

    async fn share_is(
        &self,
        agent: &Agent,
        issuer: Issuer,
        name: &ShareName,
        _: &share::Access,
    ) -> Result<(), Error> {
        let (node, name) = (agent.node.clone(), name.clone());
        self.order(agent, issuer, PartCall::Share { node, issuer, name: name.clone() }).await?;
        self.with(&agent.node, |node| node.shares.insert(name));
        self.answer(agent, Ok(()))
    }

    async fn build_code(
        &self,
        agent: &Agent,
        issuer: Issuer,
        code: &share::Code,
    ) -> Result<(), Error> {
        let node = agent.node.clone();
        let call = PartCall::Build { node: node.clone(), issuer, code: code.clone() };
        self.order(agent, issuer, call).await?;
        let built = self.with(&node, |node| node.build(&PartImage::Built(code.clone())));
        self.answer(agent, built)
    }
}
