//! Parts on a simulated engine, in paused time.

mod code;
mod consent;
mod silence;

use std::os::unix::fs::MetadataExt as _;

use common::failure::FailureCode;
use common::id::Generation;
use common::port::part::{Member, PartFile, PartFolders, PartHealth, PartVolume, VolumeSource};
use common::port::part_containers::MountSource;
use common::service::ServiceName;
use tempfile::TempDir;
use testkit::containers::Health;
use testkit::{ManualClock, MemoryPartContainers, MemoryRegistry, MemoryShare, MemoryShares};

use super::*;
use crate::domain::silence::STEADY_FOR;
use crate::ports::Alone;

const ISSUER: Issuer = Issuer { service: ServiceName::LifecycleManager, epoch: Epoch(1) };
const PATIENCE: Duration = Duration::from_mins(5);

/// A machine: what outlives the agent.
struct Machine {
    engine: MemoryPartContainers,
    registry: MemoryRegistry,
    image: PartImage,
    share: MemoryShare,
    shares: MemoryShares,
    data: TempDir,
    node: NodeName,
    neighbours: Arc<dyn Neighbours>,
    /// So long a part may answer nothing.
    restart_after: Duration,
    /// So long it answers until it is back.
    steady_for: Duration,
}

impl Machine {
    fn new() -> Self {
        let registry = MemoryRegistry::default();
        let clock = Arc::new(ManualClock::ticking());
        let engine = MemoryPartContainers::new(clock, registry.clone());
        let image = PartImage::Id(Digest::of(b"kafka"));
        engine.place_image(&image);
        let (share, shares) = (MemoryShare::new("memory"), MemoryShares::default());
        let data = tempfile::tempdir().unwrap();
        let restart_after = Duration::from_mins(1);
        Machine {
            engine,
            registry,
            image,
            share,
            shares,
            data,
            node: "node-1".parse().unwrap(),
            neighbours: Arc::new(Alone),
            restart_after,
            steady_for: STEADY_FOR,
        }
    }

    fn parts(&self) -> Arc<Parts> {
        let ledger = Arc::new(Ledger::open(self.data.path()).unwrap());
        let (engine, shares) = (Arc::new(self.engine.clone()), Arc::new(self.shares.clone()));
        let neighbours = Arc::clone(&self.neighbours);
        let mut parts = Parts::new(engine, shares, neighbours, ledger, &self.config());
        parts.standing.steady_for = self.steady_for;
        Arc::new(parts)
    }

    /// Runs an agent on this machine while `test` lasts; then the agent crashes.
    async fn with_agent(&self, test: impl AsyncFnOnce(&Parts)) {
        self.run(&self.parts(), test).await;
    }

    async fn run(&self, parts: &Arc<Parts>, test: impl AsyncFnOnce(&Parts)) {
        let lifecycle = Lifecycle::new();
        let config = self.config();
        tokio::select! {
            biased;
            () = parts.run(&config, &lifecycle) => panic!("the keeper ended"),
            () = test(parts) => {}
        }
    }

    fn config(&self) -> Config {
        let folder = self.data.path().to_owned();
        let (node, restart_after) = (self.node.clone(), self.restart_after);
        Config { node, blob_bytes: 8 << 20, restart_after, ..Config::in_one_folder(folder) }
    }

    fn spec(&self) -> PartSpec {
        PartSpec {
            name: "kafka".parse().unwrap(),
            generation: Generation(3),
            image: self.image.clone(),
            command: Vec::new(),
            environment: [].into(),
            files: vec![PartFile { path: "/etc/kafka/key".to_owned(), content: "key".to_owned() }],
            volumes: vec![PartVolume {
                from: VolumeSource::Own("log".parse().unwrap()),
                path: "/data".to_owned(),
                read_only: false,
            }],
            user: std::fs::metadata(self.data.path()).unwrap().uid(),
            memory_bytes: 64 << 20,
            processes: 32,
            health: None,
            stop_seconds: 10,
            rights: Vec::new(),
        }
    }

    fn runs(&self) -> bool {
        let running = |state: &ContainerState| matches!(state, ContainerState::Running { .. });
        self.engine.parts().iter().any(|part| running(&part.state))
    }

