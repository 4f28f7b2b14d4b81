//! The world around the deployment manager: two nodes, an edge, and a node manager that answers.

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use chassis::lifecycle::Lifecycle;
use chassis::service::Service as _;
use common::digest::{Digest, ImageRef};
use common::id::RequestId;
use common::message::{DeploymentCommand, Envelope};
use common::name::{ContainerName, LegacyName, NodeName};
use common::port::bus::Delivery;
use common::port::nodes::Probe;
use common::port::store::Path;
use common::record::deployment::{Deployment, Slot, SlotState, State};
use common::record::node::Verdict;
use common::record::operation::{Operation, Outcome};
use common::record::path;
use common::service::ServiceName;
use common::topic::Topic;
use deployment_manager::{Config, DeploymentManager, Patience, Ports, Raw};
use jiff::SignedDuration;
use prometheus::Registry;
use prometheus::proto::MetricFamily;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use testkit::{ManualClock, MemoryBlobs, MemoryBus, MemoryNodes, MemoryRoutes, MemoryStore};
use uuid::Uuid;

use crate::node_manager::{NodeManager, Placement, address};
use crate::ports::{Agents, Built, LoadBalancer, Stuck};

/// Everything that outlives a life of the service.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) bus: MemoryBus,
    pub(crate) blobs: MemoryBlobs,
    pub(crate) nodes: MemoryNodes,
    pub(crate) routes: MemoryRoutes,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) config: Config,
    pub(crate) builds: Arc<Mutex<Vec<Built>>>,
    /// What looks at containers that ended find instead.
    pub(crate) crash_loops: Arc<Mutex<Option<Probe>>>,
    /// The container that no node can remove.
    pub(crate) stuck: Arc<Mutex<Option<Stuck>>>,
    /// What the last life counted.
    metrics: Arc<Mutex<Registry>>,
    node_manager: Arc<NodeManager>,
    _folder: Arc<tempfile::TempDir>,
}

