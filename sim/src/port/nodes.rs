//! The nodes' agents.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use common::digest::ImageRef;
use common::failure::{Failure, FailureCode};
use common::name::{ContainerName, NodeName};
use common::port::Nodes;
use common::port::container::{Container, ContainerSpec};
use common::port::containers::{Follow, LineStream};
use common::port::nodes::{Agent, Build, Error, Issuer, Probe, Removal, Sample, SampleStream};
use common::service::ServiceName;
use futures::{StreamExt as _, stream};
use testkit::MemoryNodes;

use super::mischief;
use crate::call::CallKind;
use crate::checker::ServedFrom;
use crate::gate::{Call, Gate, Lost};
use crate::plant::Plant;
use crate::step::Step;
use crate::world::World;

/// How late a gray node answers, at most.
const GRAY: (u64, u64) = (300, 2500);

#[derive(Debug)]
pub(crate) struct SimNodes {
    gate: Gate,
}

impl SimNodes {
    pub(crate) fn new(gate: Gate) -> Self {
        SimNodes { gate }
    }

    fn inner(&self) -> &MemoryNodes {
        &self.gate.world.truth.nodes
    }
}

fn unreachable(node: &NodeName) -> Error {
    Error::Unreachable { node: node.clone(), source: "simulated".into() }
}

pub(super) fn lost(node: &NodeName) -> impl Fn(Lost) -> Error + Send + 'static {
    let node = node.clone();
    move |_| unreachable(&node)
}

/// Whether the way to a node is open; through a gray one it takes long.
pub(super) async fn way(gate: &Gate, node: &NodeName) -> Result<(), Error> {
    let (cut, slow) = {
        let faults = gate.world.faults();
        let cut = faults.cut_nodes.contains(&(gate.life.service, node.clone()));
        (cut, faults.slow_nodes.contains(node))
    };
    if cut {
        return Err(unreachable(node));
    }
    if slow {
        let (span, is_lost) = {
            let mut dice = gate.world.dice();
            (dice.millis(GRAY.0, GRAY.1), dice.happens(1000))
        };
        gate.world.stage.sleep(span).await;
        if is_lost {
            return Err(unreachable(node));
        }
    }
    Ok(())
}

#[async_trait]
impl Nodes for SimNodes {
    async fn ensure(
        &self,
        agent: &Agent,
        issuer: Issuer,
        spec: &ContainerSpec,
    ) -> Result<Container, Error> {
        let (world, node) = (&self.gate.world, &agent.node);
        let (name, generation, port) = (spec.name(), spec.generation, spec.host_port);
        let what = world.essence(format_args!(
            "ensure {name} of generation {generation} at {port} on {node}, epoch {}",
            issuer.epoch
        ));
        let call = Call { kind: CallKind::NodesEnsure, what, step: &|| Some(Step::Ensure) };
        let (gate, agent, spec) = (self.gate.clone(), agent.clone(), spec.clone());
        let body = move |_| async move {
            way(&gate, &agent.node).await?;
            let before = served_from(&gate, &agent);
            let made = mischief::ensure(&gate, &agent, issuer, &spec).await;
            check_taken_away(&gate, &before, "an ensure");
            if made.is_ok() {
                gate.world.checker().order_taken(&agent.node, issuer, &gate.life);
                crash(&gate.world, &agent.node, &spec);
            }
            made
        };
        self.gate.order(call, lost(node), body).await
    }

    async fn remove(&self, agent: &Agent, issuer: Issuer, removal: &Removal) -> Result<(), Error> {
        let (world, node) = (&self.gate.world, &agent.node);
        let Removal { name, generation } = removal;
        let what = world.essence(format_args!(
            "remove {name} of generation {generation} from {node}, epoch {}",
            issuer.epoch
        ));
        let call = Call { kind: CallKind::NodesRemove, what, step: &|| Some(Step::Remove) };
        let (gate, agent, removal) = (self.gate.clone(), agent.clone(), removal.clone());
        let body = move |_| async move {
            way(&gate, &agent.node).await?;
            let before = served_from(&gate, &agent);
            let removed = mischief::remove(&gate, &agent, issuer, &removal).await;
            check_taken_away(&gate, &before, "a remove");
            if removed.is_ok() {
                gate.world.checker().order_taken(&agent.node, issuer, &gate.life);
            }
            removed
        };
        self.gate.order(call, lost(node), body).await
    }

    async fn list(&self, agent: &Agent) -> Result<Vec<Container>, Error> {
        let node = &agent.node;
        let what = self.gate.world.essence(format_args!("list {node}"));
        let listed = async {
            way(&self.gate, node).await?;
            self.inner().list(agent).await
        };
        let listed = self.gate.ask(CallKind::NodesList, what, lost(node), listed).await?;
        Ok(mischief::listed(&self.gate, listed))
    }

    async fn build(&self, agent: &Agent, issuer: Issuer, build: Build) -> Result<ImageRef, Error> {
        let node = &agent.node;
        let what = self.gate.world.essence(format_args!("build {} on {node}", build.repository));
        let call = Call { kind: CallKind::NodesBuild, what, step: &|| Some(Step::BuildImage) };
        let (gate, agent) = (self.gate.clone(), agent.clone());
        let body = move |_| async move {
            way(&gate, &agent.node).await?;
            if gate.world.truth.fails_to_build(&build.repository) {
                let failure = Failure::new(FailureCode::BuildFailed, "simulated");
                return Err(Error::Failed { node: agent.node, failure });
            }
            gate.world.truth.nodes.build(&agent, issuer, build).await
        };
        self.gate.order(call, lost(node), body).await
    }