    /// Waits until it is so; gives how long it took.
    async fn until(&self, so: impl Fn(&Self) -> bool) -> Duration {
        let began = Instant::now();
        while !so(self) {
            assert!(began.elapsed() < PATIENCE, "it never happens");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        began.elapsed()
    }

    fn removal(&self, data: PartFolders) -> PartRemoval {
        PartRemoval { name: self.spec().name, generation: Generation(3), data }
    }
}

fn code(result: Result<Part, Error>) -> FailureCode {
    result.unwrap_err().to_failure().code
}

#[tokio::test(start_paused = true)]
async fn a_part_that_ended_is_started_again_at_once_and_then_ever_later() {
    let machine = Machine::new();
    let name = machine.spec().name;
    machine
        .with_agent(async |parts| {
            parts.ensure(ISSUER, &machine.spec()).await.unwrap();
            let mut waits = Vec::new();
            for _ in 0..5 {
                machine.engine.exit(&name, 3);
                waits.push(machine.until(Machine::runs).await.as_secs());
            }
            assert_eq!(waits, [0, 1, 2, 4, 8]);
            let told = parts.list().await.unwrap();
            assert_eq!(told[0].restarts, 5);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_crashed_leaves_its_parts_alone_and_a_power_cut_brings_them_back() {
    let machine = Machine::new();
    let name = machine.spec().name;
    machine.with_agent(async |parts| drop(parts.ensure(ISSUER, &machine.spec()).await)).await;
    machine
        .with_agent(async |parts| {
            tokio::time::sleep(Duration::from_mins(1)).await;
            assert_eq!(machine.engine.starts(&name), 1);
            assert_eq!(parts.list().await.unwrap().len(), 1);
        })
        .await;
    machine.engine.reboot();
    machine
        .with_agent(async |_| {
            let took = machine.until(Machine::runs).await;
            assert!(took < Duration::from_secs(1), "{took:?}");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_was_away_gets_what_it_missed() {
    let machine = Machine::new();
    machine
        .with_agent(async |parts| {
            machine.engine.set_health(Health::Down);
            let unheard = parts.ensure(ISSUER, &machine.spec()).await;
            assert_eq!(code(unheard), FailureCode::NodeUnavailable);
            tokio::time::sleep(Duration::from_mins(1)).await;
            machine.engine.set_health(Health::Answers);
            machine.until(Machine::runs).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_started_gives_way_to_what_was_before() {
    let machine = Machine::new();
    let old = machine.spec();
    machine
        .with_agent(async |parts| {
            parts.ensure(ISSUER, &old).await.unwrap();
            machine.engine.refuse_to_start(&old.name, Some("exec format error"));
            let new = PartSpec { generation: Generation(4), ..old.clone() };
            assert_eq!(code(parts.ensure(ISSUER, &new).await), FailureCode::Internal);
            machine.engine.refuse_to_start(&old.name, None);
            let is_old = |machine: &Machine| {
                machine.engine.parts().iter().any(|part| part.spec_hash == old.hash())
            };
            machine.until(|machine| machine.runs() && is_old(machine)).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_image_is_fetched_and_what_nobody_has_disturbs_nobody() {
    let machine = Machine::new();
    let old = machine.spec();
    let named = ImageRef::new("127.0.0.1:5000/avishkar/kafka", Digest::of(b"new")).unwrap();
    let image = PartImage::Named(named.clone());
    let new = PartSpec { image, generation: Generation(4), ..old.clone() };
    machine
        .with_agent(async |parts| {
            parts.ensure(ISSUER, &old).await.unwrap();
            assert_eq!(code(parts.ensure(ISSUER, &new).await), FailureCode::ImageUnavailable);
            assert!(machine.runs());
            assert_eq!(machine.engine.starts(&old.name), 1);
            machine.registry.offer(&named);
            let made = parts.ensure(ISSUER, &new).await.unwrap();
            assert_eq!(made.spec_hash, new.hash());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_word_of_a_newer_leader_counts_over_a_restart_of_the_agent() {
    let machine = Machine::new();
    let newer = Issuer { epoch: Epoch(2), ..ISSUER };
    let registry = "192.0.2.1:5000".parse().unwrap();
    machine.with_agent(async |parts| parts.registry_at(newer, registry).await.unwrap()).await;
    machine
        .with_agent(async |parts| {
            let name = machine.spec().name;
            let removal = machine.removal(PartFolders::Keep);
            for refused in [
                parts.ensure(ISSUER, &machine.spec()).await.map(drop),
                parts.remove(ISSUER, &removal).await,
                parts.restart(ISSUER, &name).await.map(drop),
                parts.registry_at(ISSUER, registry).await,
                parts.push_image(ISSUER, &machine.image, "avishkar/x").await.map(drop),
            ] {
                assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
            }
            assert!(machine.engine.parts().is_empty());
            assert_eq!(parts.ledger.read().registry(), Some(registry));
            let counted = parts.ledger.metrics.registry.gather();
            let refused = counted[0].get_metric()[0].get_counter().get_value();
            assert!((refused - 5.0).abs() < f64::EPSILON, "{refused}");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn before_anybody_leads_the_last_word_counts() {
    let machine = Machine::new();
    let nobody = Issuer { epoch: Epoch(0), ..ISSUER };
    machine
        .with_agent(async |parts| {
            parts.ensure(nobody, &machine.spec()).await.unwrap();
            let other = PartSpec { processes: 33, ..machine.spec() };
            let made = parts.ensure(nobody, &other).await.unwrap();
            assert_eq!(made.spec_hash, other.hash());
            parts.ensure(ISSUER, &other).await.unwrap();
            assert_eq!(machine.engine.starts(&other.name), 2, "a leader says the same");
            let conflict = parts.ensure(ISSUER, &machine.spec()).await;
            assert!(matches!(conflict, Err(Error::Conflict(_))), "{conflict:?}");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn files_and_folders_are_there_before_the_part_and_go_with_it() {
    let machine = Machine::new();
    let spec = machine.spec();
    machine
        .with_agent(async |parts| {
            parts.ensure(ISSUER, &spec).await.unwrap();
            let site = machine.engine.site(&spec.name).unwrap();
            let paths = site.mounts.iter().map(|mount| match &mount.from {
                MountSource::Path(path) => path.clone(),
                MountSource::Memory(name) => panic!("{name} is in memory"),
            });
            let paths: Vec<_> = paths.collect();
            assert_eq!(std::fs::read_to_string(&paths[0]).unwrap(), "key");
            parts.remove(ISSUER, &machine.removal(PartFolders::Keep)).await.unwrap();
            assert!(machine.engine.parts().is_empty());
            assert_eq!((paths[0].exists(), paths[1].exists()), (false, true));
            parts.remove(ISSUER, &machine.removal(PartFolders::Discard)).await.unwrap();
            assert!(!paths[1].exists());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_removal_spares_a_newer_part() {
    let machine = Machine::new();
    machine
        .with_agent(async |parts| {
            let newer = PartSpec { generation: Generation(4), ..machine.spec() };
            parts.ensure(ISSUER, &newer).await.unwrap();
            parts.remove(ISSUER, &machine.removal(PartFolders::Discard)).await.unwrap();
            assert!(machine.runs());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_part_is_restarted_on_a_word_and_only_one_that_was_told() {
    let machine = Machine::new();
    let name = machine.spec().name;
    machine
        .with_agent(async |parts| {
            assert_eq!(code(parts.restart(ISSUER, &name).await), FailureCode::UnknownInstance);
            parts.ensure(ISSUER, &machine.spec()).await.unwrap();
            let restarted = parts.restart(ISSUER, &name).await.unwrap();
            assert_eq!(restarted.restarts, 1);
            assert_eq!(machine.engine.starts(&name), 2);
            assert!(machine.runs());
        })
        .await;
}

#[tokio::test]
async fn health_is_what_a_look_from_the_machine_finds() {
    let machine = Machine::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let listening = PartSpec { health: Some(PartHealth::listens(port)), ..machine.spec() };
    machine
        .with_agent(async |parts| {
            let healthy = async || parts.list().await.unwrap()[0].healthy;
            assert_eq!(parts.ensure(ISSUER, &listening).await.unwrap().healthy, None);
            let until = async |wanted: bool| {
                while healthy().await != Some(wanted) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(PATIENCE, until(true)).await.unwrap();
            drop(listener);
            tokio::time::timeout(PATIENCE, until(false)).await.unwrap();
        })
        .await;
}
