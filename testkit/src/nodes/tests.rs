//! The fake keeps the contract, and its faults are the faults they say.

use std::any::Any;
use std::sync::atomic::{AtomicU16, Ordering};

use async_trait::async_trait;
use common::digest::Digest;
use common::id::{Generation, SlotNumber};
use common::port::Nodes;
use common::port::container::{ContainerSpec, ContainerState, Limits};
use common::port::nodes::{Error, Issuer};
use futures::StreamExt as _;

use super::*;
use crate::clock::ManualClock;
use crate::contract::nodes::{World, holds};

struct Simulated {
    nodes: MemoryNodes,
    agent: Agent,
    engine: MemoryContainers,
    next: AtomicU16,
}

fn simulated() -> Simulated {
    let nodes = MemoryNodes::new(Arc::new(ManualClock::default()));
    let agent = nodes.add("node-1");
    let engine = nodes.engine(&agent.node);
    Simulated { nodes, agent, engine, next: AtomicU16::new(20_000) }
}

#[async_trait]
impl World for Simulated {
    fn nodes(&self) -> &dyn Nodes {
        &self.nodes
    }

    fn agent(&self) -> &Agent {
        &self.agent
    }

    fn engine(&self) -> &MemoryContainers {
        &self.engine
    }

    fn registry(&self) -> &MemoryRegistry {
        &self.nodes.registry
    }

    fn fresh_port(&self) -> u16 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    async fn serve(&self, _: u16) -> Box<dyn Any + Send> {
        Box::new(())
    }
}

fn spec(image: &ImageRef) -> ContainerSpec {
    ContainerSpec {
        instance: "shop".parse().unwrap(),
        slot: SlotNumber(1),
        generation: Generation(1),
        image: image.clone(),
        container_port: 8080,
        host_port: 20_000,
        environment: [].into(),
        limits: Limits::default(),
        read_only: false,
        files: Vec::new(),
        health_path: None,
    }
}

const ISSUER: Issuer = Issuer { service: ServiceName::DeploymentManager, epoch: Epoch(1) };

/// A node that runs one container.
async fn running() -> (Simulated, ContainerSpec) {
    let world = simulated();
    let image = ImageRef::new("example.org/shop", Digest::of(b"shop")).unwrap();
    world.nodes.offer_image(&image);
    let spec = spec(&image);
    world.nodes.ensure(&world.agent, ISSUER, &spec).await.unwrap();
    (world, spec)
}

fn runs(world: &Simulated) -> bool {
    let containers = world.nodes.containers(&world.agent.node);
    containers.iter().any(|held| matches!(held.state, ContainerState::Running { .. }))
}

#[tokio::test(start_paused = true)]
async fn the_contract_is_kept() {
    holds(&simulated()).await;
}

#[tokio::test(start_paused = true)]
async fn a_partitioned_node_runs_on_unheard() {
    let (world, _) = running().await;
    let mut samples = world.nodes.samples(&world.agent).await.unwrap();
    assert!(matches!(samples.next().await, Some(Ok(_))));
    world.nodes.set_reach(&world.agent.node, Reach::Partitioned).await;
    let unheard = samples.next().await;
    assert!(matches!(unheard, Some(Err(Error::Unreachable { .. }))), "{unheard:?}");
    assert!(samples.next().await.is_none());
    let listed = world.nodes.list(&world.agent).await;
    assert!(matches!(listed, Err(Error::Unreachable { .. })));
    assert!(runs(&world));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_gets_its_power_back_brings_its_ledger_back() {
    let (world, _) = running().await;
    world.nodes.set_reach(&world.agent.node, Reach::Dead).await;
    assert!(!runs(&world));
    world.nodes.set_reach(&world.agent.node, Reach::Up).await;
    assert!(runs(&world));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_has_had_its_effect() {
    let (world, spec) = running().await;
    let newer = ContainerSpec { generation: Generation(2), ..spec };
    world.nodes.lose_answers(&world.agent.node, 1);
    let lost = world.nodes.ensure(&world.agent, ISSUER, &newer).await;
    assert!(matches!(lost, Err(Error::Unreachable { .. })));
    let found = world.nodes.ensure(&world.agent, ISSUER, &newer).await.unwrap();
    assert_eq!(found.generation, Generation(2));
    assert_eq!(world.engine.starts(&newer.name()), 2, "the repeat found it running");
}

#[tokio::test(start_paused = true)]
async fn probes_follow_their_script() {
    let (world, spec) = running().await;
    let silent = Probe::NotListening { listening: vec!["127.0.0.1:5000".to_owned()] };
    world.nodes.script_probes(&spec.image, [silent.clone(), Probe::Healthy]);
    let look = async || world.nodes.probe(&world.agent, &spec.name()).await.unwrap();
    assert_eq!(look().await, silent);
    assert_eq!(look().await, Probe::Healthy);
    assert_eq!(look().await, Probe::Healthy);
    world.engine.exit_out_of_memory(&spec.name());
    let ended = Probe::Exited { code: 137, out_of_memory: true, crash_loop: false };
    assert_eq!(look().await, ended);
}

#[tokio::test(start_paused = true)]
async fn calls_are_recorded_in_words() {
    let (world, spec) = running().await;
    world.nodes.announce(&world.agent, ISSUER).await.unwrap();
    world.nodes.probe(&world.agent, &spec.name()).await.unwrap();
    let calls: Vec<String> = world.nodes.calls().iter().map(ToString::to_string).collect();
    assert_eq!(
        calls,
        [
            "ensure shop_instance_1 on node-1",
            "announce deployment-manager 1 to node-1",
            "probe shop_instance_1 on node-1",
        ]
    );
}
