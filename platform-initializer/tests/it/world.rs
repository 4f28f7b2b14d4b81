//! A platform of which only the platform initializer is real.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chassis::http;
use chassis::lifecycle::Lifecycle as Process;
use chassis::service::Service as _;
use common::id::RequestId;
use common::message::{Envelope, Event, PlatformOutcome};
use common::name::{LegacyName, NodeName};
use common::port::bus::{Bus as _, Record};
use common::port::store::Path;
use common::record::node::Node;
use common::record::operation::{Operation, Outcome};
use common::record::platform::{PlacedService, PlatformGoal, PlatformRecord, PlatformState};
use common::record::{self, path};
use common::service::ServiceName;
use common::topic::Topic;
use platform_initializer::config::{Documents, Raw, RawMachines, RawPlatform};
use platform_initializer::{Config, Ports, Service};
use serde::Serialize;
use serde::de::DeserializeOwned;
use testkit::{ManualClock, MemoryBus, MemoryRoutes, MemoryStore, SeededEntropy};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::lifecycle::{Lifecycle, PLACEABLE, ip};
use crate::routes::StoredRoutes;

const PATIENCE: Duration = Duration::from_mins(30);

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) bus: MemoryBus,
    pub(crate) store: MemoryStore,
    pub(crate) routes: StoredRoutes,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) raw: Raw,
    folder: tempfile::TempDir,
}

impl World {
    /// Nodes called `node-1` and so on.
    pub(crate) fn with_nodes(count: usize) -> Self {
        let clock = Arc::new(ManualClock::ticking());
        let store = MemoryStore::new();
        let folder = tempfile::tempdir().unwrap();
        let world = World {
            bus: MemoryBus::new(clock.clone()).with_topics(),
            routes: StoredRoutes { memory: MemoryRoutes::new(), store: store.session() },
            lifecycle: Lifecycle::new(store.session()),
            raw: raw(&folder.path().join("platform_status.json")),
            clock,
            store,
            folder,
        };
        for number in 1..=count {
            world.enrol(&format!("node-{number}"));
        }
        world
    }

    pub(crate) fn enrol(&self, node: &str) {
        let name = name(node);
        let ip = ip(&name).parse().unwrap();
        let agent = std::net::SocketAddr::new(ip, 9100);
        let os = "Debian 13".to_owned();
        self.write(
            &path::node(&name),
            &Node { schema: 1, name: name.clone(), ip, agent, os, leaves: false },
        );
    }

    pub(crate) fn config(&self) -> Config {
        self.raw.clone().resolve(&listeners(), &Documents::default()).unwrap()
    }

    /// A platform initializer that has not been started, with a session of its own.
    pub(crate) fn service(&self) -> Service {
        self.service_on(self.store.session())
    }

    pub(crate) fn service_on(&self, store: MemoryStore) -> Service {
        self.make(store, self.config())
    }

    pub(crate) fn service_with(&self, config: Config) -> Service {
        self.make(self.store.session(), config)
    }

