//! The fake keeps the contract, and its faults are the faults they say.

use common::digest::Digest;
use common::port::Parts as _;
use common::port::container::ContainerState;
use common::service::ServiceName;

use super::*;
use crate::clock::ManualClock;
use crate::contract::parts::{World, holds, spec};

struct Simulated {
    nodes: MemoryParts,
    agent: Agent,
    engine: MemoryPartContainers,
}

fn simulated() -> Simulated {
    let nodes = MemoryParts::new(Arc::new(ManualClock::ticking()));
    let agent = nodes.add("node-1");
    let engine = nodes.engine(&agent.node);
    Simulated { nodes, agent, engine }
}

impl World for Simulated {
    fn parts(&self) -> &dyn common::port::Parts {
        &self.nodes
    }

    fn agent(&self) -> &Agent {
        &self.agent
    }

    fn engine(&self) -> &MemoryPartContainers {
        &self.engine
    }

    fn registry(&self) -> &MemoryRegistry {
        &self.nodes.registry
    }
}

const ISSUER: Issuer = Issuer { service: ServiceName::LifecycleManager, epoch: Epoch(1) };

/// A node that runs one part.
async fn running() -> (Simulated, PartSpec) {
    let world = simulated();
    let spec = spec("kafka", PartImage::Id(Digest::of(b"kafka")));
    world.nodes.place_image(&world.agent.node, &spec.image);
    world.nodes.ensure_part(&world.agent, ISSUER, &spec).await.unwrap();
    (world, spec)
}

fn runs(world: &Simulated) -> bool {
    let parts = world.nodes.parts_of(&world.agent.node);
    parts.iter().any(|part| matches!(part.state, ContainerState::Running { .. }))
}

#[tokio::test(start_paused = true)]
async fn the_contract_is_kept() {
    holds(&simulated()).await;
}

#[tokio::test(start_paused = true)]
async fn a_partitioned_node_runs_on_unheard_and_one_that_hangs_answers_nobody() {
    let (world, _) = running().await;
    for reach in [Reach::Partitioned, Reach::Hung] {
        world.nodes.set_reach(&world.agent.node, reach).await;
        let listed = world.nodes.parts(&world.agent).await;
        assert!(matches!(listed, Err(Error::Unreachable { .. })), "{listed:?}");
        assert!(runs(&world));
    }
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
    world.nodes.lose_answers(&world.agent.node, 1);
    let registry = "192.0.2.9:5000".parse().unwrap();
    let lost = world.nodes.registry_at(&world.agent, ISSUER, registry).await;
    assert!(matches!(lost, Err(Error::Unreachable { .. })));
    assert_eq!(world.nodes.told_registry(&world.agent.node), Some(registry));
    world.nodes.restart_part(&world.agent, ISSUER, &spec.name).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_slow_node_answers_late() {
    let (world, _) = running().await;
    world.nodes.set_delay(&world.agent.node, Duration::from_secs(3));
    let asked = world.nodes.parts(&world.agent);
    assert!(tokio::time::timeout(Duration::from_secs(2), asked).await.is_err());
    assert_eq!(world.nodes.parts(&world.agent).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn health_is_what_the_test_says_while_a_part_runs() {
    let (world, spec) = running().await;
    let healthy = async || world.nodes.parts(&world.agent).await.unwrap()[0].healthy;
    assert_eq!(healthy().await, Some(true));
    world.nodes.set_healthy(&world.agent.node, &spec.name, false);
    assert_eq!(healthy().await, Some(false));
    world.engine.exit(&spec.name, 1);
    assert_eq!(healthy().await, None);
}

#[tokio::test(start_paused = true)]
async fn calls_are_recorded_in_words() {
    let (world, spec) = running().await;
    world.nodes.part_logs(&world.agent, &spec.name, 5).await.unwrap();
    let calls: Vec<String> = world.nodes.calls().iter().map(ToString::to_string).collect();
    assert_eq!(calls, ["ensure kafka on node-1", "logs of kafka on node-1"]);
    assert_eq!(world.nodes.seen_epoch(&world.agent.node), Some(Epoch(1)));
    assert_eq!(world.nodes.told(&world.agent.node, &spec.name), Some(spec));
}
