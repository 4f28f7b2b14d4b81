//! A platform of which only monitoring is real.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chassis::config::Sources;
use chassis::lifecycle::Lifecycle;
use chassis::service::Service as _;
use common::digest::Digest;
use common::message::{Event, LifecycleCommand};
use common::name::LegacyName;
use common::port::edge::{EdgeOptions, Upstream, Weight};
use common::port::routes::{Routes as _, WantedRoute};
use common::port::store::{Op, Path, Precondition, Store};
use common::record::release::{PythonDependencies, Runtime};
use common::record::{self, path};
use common::service::ServiceName;
use common::topic::Topic;
use monitoring::config::{Raw, RawAlerts, RawProbes, RawRestarts, RawWebhook, Services};
use monitoring::{Config, Ports, Service};
use serde::Deserialize;
use serde_json::{Value, json};
use testkit::probes::Service as Probed;
use testkit::{
    ManualClock, MemoryBus, MemoryProbes, MemoryRoutes, MemoryStore, MemoryWebhooks, SeededEntropy,
};
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_hours(1);

/// Document 001's names of services that are there in most stories.
pub(crate) const SERVICES: [&str; 7] = [
    "application_manager",
    "deployment_manager",
    "load_balancer",
    "monitoring",
    "node_manager",
    "lifecycle_manager",
    "platform_initializer",
];

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) bus: MemoryBus,
    pub(crate) store: MemoryStore,
    pub(crate) probes: MemoryProbes,
    pub(crate) routes: MemoryRoutes,
    pub(crate) webhooks: MemoryWebhooks,
    pub(crate) seed: u64,
    pub(crate) receivers: Vec<&'static str>,
    pub(crate) services: Services,
}