    fn make(&self, store: MemoryStore, config: Config) -> Service {
        let ports = Ports {
            bus: Arc::new(self.bus.clone()),
            store: Arc::new(store),
            routes: Arc::new(self.routes.clone()),
            clock: self.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(1)),
        };
        Service::new(ports, config)
    }

    /// Runs a platform initializer for as long as the story takes; then it crashes.
    pub(crate) async fn during<T>(&self, story: impl Future<Output = T>) -> T {
        self.run(&self.service(), story).await
    }

    /// Runs the service and the lifecycle manager for as long as the story takes; then both crash.
    pub(crate) async fn run<T>(&self, service: &Service, story: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            told = story => told,
            ended = service.run(Process::new()) => panic!("the service ended: {ended:?}"),
            () = self.lifecycle.run() => panic!("the lifecycle manager ended"),
        }
    }

    pub(crate) async fn start(&self, request: u128) -> PlatformOutcome {
        self.say(request, "start platform").await;
        self.outcome(request).await
    }

    pub(crate) async fn stop(&self, request: u128) -> PlatformOutcome {
        self.say(request, "stop platform").await;
        self.outcome(request).await
    }

    pub(crate) async fn say(&self, request: u128, msg: &str) {
        let envelope = Envelope {
            to_topic: Topic::Bootstrapper,
            from_topic: Topic::FirstTopic,
            request_id: id(request),
            msg: msg.to_owned(),
        };
        let record = Record { key: None, headers: Vec::new(), payload: envelope.encode() };
        // A sender sends again until the bus has it.
        while self.bus.publish(&Topic::Bootstrapper.into(), record.clone()).await.is_err() {}
    }

    /// All answers so far, in order.
    pub(crate) fn answers(&self) -> Vec<(RequestId, Event)> {
        let read =
            |envelope: Envelope| (envelope.request_id, Event::decode(&envelope.msg).unwrap());
        self.bus.messages(Topic::FirstTopic).into_iter().map(read).collect()
    }

    /// The answer to a request, once there is one.
    pub(crate) async fn outcome(&self, request: u128) -> PlatformOutcome {
        let given = || {
            let answered =
                self.answers().into_iter().find(|(answered, _)| *answered == id(request));
            answered.map(|(_, event)| outcome(event))
        };
        until(async || given().is_some()).await;
        given().unwrap()
    }

    /// What the outcome of a request for this goal remembers.
    pub(crate) fn remembered(&self, request: u128, kind: &str) -> Option<Outcome> {
        let at = path::operation(id(request), ServiceName::PlatformInitializer, kind);
        self.read::<Operation>(&at).and_then(|operation| operation.outcome)
    }

    pub(crate) fn platform(&self) -> PlatformRecord {
        self.read(&path::platform()).unwrap()
    }

    pub(crate) async fn until_state(&self, state: PlatformState) {
        let reached = async || {
            let record = self.read::<PlatformRecord>(&path::platform());
            record.is_some_and(|record| record.state == state && record.owed.is_empty())
        };
        until(reached).await;
    }

    pub(crate) fn placed(&self, service: ServiceName) -> Option<PlacedService> {
        self.read(&path::placed_service(service))
    }

    /// Where each service should run.
    pub(crate) fn placement(&self) -> BTreeMap<ServiceName, Vec<String>> {
        let nodes = |placed: PlacedService| placed.nodes.iter().map(NodeName::to_string).collect();
        PLACEABLE
            .into_iter()
            .filter_map(|service| Some((service, nodes(self.placed(service)?))))
            .collect()
    }

    /// The services that should run.
    pub(crate) fn wished(&self) -> Vec<ServiceName> {
        let is_on = |service: &ServiceName| {
            self.placed(*service).is_some_and(|placed| placed.goal == PlatformGoal::On)
        };
        PLACEABLE.into_iter().filter(is_on).collect()
    }

    /// Document 001's registry, without the initializer itself.
    pub(crate) fn registry(&self) -> BTreeMap<String, String> {
        let folder: Path = "/services".parse().unwrap();
        let records = self.store.records(&folder).into_iter();
        let entry = |(at, value): (Path, bytes::Bytes)| {
            let service = at.parent()?.name().to_owned();
            let is_other = service != "platform_initializer" && at.name().starts_with("instance");
            is_other.then(|| (service, String::from_utf8(value.to_vec()).unwrap()))
        };
        records.filter_map(entry).collect()
    }

    pub(crate) fn status_file(&self) -> Option<String> {
        std::fs::read_to_string(self.folder.path().join("platform_status.json")).ok()
    }

    pub(crate) fn read<T: DeserializeOwned>(&self, at: &Path) -> Option<T> {
        let records = self.store.records(at);
        let (_, value) = records.into_iter().find(|(path, _)| path == at)?;
        Some(record::decode(&value).unwrap())
    }

    pub(crate) fn write<T: Serialize>(&self, at: &Path, record: &T) {
        self.store.seed(at, record::encode(record));
    }
}

fn outcome(event: Event) -> PlatformOutcome {
    match event {
        Event::PlatformStarted(outcome) | Event::PlatformStopped(outcome) => outcome,
        other @ (Event::Deployed { .. }
        | Event::NotDeployed { .. }
        | Event::Stopped { .. }
        | Event::NotStopped { .. }
        | Event::Scheduled { .. }
        | Event::ItsTime { .. }
        | Event::ItsEndTime { .. }
        | Event::ScheduledDeployed { .. }
        | Event::Done { .. }
        | Event::NotDone { .. }
        | Event::Alert { .. }
        | Event::AlertOver { .. }) => panic!("only answers are told: {other:?}"),
    }
}

/// Waits for a condition, in paused time.
pub(crate) async fn until(holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("it happens in time");
}

pub(crate) fn id(number: u128) -> RequestId {
    RequestId(Uuid::from_u128(number))
}

pub(crate) fn name(node: &str) -> NodeName {
    node.parse().unwrap()
}

pub(crate) fn legacy(name: &str) -> LegacyName {
    name.parse().unwrap()
}

pub(crate) fn listeners() -> http::Config {
    http::Config {
        address: None,
        internal_address: None,
        advertised: "127.0.0.1:9050".to_owned(),
        pki: PathBuf::new(),
        workers: 1,
        cors_origins: Vec::new(),
        document_001_gets: true,
    }
}

pub(crate) fn raw(status_file: &std::path::Path) -> Raw {
    let needs = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Raw {
        platform: RawPlatform {
            services: String::new(),
            services_file: String::new(),
            instances: 2,
            front_doors: "app-manager".to_owned(),
            single_process: false,
            start_within_seconds: 900,
            ready_within_seconds: 120,
            stop_within_seconds: 60,
            answer_within_seconds: 300,
            status_file: status_file.display().to_string(),
        },
        machines: RawMachines {
            names: String::new(),
            file: String::new(),
            edge: String::new(),
            move_after_seconds: 300,
        },
        dependencies: BTreeMap::from([
            ("deployment-manager".to_owned(), needs(&["node-manager", "load-balancer"])),
            ("app-manager".to_owned(), needs(&["deployment-manager"])),
        ]),
    }
}