impl World {
    /// Two live nodes, and an app `shop` with two releases of an image.
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::ticking());
        let folder = tempfile::tempdir().unwrap();
        let world = World {
            store: MemoryStore::new(),
            bus: MemoryBus::new(clock.clone()).with_topics(),
            blobs: MemoryBlobs::new(),
            nodes: MemoryNodes::new(clock.clone()),
            routes: MemoryRoutes::new(),
            clock,
            config: calm(Config { build_folder: folder.path().join("builds"), ..config() }),
            builds: Arc::default(),
            crash_loops: Arc::default(),
            stuck: Arc::default(),
            metrics: Arc::default(),
            node_manager: Arc::default(),
            _folder: Arc::new(folder),
        };
        for name in ["node-1", "node-2"] {
            world.add_node(name);
        }
        world.write(&path::usual_placement(), &json!({ "schema": 1, "strategy": "spread" }));
        world.write_app("shop", 2);
        for release in 1..=2 {
            world.nodes.offer_image(&image(release));
            world.write_release(
                "shop",
                release,
                &json!({ "kind": "image", "image": image(release) }),
            );
        }
        world
    }

    /// One life of the service, for as long as the story lasts; its end is a crash.
    pub(crate) async fn live<T>(&self, story: impl Future<Output = T>) -> T {
        let service = DeploymentManager::new(self.ports(), self.config.clone());
        *self.metrics.lock().unwrap() = service.metrics();
        let lifecycle = Lifecycle::new();
        tokio::select! {
            biased;
            told = story => told,
            ended = service.run(lifecycle) => panic!("the service ended: {ended:?}"),
            () = self.node_manager.answer_for_ever(&self.bus, || self.live_nodes()) => panic!("the node manager ended"),
        }
    }

    /// One life that crashes after it was polled `polls` times; says whether the story ended before.
    pub(crate) async fn live_for(&self, polls: u32, story: impl Future) -> bool {
        let mut left = polls;
        let mut life = pin!(self.live(async move { drop(story.await) }));
        poll_fn(|context| match life.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => {
                left -= 1;
                Poll::Pending
            }
        })
        .await
    }

    pub(crate) fn ports(&self) -> Ports {
        let agents = Agents {
            nodes: self.nodes.clone(),
            builds: Arc::clone(&self.builds),
            crash_loops: Arc::clone(&self.crash_loops),
            stuck: Arc::clone(&self.stuck),
        };
        let balancer = LoadBalancer { routes: self.routes.clone(), store: self.store.clone() };
        Ports {
            bus: Arc::new(self.bus.clone()),
            store: Arc::new(self.store.clone()),
            blobs: Arc::new(self.blobs.clone()),
            nodes: Arc::new(agents),
            routes: Arc::new(balancer),
            clock: self.clock.clone(),
        }
    }

    pub(crate) fn set_placement(&self, placement: Placement) {
        self.node_manager.set_placement(placement);
    }

    /// Those of them where a replica that moves is better off.
    fn live_nodes(&self) -> Vec<NodeName> {
        let moving = self.deployment("shop").and_then(|one| one.moving);
        let suits = |node: &NodeName| moving.as_ref().is_none_or(|one| one.to.contains(node));
        let is_live = |node: &NodeName| {
            self.record::<Value>(&path::alive(node)).unwrap()["verdict"] == "live"
        };
        ["node-1", "node-2"].map(node).into_iter().filter(is_live).filter(suits).collect()
    }

    fn add_node(&self, name: &str) {
        let agent = self.nodes.add(name);
        let record = json!({
            "schema": 1, "name": name, "ip": address(&node(name)), "agent": agent.address, "os": "linux",
        });
        self.write(&path::node(&node(name)), &record);
        self.set_verdict(name, Verdict::Live);
    }

    pub(crate) fn set_verdict(&self, name: &str, verdict: Verdict) {
        let record = json!({
            "schema": 1, "node": name, "verdict": verdict, "reason": "", "since": "2026-01-01T00:00:00Z",
        });
        self.write(&path::alive(&node(name)), &record);
    }

    pub(crate) fn write_app(&self, app: &str, newest: u32) {
        let record = json!({
            "schema": 1, "name": app, "owner": "ada", "description": "", "newest": newest,
            "created_at": "2026-01-01T00:00:00Z", "base_app_id": 1,
        });
        self.write(&path::app(&app.parse().unwrap()), &record);
    }

    pub(crate) fn write_release(&self, app: &str, number: u32, source: &Value) {
        let record = json!({
            "schema": 1, "app": app, "number": number, "created_at": "2026-01-01T00:00:00Z",
            "source": source, "port": 8080, "health_path": null, "environment": {"COLOUR": "green"},
            "limits": {"memory_bytes": 64 * 1024 * 1024, "cpu_millis": 500, "processes": 256},
            "read_only": false,
        });
        self.write(
            &path::release(&app.parse().unwrap(), common::id::ReleaseNumber(number)),
            &record,
        );
    }

    pub(crate) fn write_instance(&self, instance: &str, release: u32, replicas: u32) {
        let record = json!({
            "schema": 1, "name": instance, "app": "shop", "release": release, "owner": "ada",
            "replicas": replicas, "created_at": "2026-01-01T00:00:00Z", "generation": 1,
            "state": "deploying", "request": Uuid::from_u128(99),
            "updated_at": "2026-01-01T00:00:00Z", "app_json": "{\"location\": \"lab\"}",
        });
        self.write(&path::instance(&name(instance)), &record);
    }

    /// As if the instance's owner had gone back to a release with this request.
    pub(crate) fn write_rollback(&self, instance: &str, release: u32, request: u128) {
        self.write_instance(instance, release, 2);
        let path = path::instance(&name(instance));
        let mut record: Value = self.record(&path).unwrap();
        record["way"] = json!("rolled_back");
        record["by"] = json!("bob");
        record["request"] = json!(Uuid::from_u128(request));
        self.write(&path, &record);
    }

    /// As if a scale of what is deployed now had been accepted.
    pub(crate) fn scale(&self, instance: &str, replicas: u32) {
        let deployment = self.deployment(instance).map(|deployment| deployment.generation);
        let record = json!({
            "schema": 1, "instance": instance, "replicas": replicas, "generation": 1,
            "deployment": deployment.unwrap_or_default(),
            "request": Uuid::from_u128(98),
        });
        self.write(&path::scale(&name(instance)), &record);
    }

    pub(crate) fn write(&self, path: &Path, record: &Value) {
        self.store.seed(path, Bytes::from(record.to_string()));
    }

    pub(crate) fn record<T: DeserializeOwned>(&self, path: &Path) -> Option<T> {
        let found = self.store.records(path).into_iter().find(|(at, _)| at == path);
        found.map(|(_, value)| serde_json::from_slice(&value).unwrap())
    }

    pub(crate) fn deployment(&self, instance: &str) -> Option<Deployment> {
        self.record(&path::deployment(&name(instance)))
    }

    pub(crate) fn slots(&self, instance: &str) -> Vec<Slot> {
        self.deployment(instance).map(|deployment| deployment.slots).unwrap_or_default()
    }

    /// The containers that are really there: node, name, and whether it runs the wanted image.
    pub(crate) fn containers(&self) -> Vec<(NodeName, ContainerName)> {
        let on = |node: NodeName| {
            let containers = self.nodes.containers(&node).into_iter();
            containers.map(move |container| (node.clone(), container.name)).collect::<Vec<_>>()
        };
        ["node-1", "node-2"].map(node).into_iter().flat_map(on).collect()
    }

    /// Document 001's registry of the instance: slot and address.
    pub(crate) fn registry(&self, instance: &str) -> Vec<(String, String)> {
        let folder = path::registry_app(&name(instance));
        let entries = self.store.records(&folder).into_iter().filter(|(path, _)| *path != folder);
        let text = |value: Bytes| String::from_utf8(value.to_vec()).unwrap();
        entries.map(|(path, value)| (path.name().to_owned(), text(value))).collect()
    }

    pub(crate) fn outcome(&self, request: u128, kind: &str) -> Option<Outcome> {
        let request = RequestId(Uuid::from_u128(request));
        let path = path::operation(request, ServiceName::DeploymentManager, kind);
        self.record::<Operation>(&path).and_then(|operation| operation.outcome)
    }

    /// How many requests ended with this code, as the metrics of the last life say.
    pub(crate) fn counted(&self, code: &str) -> f64 {
        let families = self.metrics.lock().unwrap().gather();
        let requests =
            families.iter().find(|one| one.name() == "deployment_manager_requests_total");
        let metrics = requests.map(MetricFamily::get_metric).unwrap_or_default();
        let ours = metrics.iter().filter(|one| one.get_label().iter().any(|l| l.value() == code));
        ours.map(|one| one.get_counter().get_value()).sum()
    }

    /// Sends a command as document 001's programs do.
    pub(crate) fn send(&self, request: u128, command: &DeploymentCommand) {
        let id = RequestId(Uuid::from_u128(request));
        self.bus.inject(&command.envelope(Topic::FirstTopic, id));
    }

    pub(crate) fn deploy(&self, request: u128, instance: &str) {
        self.send(request, &DeploymentCommand::Deploy { instance: name(instance) });
    }

    pub(crate) fn stop(&self, request: u128, instance: &str) {
        self.send(request, &DeploymentCommand::Stop { instance: name(instance) });
    }

    /// Waits for the message that ends a request, and returns it.
    pub(crate) async fn told(&self, request: u128) -> String {
        let id = RequestId(Uuid::from_u128(request));
        let told = |records: &[Delivery]| {
            let decode = |delivery: &Delivery| {
                Envelope::decode(&delivery.record.payload, Topic::FirstTopic).unwrap()
            };
            records.iter().map(decode).find(|envelope| envelope.request_id == id)
        };
        let records = self.bus.wait_for(Topic::FirstTopic, |records| told(records).is_some()).await;
        told(&records).unwrap().msg
    }

    /// All ends of a request that were told: message id and text.
    pub(crate) fn ends(&self, request: u128) -> BTreeSet<(String, String)> {
        let id = RequestId(Uuid::from_u128(request));
        let end = |delivery: &Delivery| {
            let message_id = delivery.record.header("message-id").unwrap().to_vec();
            let envelope = Envelope::decode(&delivery.record.payload, Topic::FirstTopic).unwrap();
            let told = envelope.request_id == id;
            told.then(|| (String::from_utf8(message_id).unwrap(), envelope.msg))
        };
        self.bus.records(Topic::FirstTopic).iter().filter_map(end).collect()
    }

    /// Deploys and waits until it runs, with nothing left to do.
    pub(crate) async fn deployed(&self, request: u128, instance: &str) {
        self.deploy(request, instance);
        self.told(request).await;
        self.settled(instance).await;
    }

    /// Waits until nothing is owed and nothing is under way.
    pub(crate) async fn settled(&self, instance: &str) {
        until("everything has settled", || self.is_settled(instance)).await;
    }

    pub(crate) fn is_settled(&self, instance: &str) -> bool {
        let Some(deployment) = self.deployment(instance) else { return true };
        let ended = matches!(deployment.state, State::Running | State::Failed | State::Removed);
        let routed = deployment.slots.iter().all(|slot| slot.state == SlotState::Routed);
        ended && routed && deployment.owed.is_empty()
    }

    /// One container a replica, one upstream, one entry of the registry, and nothing besides.
    pub(crate) fn assert_exact(&self, instance: &str, replicas: usize, context: &str) {
        let slots = self.slots(instance);
        assert_eq!(slots.len(), replicas, "{context}: {slots:?}");
        let place = |slot: &Slot| slot.place.clone().unwrap();
        let expected: BTreeSet<(NodeName, String)> = slots
            .iter()
            .map(|slot| (place(slot).node, format!("{instance}_instance_{}", slot.number)))
            .collect();
        let containers = self.containers().into_iter();
        let containers: Vec<(NodeName, String)> =
            containers.map(|(node, name)| (node, name.to_string())).collect();
        assert_eq!(containers.len(), replicas, "{context}: {containers:?}");
        assert_eq!(containers.into_iter().collect::<BTreeSet<_>>(), expected, "{context}");
        let upstreams = self.routes.upstreams(&name(instance));
        let upstreams: Vec<String> =
            upstreams.iter().map(|upstream| upstream.address().to_string()).collect();
        let addresses: Vec<String> = slots
            .iter()
            .map(|slot| format!("{}:{}", place(slot).ip, place(slot).host_port))
            .collect();
        assert_eq!(upstreams, addresses, "{context}");
        let names = slots.iter().map(|slot| format!("instance{}", slot.number));
        let registry: Vec<(String, String)> = names.zip(addresses).collect();
        assert_eq!(self.registry(instance), registry, "{context}");
    }
}

/// Nothing is watched, and nothing moves, but where a story is about that.
fn calm(config: Config) -> Config {
    let patience = Patience { watch: SignedDuration::ZERO, ..config.patience };
    Config { patience, rebalance_every: None, ..config }
}

fn config() -> Config {
    let text = include_str!("../../../config/deployment-manager.toml");
    let table: toml::Table = text.parse().unwrap();
    let own = ["deployment", "build"].map(|key| (key.to_owned(), table[key].clone()));
    let raw: Raw = toml::Table::from_iter(own).try_into().unwrap();
    let http: chassis::http::Raw = table["http"].clone().try_into().unwrap();
    raw.resolve(&http.resolve().unwrap()).unwrap()
}

pub(crate) fn name(text: &str) -> LegacyName {
    text.parse().unwrap()
}

pub(crate) fn node(text: &str) -> NodeName {
    text.parse().unwrap()
}

pub(crate) fn image(release: u32) -> ImageRef {
    let digest = Digest::of(&release.to_be_bytes());
    ImageRef::new("registry.example.org/apps/shop", digest).unwrap()
}

/// Returns once something holds; in paused time at most ten minutes later.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..60_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("in ten minutes it did not happen that {what}");
}
