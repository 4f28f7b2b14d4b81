//! A platform of which only the node manager is real.

use std::sync::Arc;
use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use chassis::service::Service as _;
use common::digest::{Digest, ImageRef};
use common::id::{ReleaseNumber, RequestId};
use common::message::{DeploymentCommand, Envelope, NodeAnswer, NodeChoice, NodeCommand};
use common::name::{LegacyName, NodeName};
use common::port::bus::{Bus as _, Record};
use common::port::container::Limits;
use common::port::nodes::Agent;
use common::port::store::{Op, Path, Store as _};
use common::record::leader::Advertised;
use common::record::node::{Alive, Node, PortLease, Verdict};
use common::record::{self, path};
use common::topic::Topic;
use node_manager::config::{Nodes, Strategy};
use node_manager::{Config, Ports, Service};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use testkit::{ManualClock, MemoryBus, MemoryNodes, MemoryStore, SeededEntropy};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_mins(5);

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) bus: MemoryBus,
    pub(crate) store: MemoryStore,
    pub(crate) nodes: MemoryNodes,
    /// The nodes that are configured.
    pub(crate) members: Vec<Node>,
    pub(crate) config: Config,
    _folder: tempfile::TempDir,
}

impl World {
    /// Nodes called `node-1` and so on.
    pub(crate) fn with_nodes(count: usize) -> Self {
        let clock = Arc::new(ManualClock::ticking());
        let nodes = MemoryNodes::new(clock.clone());
        let agents = (1..=count).map(|number| nodes.add(&format!("node-{number}")));
        let folder = tempfile::tempdir().unwrap();
        let members: Vec<Node> = agents.map(node).collect();
        let world = World {
            bus: MemoryBus::new(clock.clone()).with_topics(),
            store: MemoryStore::new(),
            config: config(folder.path().join("data")),
            members,
            clock,
            nodes,
            _folder: folder,
        };
        world.instance("shop", 1);
        world.release("shop", 1, Limits::default());
        world
    }

    /// Somebody wants an instance of this release.
    pub(crate) fn instance(&self, app: &str, number: u32) {
        let record = json!({
            "schema": 1, "name": app, "app": app, "release": number, "owner": "ada", "replicas": 1,
            "created_at": "2026-01-01T00:00:00Z", "generation": 1, "state": "deploying",
            "request": id(0), "updated_at": "2026-01-01T00:00:00Z",
        });
        self.write(&path::instance(&instance(app)), &record);
    }

    /// A release whose containers may use so much.
    pub(crate) fn release(&self, app: &str, number: u32, limits: Limits) {
        let image = ImageRef::new("x", Digest::of(b"x")).unwrap();
        let record = json!({
            "schema": 1, "app": app, "number": number, "created_at": "2026-01-01T00:00:00Z",
            "source": { "kind": "image", "image": image }, "port": 8080, "health_path": null,
            "environment": {}, "limits": limits, "read_only": false,
        });
        self.write(&path::release(&app.parse().unwrap(), ReleaseNumber(number)), &record);
    }

    /// The app says where its replicas go.
    pub(crate) fn set_placement(&self, app: &str, number: u32, placement: &str) {
        let at = path::release(&app.parse().unwrap(), ReleaseNumber(number));
        let mut record: serde_json::Value = self.read(&at).unwrap();
        record["placement"] = placement.into();
        self.write(&at, &record);
    }

    /// A node manager that has not been started, with a session of its own.
    pub(crate) fn service(&self) -> Service {
        self.service_on(self.store.session())
    }

