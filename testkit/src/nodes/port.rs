//! The port of simulated nodes.

use std::io::Read as _;
use std::time::Duration;

use async_trait::async_trait;
use common::digest::ImageRef;
use common::name::{ContainerName, NodeName};
use common::port::container::{Container, ContainerSpec, ContainerState};
use common::port::containers::{self, Follow, LineStream};
use common::port::disk::{
    Bundle, Collected, Collection, Disk, Item, Kind, Mode, Needs, Outcome, Pin,
};
use common::port::nodes::{Agent, Build, Error, Issuer, Probe, Removal, SampleStream};
use common::port::{Containers as _, Nodes};

use super::node::{Told, failed, make_run};
use super::{Call, MemoryNodes, Reach, samples};
use crate::containers::MemoryContainers;

/// How long a caller waits for a node that never answers.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

pub(super) fn unreachable(node: &NodeName, why: &'static str) -> Error {
    Error::Unreachable { node: node.clone(), source: why.into() }
}

impl MemoryNodes {
    /// Every call goes through here: it is recorded, then reaches the node or does not.
    async fn reach(&self, agent: &Agent, call: Call) -> Result<MemoryContainers, Error> {
        let found = {
            let mut world = self.world();
            world.calls.push(call);
            let at = |node: &&super::Node| node.agent == *agent;
            world.nodes.get(&agent.node).filter(at).map(|node| (node.reach, node.engine.clone()))
        };
        match found {
            Some((Reach::Up, engine)) => Ok(engine),
            Some((Reach::Hung, _)) => {
                tokio::time::sleep(DEADLINE).await;
                Err(unreachable(&agent.node, "no answer in time"))
            }
            Some((Reach::Dead | Reach::Partitioned, _)) | None => {
                Err(unreachable(&agent.node, "no route to host"))
            }
        }
    }

    /// A call that changes something: the issuer must be the latest leader of its service.
    async fn order(
        &self,
        agent: &Agent,
        issuer: Issuer,
        call: Call,
    ) -> Result<MemoryContainers, Error> {
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

    fn next_probe(&self, image: &ImageRef) -> Probe {
        let mut world = self.world();
        let Some(script) = world.probes.get_mut(image) else { return Probe::Healthy };
        let next = if script.len() > 1 { script.pop_front() } else { script.front().cloned() };
        next.unwrap_or(Probe::Healthy)
    }
}

#[async_trait]
impl Nodes for MemoryNodes {
    async fn ensure(
        &self,
        agent: &Agent,
        issuer: Issuer,
        spec: &ContainerSpec,
    ) -> Result<Container, Error> {
        let node = agent.node.clone();
        let call = Call::Ensure { node: node.clone(), issuer, spec: Box::new(spec.clone()) };
        let engine = self.order(agent, issuer, call).await?;
        self.with(&node, |node| node.note(issuer, spec))?;
        let told = Told { epoch: issuer.epoch, spec: spec.clone() };
        let made = make_run(&engine, &told).await;
        if made.is_err() {
            self.with(&node, |node| node.ledger.remove(&spec.name()));
        }
        self.answer(agent, made.map_err(|err| failed(&node, &err)))
    }

    async fn remove(&self, agent: &Agent, issuer: Issuer, removal: &Removal) -> Result<(), Error> {
        let node = agent.node.clone();
        let call = Call::Remove { node: node.clone(), issuer, removal: removal.clone() };
        let engine = self.order(agent, issuer, call).await?;
        if self.with(&node, |node| node.holds_newer_than(removal)) {
            return self.answer(agent, Ok(()));
        }
        self.with(&node, |node| node.ledger.remove(&removal.name));
        let removed = engine.ensure_absent(&removal.name).await;
        self.answer(agent, removed.map_err(|err| failed(&node, &err)))
    }

    async fn list(&self, agent: &Agent) -> Result<Vec<Container>, Error> {
        let node = agent.node.clone();
        let engine = self.reach(agent, Call::List { node: node.clone() }).await?;
        let mut containers = engine.list().await.map_err(|err| failed(&node, &err))?;
        let not_made = self.with(&node, |node| node.not_made(&containers));
        containers.extend(not_made);
        Ok(containers)
    }

    async fn build(&self, agent: &Agent, issuer: Issuer, build: Build) -> Result<ImageRef, Error> {
        let node = agent.node.clone();
        let call = Call::Build { node: node.clone(), issuer, repository: build.repository.clone() };
        let engine = self.order(agent, issuer, call).await?;
        let mut context = Vec::new();
        (&build.context).read_to_end(&mut context).expect("a test's files can be read");
        let built = match engine.build(&build.repository, context.into()).await {
            Ok(_) => engine.push(&build.repository).await,
            Err(err) => Err(err),
        };
        self.answer(agent, built.map_err(|err| failed(&node, &err)))
    }

