//! Ten samples a second, each sent to whoever reads them.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use common::port::nodes::{ContainerUse, Measured, Sample};
use tokio::time::MissedTickBehavior;

use super::cgroup::Group;
use super::latest::Latest;
use super::machine::Machine;
use crate::agent::Agent;
use crate::domain::usage::{CpuWindow, percent};
use crate::replicas::Replica;

const EVERY: Duration = Duration::from_millis(100);
/// A container whose group is not there is looked for again after so many samples.
const LOOK_AGAIN: u32 = 10;

/// What is kept of one container between samples.
#[derive(Debug, Default)]
struct Gauge {
    group: Option<Group>,
    window: CpuWindow,
    missed: u32,
}

/// Percentages of a container's own limits; zero, and nothing measured, while the kernel shows nothing.
#[derive(Debug, Clone, Copy, Default)]
struct Taken {
    cpu_percent: f64,
    memory_percent: f64,
    measured: Option<Measured>,
}

/// Measures a machine and its containers, again and again.
#[derive(Debug)]
pub struct Sampler<'a> {
    agent: &'a Agent,
    machine: Machine,
    gauges: BTreeMap<String, Gauge>,
}

/// Runs until the process stops.
pub(crate) async fn run(agent: &Agent, lifecycle: &Lifecycle) {
    let beat = lifecycle.beat("sampler");
    let mut sampler = Sampler::new(agent);
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            biased;
            () = lifecycle.stopping() => return,
            _ = ticks.tick() => {}
        }
        beat.now();
        let sample = sampler.take();
        if agent.samples.receiver_count() > 0 {
            agent.samples.send_replace(Latest::new(sample));
        }
    }
}

impl<'a> Sampler<'a> {
    pub(crate) fn new(agent: &'a Agent) -> Self {
        let folders = &agent.config;
        let machine = Machine::new(&folders.cgroup_folder, &folders.proc_folder, &folders.disk);
        Sampler { agent, machine, gauges: BTreeMap::new() }
    }

    /// One sample of everything.
    pub fn take(&mut self) -> Sample {
        let agent = self.agent;
        let now = agent.now();
        let replicas = agent.replicas.all();
        let there: HashSet<&str> = replicas.iter().map(|one| one.container.id.as_str()).collect();
        self.gauges.retain(|id, _| there.contains(id.as_str()));
        let containers = replicas.iter().map(|replica| self.measure(replica, now)).collect();
        let ledger = agent.ledger.read();
        let promised = ledger.containers().specs().map(|spec| &spec.limits);
        let node = self.machine.measure(now, promised);
        Sample { at: agent.ports.clock.now(), node, containers }
    }

    fn measure(&mut self, replica: &Replica, now: Duration) -> ContainerUse {
        let gauge = self.gauges.entry(replica.container.id.clone()).or_default();
        let taken = if replica.is_running() {
            gauge.measure(self.agent, &replica.container.id, now)
        } else {
            *gauge = Gauge::default();
            Taken::default()
        };
        container_use(replica, taken)
    }
}

fn container_use(replica: &Replica, taken: Taken) -> ContainerUse {
    let container = &replica.container;
    ContainerUse {
        name: container.name.clone(),
        id: container.id.clone(),
        generation: container.generation,
        host_port: container.host_port,
        running: replica.is_running(),
        healthy: replica.healthy,
        failed_looks: replica.looks.failed_in_a_row(),
        cpu_percent: taken.cpu_percent,
        memory_percent: taken.memory_percent,
        restarts: replica.history.restarts(),
        ended_ill: replica.ended_ill,
        measured: taken.measured,
    }
}

impl Gauge {
    fn measure(&mut self, agent: &Agent, id: &str, now: Duration) -> Taken {
        if self.group.is_none() && self.missed.is_multiple_of(LOOK_AGAIN) {
            self.group = Group::of_container(&agent.config.cgroup_folder, id);
        }
        let Some(group) = &self.group else {
            self.missed += 1;
            return Taken::default();
        };
        let Ok(reading) = group.read() else {
            // The process ended, and its group with it.
            *self = Gauge::default();
            return Taken::default();
        };
        self.window.push(now, reading.cpu_nanoseconds);
        let millis = group.limits.cpu_millis;
        let memory = group.limits.memory_bytes.map(|limit| percent(reading.memory_bytes, limit));
        let newest = millis.and_then(|millis| self.window.newest_percent_of(millis));
        let measured = newest.zip(memory);
        Taken {
            cpu_percent: millis.map_or(0.0, |millis| self.window.percent_of(millis)),
            memory_percent: memory.unwrap_or_default(),
            measured: measured
                .map(|(cpu_percent, memory_percent)| Measured { cpu_percent, memory_percent }),
        }
    }
}