#[derive(Deserialize)]
struct File {
    http: chassis::http::Raw,
    probes: RawProbes,
    restarts: RawRestarts,
    alerts: RawAlerts,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::ticking());
        World {
            bus: MemoryBus::new(clock.clone()).with_topics(),
            clock,
            store: MemoryStore::new(),
            probes: MemoryProbes::new(),
            routes: MemoryRoutes::new(),
            webhooks: MemoryWebhooks::new(),
            seed: 1,
            receivers: Vec::new(),
            services: Services::Registry,
        }
    }

    /// All services, well, and two nodes that live.
    pub(crate) fn with_everything() -> Self {
        let world = World::new();
        for service in SERVICES {
            world.service(service);
        }
        // Monitoring registers itself.
        for twin in [8070, 8071] {
            world.probes.put(&format!("192.0.2.1:{twin}"), Probed::Well);
        }
        for node in ["node-1", "node-2"] {
            world.node(node, "live");
        }
        world
    }

    /// An instance that the lifecycle manager runs, and that is well; its address inside.
    pub(crate) fn runs(&self, service: ServiceName, address: &str) {
        let part = service.as_str();
        let record = json!({
            "schema": 1, "service": service, "generation": 1, "instances": [{
                "part": part, "node": "node-1", "address": "127.0.0.1:1", "internal": address,
                "state": "ready", "since": "2026-01-01T00:00:00Z",
            }],
        });
        self.store.seed(&path::running_service(service), record::encode(&record));
        self.probes.put(address, Probed::Well);
    }

    /// A service that is registered and well; its address.
    pub(crate) fn service(&self, name: &str) -> String {
        let address = address(name);
        let at = format!("/services/{name}/instance1").parse().unwrap();
        self.store.seed(&at, Bytes::from(address.clone()));
        self.probes.put(&address, Probed::Well);
        address
    }

    /// From now on nobody answers for this service.
    pub(crate) fn dies(&self, name: &str) {
        self.probes.take_away(&address(name));
    }

    pub(crate) fn comes_back(&self, name: &str) {
        self.probes.put(&address(name), Probed::Well);
    }

    /// A node, and what the node manager says of it.
    pub(crate) fn node(&self, name: &str, verdict: &str) {
        let node = json!({
            "schema": 1, "name": name, "ip": "192.0.2.11", "agent": "192.0.2.11:7443", "os": "Debian 13",
        });
        let alive = json!({
            "schema": 1, "node": name, "verdict": verdict, "reason": "so", "since": "2026-01-01T00:00:00Z",
        });
        let name = name.parse().unwrap();
        self.store.seed(&path::node(&name), record::encode(&node));
        self.store.seed(&path::alive(&name), record::encode(&alive));
    }

    /// An app with a route and one replica, which answers.
    pub(crate) async fn app(&self, name: &str) {
        let instance = instance(name);
        let upstreams = vec![Upstream {
            ip: "192.0.2.11".parse().unwrap(),
            port: 20_000,
            slot: common::id::SlotNumber(1),
            weight: Weight::ONE,
        }];
        let wanted = WantedRoute {
            instance: instance.clone(),
            generation: common::id::Generation(1),
            revision: 0,
            upstreams,
            image: "x".to_owned(),
            container_port: 8080,
            container_ids: Vec::new(),
            edge: EdgeOptions::default(),
        };
        let routed = self.routes.set(&wanted).await.unwrap();
        let route = json!({
            "schema": 1, "instance": name, "front_port": routed.front_port, "host": routed.host,
            "upstreams": wanted.upstreams, "generation": 1, "image": "x", "container_port": 8080,
            "container_ids": [],
        });
        self.store.seed(&path::route(&instance), record::encode(&route));
        let replica = path::registry_replica(&instance, common::id::SlotNumber(1));
        self.store.seed(&replica, Bytes::from_static(b"192.0.2.11:20000"));
    }

    /// An app of kind model, with a route and one replica, which answers.
    pub(crate) async fn model(&self, name: &str) {
        self.app(name).await;
        let app = name.parse().unwrap();
        let deployment = json!({
            "schema": 1, "instance": name, "app": name, "release": 1, "generation": 1,
            "goal": "running", "state": "running", "request": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "slots": [],
            "deadline": "2026-01-01T00:10:00Z", "updated_at": "2026-01-01T00:00:00Z",
        });
        let plan = json!({
            "runtime": Runtime::Model { dependencies: PythonDependencies::None },
            "command": ["python"],
        });
        let release = json!({
            "schema": 1, "app": name, "number": 1, "created_at": "2026-01-01T00:00:00Z",
            "source": { "kind": "bundle", "bundle": Digest::of(b"bundle"), "plan": plan },
            "port": 8080, "health_path": "/health", "environment": {}, "read_only": false,
            "limits": { "memory_bytes": 1 << 28, "cpu_millis": 500, "processes": 256 },
        });
        self.store.seed(&path::deployment(&instance(name)), record::encode(&deployment));
        let at = path::release(&app, common::id::ReleaseNumber(1));
        self.store.seed(&at, record::encode(&release));
    }

    /// Changes a record as another service would.
    pub(crate) async fn change(&self, at: &Path, change: impl FnOnce(&mut Value)) {
        let stored = self.store.get(at).await.unwrap().unwrap();
        let mut changed: Value = serde_json::from_slice(&stored.value).unwrap();
        change(&mut changed);
        let (value, precondition) =
            (record::encode(&changed), Precondition::Version(stored.version));
        let op = Op::Put { path: at.clone(), value, precondition };
        self.store.commit(vec![op]).await.unwrap();
    }

    /// Monitoring that has not been started, with a session of its own.
    pub(crate) fn monitoring(&self) -> Service {
        self.monitoring_on(self.store.session(), 8070)
    }

    pub(crate) fn monitoring_on(&self, store: MemoryStore, port: u16) -> Service {
        self.monitoring_with(Arc::new(store), port)
    }

    pub(crate) fn monitoring_with(&self, store: Arc<dyn Store>, port: u16) -> Service {
        let ports = Ports {
            bus: Arc::new(self.bus.clone()),
            store,
            probes: Arc::new(self.probes.clone()),
            routes: Arc::new(self.routes.clone()),
            webhooks: Arc::new(self.webhooks.clone()),
            clock: self.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(self.seed)),
        };
        Service::new(ports, self.config(port))
    }

    fn config(&self, port: u16) -> Config {
        let defaults = include_str!("../../../config/monitoring.toml");
        let file = chassis::config::read(defaults, &Sources::default()).unwrap();
        let File { mut http, mut probes, restarts, mut alerts } = file;
        probes.services = self.services;
        http.advertised = format!("192.0.2.1:{port}");
        let webhook = |name: &&str| RawWebhook {
            name: (*name).to_owned(),
            url: "https://hooks.example.org/".to_owned(),
            secret_file: "secret".to_owned(),
            secret_variable: String::new(),
            internal: false,
        };
        alerts.webhooks = self.receivers.iter().map(webhook).collect();
        Raw { probes, restarts, alerts }.resolve(&http.resolve().unwrap()).unwrap()
    }

    /// Runs monitoring for as long as the story takes; then it crashes.
    pub(crate) async fn during<T>(&self, story: impl Future<Output = T>) -> T {
        run(&self.monitoring(), story).await
    }

    /// What the lifecycle manager was asked to restart, in order, each with its request id; repeats of one
    /// message are one.
    pub(crate) fn restarts(&self) -> Vec<(String, String)> {
        let mut restarts = Vec::new();
        for envelope in self.bus.messages(Topic::LifecycleManager) {
            match LifecycleCommand::decode(&envelope.msg).unwrap() {
                LifecycleCommand::Verdict { .. } | LifecycleCommand::NeedNode { .. } => {}
                LifecycleCommand::RestartService { .. }
                | LifecycleCommand::RestartNode { .. }
                | LifecycleCommand::RestartApp { .. }
                | LifecycleCommand::RestartModel { .. } => {
                    let restart = (envelope.msg, envelope.request_id.to_string());
                    if !restarts.contains(&restart) {
                        restarts.push(restart);
                    }
                }
            }
        }
        restarts
    }

    /// Only the texts of [`World::restarts`].
    pub(crate) fn restarted(&self) -> Vec<String> {
        self.restarts().into_iter().map(|(text, _)| text).collect()
    }

    /// The alerts that everybody was told: `(kind, name, verdict)`; repeats of one message are one.
    pub(crate) fn alerts(&self) -> Vec<(String, String, String)> {
        let mut alerts = Vec::new();
        let mut ids = Vec::new();
        for delivery in self.bus.records(Topic::FirstTopic) {
            let envelope =
                common::message::Envelope::decode(&delivery.record.payload, Topic::FirstTopic);
            let event = Event::decode(&envelope.unwrap().msg).unwrap();
            assert!(matches!(event, Event::Alert { .. } | Event::AlertOver { .. }), "{event:?}");
            let id = delivery.record.header("message-id").unwrap().to_vec();
            let details: Value =
                serde_json::from_slice(delivery.record.header("details").unwrap()).unwrap();
            if !ids.contains(&id) {
                let text = |key: &str| details[key].as_str().unwrap().to_owned();
                alerts.push((text("kind"), text("name"), text("verdict")));
                ids.push(id);
            }
        }
        alerts
    }

    /// What stands below a folder of this service's records.
    pub(crate) fn records(&self, kind: &str) -> Vec<Value> {
        let folder = path::folder(&format!("monitoring/{kind}"));
        let decode = |(_, value): (Path, Bytes)| record::decode(&value).ok();
        self.store.records(&folder).into_iter().filter_map(decode).collect()
    }

    /// What holds of one target.
    pub(crate) fn verdict(&self, kind: &str, name: &str) -> Option<String> {
        let said = self.records("targets").into_iter().find(|record: &Value| {
            record["target"]["kind"] == kind && record["target"]["name"] == name
        });
        said.map(|record| record["verdict"].as_str().unwrap().to_owned())
    }

    pub(crate) async fn until_verdict(&self, kind: &str, name: &str, verdict: &str) {
        until(async || self.verdict(kind, name).as_deref() == Some(verdict)).await;
    }

    /// Waits until every service is up.
    pub(crate) async fn until_all_up(&self) {
        for service in SERVICES {
            self.until_verdict("service", service, "up").await;
        }
    }
}

/// Where a service is.
fn address(name: &str) -> String {
    let place = SERVICES.iter().position(|service| *service == name).unwrap_or(99);
    format!("192.0.2.1:{}", 8000 + place)
}

/// Runs the service for as long as the story takes; then it crashes.
pub(crate) async fn run<T>(service: &Service, story: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        told = story => told,
        ended = service.run(Lifecycle::new()) => panic!("the service ended: {ended:?}"),
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

pub(crate) async fn seconds(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

pub(crate) fn instance(name: &str) -> LegacyName {
    name.parse().unwrap()
}
