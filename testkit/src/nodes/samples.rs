//! The stream of samples of a simulated node, on tokio's time.

use std::time::Duration;

use common::name::NodeName;
use common::port::container::{Container, ContainerState};
use common::port::nodes::{ContainerUse, Error, Measured, NodeUse, Probe, Sample, SampleStream};
use futures::StreamExt as _;
use futures::stream;
use tokio::time::{Interval, MissedTickBehavior};

use super::node::Node;
use super::port::unreachable;
use super::{MemoryNodes, Reach};

const EVERY: Duration = Duration::from_millis(100);

/// How long a reader takes silence for a pause.
const SILENCE: Duration = Duration::from_secs(2);

pub(super) fn stream(nodes: MemoryNodes, node: NodeName) -> SampleStream {
    let every = nodes.world().sample_period.unwrap_or(EVERY);
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let open = Some((nodes, node, ticks));
    stream::unfold(open, |open| async move {
        let (nodes, node, ticks) = open?;
        Some(next(nodes, node, ticks).await)
    })
    .boxed()
}

type Open = Option<(MemoryNodes, NodeName, Interval)>;

/// The next sample, or the end of the stream: a dead node's connection is reset, a partitioned or
/// hung one falls silent.
async fn next(
    nodes: MemoryNodes,
    node: NodeName,
    mut ticks: Interval,
) -> (Result<Sample, Error>, Open) {
    let mut silent = Duration::ZERO;
    loop {
        ticks.tick().await;
        match nodes.with(&node, |node| node.reach) {
            Reach::Up => {
                let sample = nodes.sample(&node);
                return (Ok(sample), Some((nodes, node, ticks)));
            }
            Reach::Dead => return (Err(unreachable(&node, "connection reset")), None),
            Reach::Partitioned | Reach::Hung => {
                silent += ticks.period();
                if silent >= SILENCE {
                    return (Err(unreachable(&node, "no sample in time")), None);
                }
            }
        }
    }
}

impl MemoryNodes {
    fn sample(&self, node: &NodeName) -> Sample {
        let at = self.clock.now();
        let held = self.containers(node);
        let containers = held.iter().map(|container| self.measure(node, container)).collect();
        Sample { at, node: self.with(node, |node| promised(node)), containers }
    }

    fn measure(&self, node: &NodeName, container: &Container) -> ContainerUse {
        let running = matches!(container.state, ContainerState::Running { .. });
        let uses = self.with(node, |node| node.uses.get(&container.name).copied());
        let (cpu_percent, memory_percent) = uses.unwrap_or((1.0, 10.0));
        let failed_looks = self.with(node, |node| node.failed_looks.get(&container.name).copied());
        let failed_looks = failed_looks.unwrap_or_default();
        let is_well = failed_looks == 0 && self.scripted(container) == Probe::Healthy;
        ContainerUse {
            name: container.name.clone(),
            id: container.id.clone(),
            generation: container.generation,
            host_port: container.host_port,
            running,
            healthy: Some(running && is_well),
            failed_looks,
            cpu_percent,
            memory_percent,
            restarts: self.engine(node).starts(&container.name).saturating_sub(1),
            ended_ill: self.with(node, |node| node.ended_ill.get(&container.name).copied()),
            measured: running.then_some(Measured { cpu_percent, memory_percent }),
        }
    }

    /// What the next look would find, without looking.
    fn scripted(&self, container: &Container) -> Probe {
        let world = self.world();
        let script = world.probes.get(&container.image);
        script.and_then(|probes| probes.front().cloned()).unwrap_or(Probe::Healthy)
    }
}

fn promised(node: &Node) -> NodeUse {
    let limits = || node.ledger.values().map(|told| told.spec.limits);
    NodeUse {
        memory_promised_bytes: limits().map(|limits| limits.memory_bytes).sum(),
        cpu_millis_promised: limits().map(|limits| limits.cpu_millis).sum(),
        ..node.measured
    }
}