    pub(crate) fn service_on(&self, store: MemoryStore) -> Service {
        let ports = Ports {
            bus: Arc::new(self.bus.clone()),
            store: Arc::new(store),
            nodes: Arc::new(self.nodes.clone()),
            clock: self.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(1)),
        };
        let mut config = self.config.clone();
        if let Nodes::Configured(configured) = &mut config.nodes {
            configured.clone_from(&self.members);
        }
        Service::new(ports, config)
    }

    /// Runs a node manager for as long as the story takes; then it crashes.
    pub(crate) async fn during<T>(&self, story: impl Future<Output = T>) -> T {
        run(&self.service(), story).await
    }

    pub(crate) async fn ask(&self, request: u128, instance: &str) {
        let command = NodeCommand::GiveBestNode { instance: instance.parse().unwrap() };
        self.say(request, command.encode()).await;
    }

    pub(crate) async fn say(&self, request: u128, msg: String) {
        let envelope = Envelope {
            to_topic: Topic::NodeManager,
            from_topic: Topic::DeploymentManager,
            request_id: id(request),
            msg,
        };
        let record = Record { key: None, headers: Vec::new(), payload: envelope.encode() };
        // A sender sends again until the bus has it.
        while self.bus.publish(&Topic::NodeManager.into(), record.clone()).await.is_err() {}
    }

    /// All answers so far, in order.
    pub(crate) fn answers(&self) -> Vec<(RequestId, NodeAnswer)> {
        let answers = self.bus.messages(Topic::DeploymentManager);
        let read = |envelope: Envelope| match DeploymentCommand::decode(&envelope.msg).unwrap() {
            DeploymentCommand::AnswerNode(answer) => (envelope.request_id, answer),
            other @ (DeploymentCommand::Deploy { .. } | DeploymentCommand::Stop { .. }) => {
                panic!("only answers are sent: {other:?}")
            }
        };
        answers.into_iter().map(read).collect()
    }

    /// The answer to a request, once there is one.
    pub(crate) async fn answer(&self, request: u128) -> NodeAnswer {
        let given = || self.answers().into_iter().find(|(answered, _)| *answered == id(request));
        until(async || given().is_some()).await;
        given().unwrap().1
    }

    pub(crate) async fn choice(&self, request: u128) -> NodeChoice {
        self.answer(request).await.node.unwrap()
    }

    pub(crate) fn verdict(&self, node: &NodeName) -> Option<Verdict> {
        self.read::<Alive>(&path::alive(node)).map(|alive| alive.verdict)
    }

    pub(crate) async fn until_verdict(&self, node: &NodeName, verdict: Verdict) {
        until(async || self.verdict(node) == Some(verdict)).await;
    }

    /// All leases of a node, by port.
    pub(crate) fn leases(&self, node: &NodeName) -> Vec<(u16, PortLease)> {
        let folder = path::folder("ports").join(node.as_str()).unwrap();
        let records = self.store.records(&folder).into_iter().filter(|(at, _)| *at != folder);
        let read = |(at, value): (Path, _)| {
            let value: bytes::Bytes = value;
            (at.name().parse().unwrap(), record::decode(&value).unwrap())
        };
        records.map(read).collect()
    }

    pub(crate) fn read<T: DeserializeOwned>(&self, at: &Path) -> Option<T> {
        let records = self.store.records(at);
        let (_, value) = records.into_iter().find(|(path, _)| path == at)?;
        Some(record::decode(&value).unwrap())
    }

    pub(crate) fn write<T: Serialize>(&self, at: &Path, record: &T) {
        self.store.seed(at, record::encode(record));
    }

    /// Somebody else takes a record away.
    pub(crate) async fn remove(&self, at: &Path) {
        let entry = self.store.get(at).await.unwrap().unwrap();
        let delete = Op::Delete { path: at.clone(), version: entry.version };
        self.store.commit(vec![delete]).await.unwrap();
    }
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
            sleep(Duration::from_millis(20)).await;
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

pub(crate) fn instance(name: &str) -> LegacyName {
    name.parse().unwrap()
}

fn node(agent: Agent) -> Node {
    Node {
        schema: 1,
        name: agent.node,
        ip: agent.address.ip(),
        agent: agent.address,
        os: "Debian 13".to_owned(),
        leaves: false,
    }
}

fn config(data_folder: std::path::PathBuf) -> Config {
    Config {
        nodes: Nodes::Configured(Vec::new()),
        data_folder: Some(data_folder),
        keep_samples_days: 7,
        keep_releases: 10,
        first_port: 20_000,
        last_port: 29_999,
        quarantine: Duration::from_mins(1),
        placement: Strategy::Spread,
        patience: Duration::from_secs(15),
        suspect_after: Duration::from_secs(2),
        dead_after: Duration::from_secs(6),
        hold_down: Duration::from_mins(1),
        alert_percent: 90.0,
        document_001_gets: false,
        advertised: Advertised::plain("127.0.0.1:8040"),
    }
}
