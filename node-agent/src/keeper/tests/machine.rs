//! A machine with a simulated engine, and agents that begin and crash on it.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use common::digest::{Digest, ImageRef};
use common::id::{Generation, SlotNumber};
use common::port::Cause;
use common::port::container::{ContainerSpec, ContainerState, Limits};
use tempfile::TempDir;
use testkit::{
    ManualClock, MemoryBlobs, MemoryContainers, MemoryPartContainers, MemoryRegistry, MemoryShares,
};
use tokio::time::Instant;

use super::super::*;
use crate::config::Config;
use crate::ports::{Alone, Firewall, Ports, Rules};

#[derive(Debug, Default)]
pub(super) struct Gate {
    pub(super) opens: AtomicBool,
}

#[async_trait]
impl Firewall for Gate {
    async fn apply(&self, _: &Rules) -> Result<(), Cause> {
        if self.opens.load(Ordering::Relaxed) { Ok(()) } else { Err("no such program".into()) }
    }
}

/// A machine: what outlives the agent.
pub(super) struct Machine {
    pub(super) engine: MemoryContainers,
    pub(super) clock: Arc<ManualClock>,
    pub(super) gate: Arc<Gate>,
    pub(super) image: ImageRef,
    pub(super) data: TempDir,
}

impl Machine {
    pub(super) fn new() -> Self {
        let clock = Arc::new(ManualClock::ticking());
        let registry = MemoryRegistry::default();
        let image = ImageRef::new("example.org/shop", Digest::of(b"shop")).unwrap();
        registry.offer(&image);
        let engine = MemoryContainers::new(Arc::clone(&clock) as _, registry);
        let gate = Arc::new(Gate { opens: AtomicBool::new(true) });
        Machine { engine, clock, gate, image, data: tempfile::tempdir().unwrap() }
    }

    /// Runs an agent on this machine while `test` lasts; then the agent crashes.
    pub(super) async fn with_agent(&self, test: impl AsyncFnOnce(&Agent)) {
        let agent = Arc::new(Agent::open(self.ports(), self.config()).unwrap());
        let lifecycle = Lifecycle::new();
        let running =
            futures::future::join(agent.wall.hold_up(&lifecycle), run(&agent, &lifecycle));
        tokio::select! {
            biased;
            _ = running => panic!("the keeper ended"),
            () = test(&agent) => {}
        }
    }

    pub(super) fn ports(&self) -> Ports {
        Ports {
            containers: Arc::new(self.engine.clone()),
            parts: Arc::new(MemoryPartContainers::new(
                Arc::clone(&self.clock) as _,
                MemoryRegistry::default(),
            )),
            shares: Arc::new(MemoryShares::default()),
            blobs: Arc::new(MemoryBlobs::new()),
            firewall: Arc::clone(&self.gate) as _,
            neighbours: Arc::new(Alone),
            clock: Arc::clone(&self.clock) as _,
        }
    }

    pub(super) fn config(&self) -> Config {
        let folder = self.data.path().to_owned();
        Config {
            blob_bytes: 8 << 20,
            firewall: Some(Rules::default()),
            ..Config::in_one_folder(folder)
        }
    }

    pub(super) fn spec(&self) -> ContainerSpec {
        ContainerSpec {
            instance: "shop".parse().unwrap(),
            slot: SlotNumber(1),
            generation: Generation(1),
            image: self.image.clone(),
            container_port: 8080,
            host_port: 20_000,
            environment: [].into(),
            limits: Limits::default(),
            read_only: false,
            files: Vec::new(),
            health_path: None,
        }
    }

    pub(super) fn runs(&self) -> bool {
        let running = |state: &ContainerState| matches!(state, ContainerState::Running { .. });
        self.engine.containers().iter().any(|container| running(&container.state))
    }

    /// Waits until it is so; gives how long it took.
    pub(super) async fn until(&self, so: impl Fn(&Self) -> bool) -> Duration {
        let began = Instant::now();
        while !so(self) {
            assert!(began.elapsed() < Duration::from_mins(5), "it never happens");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        began.elapsed()
    }
}