    async fn pull(&self, agent: &Agent, issuer: Issuer, image: &ImageRef) -> Result<(), Error> {
        let node = &agent.node;
        let what = self.gate.world.essence(format_args!("pull {image} on {node}"));
        let call = Call { kind: CallKind::NodesEnsure, what, step: &|| None };
        let (gate, agent, image) = (self.gate.clone(), agent.clone(), image.clone());
        let body = move |_| async move {
            way(&gate, &agent.node).await?;
            gate.world.truth.nodes.pull(&agent, issuer, &image).await
        };
        self.gate.order(call, lost(node), body).await
    }

    async fn probe(&self, agent: &Agent, name: &ContainerName) -> Result<Probe, Error> {
        let (world, node) = (Arc::clone(&self.gate.world), &agent.node);
        let what = world.essence(format_args!("probe {name} on {node}"));
        let looked = async {
            way(&self.gate, node).await?;
            if world.has(Plant::ProbesLie) {
                return Ok(Probe::Healthy);
            }
            self.inner().probe(agent, name).await
        };
        let call = Call { kind: CallKind::NodesProbe, what, step: &|| Some(Step::Probe) };
        self.gate.look(call, lost(node), looked).await
    }

    async fn logs(
        &self,
        agent: &Agent,
        name: &ContainerName,
        tail: usize,
        follow: Follow,
    ) -> Result<LineStream, Error> {
        let node = &agent.node;
        let what = self.gate.world.essence(format_args!("output of {name} on {node}"));
        let logs = self.inner().logs(agent, name, tail, follow);
        self.gate.ask(CallKind::NodesList, what, lost(node), logs).await
    }

    async fn samples(&self, agent: &Agent) -> Result<SampleStream, Error> {
        let node = &agent.node;
        let what = self.gate.world.essence(format_args!("samples of {node}"));
        let opened = async {
            way(&self.gate, node).await?;
            self.inner().samples(agent).await
        };
        let samples = self.gate.ask(CallKind::NodesSamples, what, lost(node), opened).await?;
        let (gate, node) = (self.gate.clone(), node.clone());
        let ear = gate.clone();
        let is_balancer = gate.life.service == ServiceName::LoadBalancer;
        let balances = gate.world.truth.balances.load(Ordering::Relaxed);
        if gate.life.service != ServiceName::NodeManager && !(is_balancer && balances) {
            // Nothing is decided by what others hear.
            return Ok(stream::pending().boxed());
        }
        if gate.world.has(Plant::DeadNodesSpeak) {
            let mut samples = samples;
            return match samples.next().await {
                Some(Ok(first)) => Ok(echo(gate, first)),
                Some(Err(err)) => Err(err),
                None => Err(unreachable(&node)),
            };
        }
        let heard = samples.then(move |sample| on_its_way(gate.clone(), node.clone(), sample));
        Ok(if is_balancer { mischief::spoken_for(&ear, heard.boxed()) } else { heard.boxed() })
    }

    async fn announce(&self, agent: &Agent, issuer: Issuer) -> Result<(), Error> {
        let (world, node) = (&self.gate.world, &agent.node);
        let what = world.essence(format_args!("announce epoch {} to {node}", issuer.epoch));
        let call = Call { kind: CallKind::NodesAnnounce, what, step: &|| None };
        let (gate, agent) = (self.gate.clone(), agent.clone());
        let body = move |_| async move {
            way(&gate, &agent.node).await?;
            gate.world.truth.nodes.announce(&agent, issuer).await?;
            if issuer.service == ServiceName::LifecycleManager {
                // One agent keeps both.
                gate.world.truth.fleet.parts.hear(&agent.node, issuer)?;
            }
            gate.world.checker().order_taken(&agent.node, issuer, &gate.life);
            Ok(())
        };
        self.gate.order(call, lost(node), body).await
    }
}

fn served_from(gate: &Gate, agent: &Agent) -> ServedFrom {
    ServedFrom::now(&gate.world.truth, &agent.node, gate.world.stage.now())
}

fn check_taken_away(gate: &Gate, before: &ServedFrom, order: &str) {
    gate.world.checker().check_taken_away(&gate.world.truth, before, order);
}

/// Some images hold a program that ends at once.
fn crash(world: &World, node: &NodeName, spec: &ContainerSpec) {
    if world.truth.crashes(&spec.image) {
        world.truth.nodes.engine(node).exit(&spec.name(), 1);
    }
}

/// The last sample of a node again and again, whatever became of it.
fn echo(gate: Gate, sample: Sample) -> SampleStream {
    let repeat = stream::unfold((gate, sample), |(gate, sample)| async move {
        gate.world.stage.sleep(Duration::from_millis(500)).await;
        gate.alive().await;
        Some((Ok(sample.clone()), (gate, sample)))
    });
    repeat.boxed()
}

/// A sample that comes through a cut way never arrives; through a gray one it comes late.
async fn on_its_way(
    gate: Gate,
    node: NodeName,
    mut sample: Result<Sample, Error>,
) -> Result<Sample, Error> {
    gate.alive().await;
    if let Ok(sample) = &mut sample {
        mischief::sampled(&gate, sample);
    }
    if way(&gate, &node).await.is_err() {
        gate.world.stage.sleep(Duration::from_secs(3)).await;
        return Err(unreachable(&node));
    }
    sample
}