    async fn pull(&self, agent: &Agent, issuer: Issuer, image: &ImageRef) -> Result<(), Error> {
        let node = agent.node.clone();
        let call = Call::Pull { node: node.clone(), issuer, image: image.clone() };
        let engine = self.order(agent, issuer, call).await?;
        let pulled = engine.pull(image).await;
        self.answer(agent, pulled.map_err(|err| failed(&node, &err)))
    }

    async fn probe(&self, agent: &Agent, name: &ContainerName) -> Result<Probe, Error> {
        let node = agent.node.clone();
        let engine = self.reach(agent, Call::Probe { node, name: name.clone() }).await?;
        let found = engine.containers().into_iter().find(|container| container.name == *name);
        Ok(match found.map(|container| (container.state, container.image)) {
            None => Probe::Absent,
            Some((ContainerState::Exited { code, out_of_memory, .. }, _)) => {
                Probe::Exited { code, out_of_memory, crash_loop: false }
            }
            Some((ContainerState::Created, _)) => Probe::NotListening { listening: Vec::new() },
            Some((ContainerState::Running { .. }, image)) => self.next_probe(&image),
        })
    }

    async fn logs(
        &self,
        agent: &Agent,
        name: &ContainerName,
        tail: usize,
        follow: Follow,
    ) -> Result<LineStream, Error> {
        let node = agent.node.clone();
        let call = Call::Logs { node: node.clone(), name: name.clone() };
        let engine = self.reach(agent, call).await?;
        engine.logs(name, tail, follow).await.map_err(|err: containers::Error| failed(&node, &err))
    }

    async fn samples(&self, agent: &Agent) -> Result<SampleStream, Error> {
        self.reach(agent, Call::Samples { node: agent.node.clone() }).await?;
        Ok(samples::stream(self.clone(), agent.node.clone()))
    }

    async fn announce(&self, agent: &Agent, issuer: Issuer) -> Result<(), Error> {
        let call = Call::Announce { node: agent.node.clone(), issuer };
        self.reach(agent, call).await?;
        self.with(&agent.node, |node| node.admit(issuer))
    }
    async fn disk(&self, agent: &Agent) -> Result<Disk, Error> {
        self.with_disk(agent, |_, disk| Ok(disk.clone())).await
    }

    /// All that may go goes, or would.
    async fn collect(&self, agent: &Agent, collection: &Collection) -> Result<Collected, Error> {
        self.with_disk(agent, |_, disk| Ok(collected(disk, *collection))).await
    }

    async fn pin(&self, agent: &Agent, issuer: Issuer, pins: &[Pin]) -> Result<(), Error> {
        self.with_disk(agent, |node, _| {
            node.admit(issuer)?;
            node.pins = pins.to_vec();
            Ok(())
        })
        .await
    }

    async fn need(&self, agent: &Agent, issuer: Issuer, needs: &Needs) -> Result<(), Error> {
        self.with_disk(agent, |node, _| {
            node.admit(issuer)?;
            node.needs = Some(needs.clone());
            Ok(())
        })
        .await
    }
}

impl MemoryNodes {
    /// What concerns the disk is no call that tests count.
    async fn with_disk<T>(
        &self,
        agent: &Agent,
        look: impl FnOnce(&mut super::Node, &mut Disk) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let node = &agent.node;
        if self.with(node, |node| node.reach) == Reach::Hung {
            tokio::time::sleep(DEADLINE).await;
        }
        self.with(node, |found| {
            let disk = found.disk.clone().filter(|_| found.reach == Reach::Up);
            let mut disk = disk.ok_or_else(|| unreachable(node, "it says nothing of its disk"))?;
            let seen = look(found, &mut disk);
            found.disk = Some(disk);
            seen
        })
    }
}

fn collected(disk: &mut Disk, collection: Collection) -> Collected {
    let before = disk.space;
    let outcome = |item: &Item| Outcome {
        kind: item.kind,
        digest: item.digest.clone(),
        names: item.names.clone(),
        own_bytes: item.own_bytes,
        stays: None,
    };
    let bundle = |bundle: &Bundle| Outcome {
        kind: Kind::Bundle,
        digest: bundle.digest.clone(),
        names: Vec::new(),
        own_bytes: bundle.bytes,
        stays: None,
    };
    let images = disk.collectable().map(outcome);
    let items = images.chain(disk.collectable_bundles().map(bundle)).collect();
    if collection.mode == Mode::Remove {
        disk.space.free_bytes += disk.collectable_bytes();
        disk.images.retain(|item| !item.is_collectable());
        disk.bundles.retain(|bundle| !bundle.is_collectable());
    }
    Collected { mode: collection.mode, before, after: disk.space, items }
}
