//! A platform of four machines of which only the lifecycle manager is real.

mod fakes;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use chassis::http;
use chassis::lifecycle::Lifecycle;
use chassis::service::Service as _;
use common::digest::{Digest, ImageRef};
use common::id::{Generation, RequestId};
use common::message::{Envelope, Event};
use common::name::{NodeName, PartName};
use common::port::authority::Papers;
use common::port::host::{Credential, Gate};
use common::port::machines::{LocalShape, MachineId, Shape};
use common::port::nodes::Agent;
use common::port::part::PartImage;
use common::port::share::{Access, Description, FolderPlace};
use common::port::store::Path;
use common::record::machine::{MachineRecord, MachineState};
use common::record::platform::{
    InstanceState, PlacedService, PlatformGoal, RunningService, ServiceImage,
};
use common::record::{self, path};
use common::service::ServiceName;
use common::topic::Topic;
use lifecycle_manager::config::{Raw, RawLifecycle, RawProvision, RawRestarts, RawRollout};
use lifecycle_manager::{Backends, Config, Ports, Service, Vault};
use rollout::parts::{Configured, Secrets};
use rollout::platform::{Component, EdgeSettings, Image, Placement, PlannedMachine, Platform};
use serde::Serialize;
use serde::de::DeserializeOwned;
use testkit::nodes::Reach;
use testkit::parts::PartCall;
use testkit::{ManualClock, MemoryBus, MemoryNodes, MemoryParts, MemoryStore, SeededEntropy};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

pub(crate) use fakes::{FleetMachines, GivenOnce, Notary, Outcome, ScriptedEnrolment};

const PATIENCE: Duration = Duration::from_mins(30);
pub(crate) const NODES: [&str; 4] = ["node-1", "node-2", "node-3", "node-4"];
pub(crate) const PLACED: ServiceName = ServiceName::NodeManager;

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) bus: MemoryBus,
    pub(crate) store: MemoryStore,
    pub(crate) nodes: MemoryNodes,
    pub(crate) parts: MemoryParts,
    pub(crate) machines: FleetMachines,
    pub(crate) enrolment: ScriptedEnrolment,
    pub(crate) credentials: GivenOnce,
    pub(crate) document_000_paths: bool,
    pub(crate) max_machines: usize,
    /// Two edges, and an address that moves between them.
    pub(crate) pair: bool,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::ticking());
        let (nodes, parts) = (MemoryNodes::new(clock.clone()), MemoryParts::new(clock.clone()));
        for node in NODES {
            assert_eq!(nodes.add(node), parts.add(node));
            for component in COMPONENTS {
                parts.place_image(&name(node), &PartImage::Id(id_of(component)));
            }
        }
        for component in COMPONENTS {
            parts.registry().offer(&named(component));
        }
        let machines = FleetMachines::new(nodes.clone(), parts.clone());
        World {
            bus: MemoryBus::new(clock.clone()).with_topics(),
            store: MemoryStore::new(),
            enrolment: ScriptedEnrolment::new(machines.clone()),
            credentials: GivenOnce::default(),
            clock,
            nodes,
            parts,
            machines,
            document_000_paths: false,
            max_machines: 0,
            pair: false,
        }
    }

    /// A lifecycle manager that has not been started, with a session of its own.
    pub(crate) fn service(&self) -> Service {
        self.service_on(self.store.session(), 8080)
    }

    pub(crate) fn service_on(&self, store: MemoryStore, port: u16) -> Service {
        let ports = Ports {
            bus: Arc::new(self.bus.clone()),
            store: Arc::new(store),
            nodes: Arc::new(self.nodes.clone()),
            parts: Arc::new(self.parts.clone()),
            backends: Backends::default().with("local", Arc::new(self.machines.clone())),
            enrolment: Arc::new(self.enrolment.clone()),
            credentials: Arc::new(self.credentials.clone()),
            vault: Some(self.credentials.added_to(vault(self.clock.clone()))),
            clock: self.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(port.into())),
        };
        Service::new(ports, self.config(port))
    }

    pub(crate) fn config(&self, port: u16) -> Config {
        #[derive(serde::Deserialize)]
        struct File {
            http: http::Raw,
            lifecycle: RawLifecycle,
            restarts: RawRestarts,
            rollout: RawRollout,
            provision: RawProvision,
        }
        let defaults = include_str!("../../../config/lifecycle-manager.toml");
        let file: File =
            chassis::config::read(defaults, &chassis::config::Sources::default()).unwrap();
        let File { mut http, mut lifecycle, restarts, rollout, mut provision } = file;
        http.advertised = format!("192.0.2.200:{port}");
        lifecycle.document_000_paths = self.document_000_paths;
        provision.max_machines = self.max_machines;
        let http = http.resolve().unwrap();
        let mut platform = platform();
        if self.pair {
            platform.placement.edge.push(name("node-3"));
            platform.edge.address = Some([192, 0, 2, 20].into());
        }
        Raw { lifecycle, restarts, rollout, provision }.resolve(&http, Some(platform)).unwrap()
    }

    /// Runs a lifecycle manager for as long as the story takes; then it crashes.
    pub(crate) async fn during<T>(&self, story: impl Future<Output = T>) -> T {
        run(&self.service(), story).await
    }

    /// The platform initializer wishes for this, as its next wish.
    pub(crate) fn wish(&self, nodes: &[&str], image: Option<&ImageRef>) {
        self.wish_version(nodes, image.cloned().map(Into::into));
    }

    pub(crate) fn wish_version(&self, nodes: &[&str], image: Option<ServiceImage>) {
        let path = path::placed_service(PLACED);
        let before = self.read::<PlacedService>(&path);
        let wish = PlacedService {
            schema: 1,
            service: PLACED,
            generation: before.map_or(Generation(1), |before| before.generation.next()),
            goal: if nodes.is_empty() { PlatformGoal::Off } else { PlatformGoal::On },
            nodes: nodes.iter().map(|node| name(node)).collect(),
            image,
            instances: None,
        };
        self.write(&path, &wish);
    }

    pub(crate) fn running(&self) -> Option<RunningService> {
        self.read(&path::running_service(PLACED))
    }

    /// Waits until the newest wish is followed and these machines have a ready instance, and no others any.
    pub(crate) async fn until_ready_on(&self, nodes: &[&str]) {
        let wish = self.read::<PlacedService>(&path::placed_service(PLACED)).unwrap();
        let holds = || {
            let running = self.running().filter(|running| running.generation == wish.generation);
            let Some(RunningService { instances, .. }) = running else { return false };
            let ready = instances.iter().all(|one| one.state == InstanceState::Ready);
            let mut on: Vec<String> = instances.iter().map(|one| one.node.to_string()).collect();
            on.sort();
            ready && on == nodes
        };
        until(async || holds()).await;
    }

    /// The placed service stands on node-2 and node-3, for longer than what was just started is left alone.
    pub(crate) async fn with_service(&self) {
        self.until_calm().await;
        self.wish(&["node-2", "node-3"], None);
        self.until_ready_on(&["node-2", "node-3"]).await;
        sleep(Duration::from_secs(20)).await;
    }

    /// The machines on which the placed service's part really is.
    pub(crate) fn really_on(&self) -> Vec<&'static str> {
        let has =
            |node: &&str| self.parts.parts_of(&name(node)).iter().any(|part| part.name == placed());
        NODES.into_iter().filter(has).collect()
    }

    pub(crate) async fn set_reach(&self, node: &str, reach: Reach) {
        self.machines.set_reach(&name(node), reach).await;
    }

    pub(crate) fn state(&self, node: &str) -> Option<MachineState> {
        self.read::<MachineRecord>(&path::machine(&name(node))).map(|machine| machine.state)
    }

    pub(crate) async fn until_state(&self, node: &str, state: MachineState) {
        until(async || self.state(node) == Some(state)).await;
    }

    /// The first start, until everything stands.
    pub(crate) async fn until_calm(&self) {
        for node in NODES {
            self.until_state(node, MachineState::Ready).await;
        }
        until(async || self.base_stands()).await;
    }

    fn base_stands(&self) -> bool {
        let platform = platform();
        NODES.iter().all(|node| {
            let has = self.parts.parts_of(&name(node));
            let wanted = rollout::parts::base_parts(&platform, &name(node));
            let registry = self.parts.told_registry(&name(node)).is_some();
            registry && wanted.iter().all(|part| has.iter().any(|one| one.name == part.name()))
        })
    }

    pub(crate) fn say(&self, request: u128, msg: &str) {
        self.bus.inject(&Envelope {
            to_topic: Topic::LifecycleManager,
            from_topic: Topic::FirstTopic,
            request_id: id(request),
            msg: msg.to_owned(),
        });
    }

    /// All answers on `first_topic` to a request, as their text.
    pub(crate) fn answers(&self, request: u128) -> Vec<String> {
        let messages = self.bus.messages(Topic::FirstTopic).into_iter();
        messages.filter(|one| one.request_id == id(request)).map(|one| one.msg).collect()
    }

    pub(crate) async fn answer(&self, request: u128) -> String {
        until(async || !self.answers(request).is_empty()).await;
        self.answers(request).remove(0)
    }

    /// How many alarms began, and how many ended.
    pub(crate) fn alarms(&self) -> (usize, usize) {
        let events = self.bus.messages(Topic::FirstTopic);
        let count = |kind: &str| {
            let is = |one: &&Envelope| Event::decode(&one.msg).is_ok_and(|one| one.kind() == kind);
            events.iter().filter(is).count()
        };
        (count("alert"), count("alert-over"))
    }

    /// What agents were asked to restart, in order: `restart node-manager on node-1`.
    pub(crate) fn restarts(&self) -> Vec<String> {
        let calls = self.parts.calls().into_iter();
        let restarts = calls.filter(|call| matches!(call, PartCall::Restart { .. }));
        restarts.map(|call| call.to_string()).collect()
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

pub(crate) fn id(number: u128) -> RequestId {
    RequestId(Uuid::from_u128(number))
}

/// A machine of the description.
pub(crate) fn agent(node: &NodeName) -> Agent {
    platform().agent(node).unwrap()
}

pub(crate) fn name(node: &str) -> NodeName {
    node.parse().unwrap()
}

/// The part of the placed service.
pub(crate) fn placed() -> PartName {
    PLACED.as_str().parse().unwrap()
}

pub(crate) fn image(text: &str) -> ImageRef {
    ImageRef::new("127.0.0.1:5000/avishkar/platform", Digest::of(text.as_bytes())).unwrap()
}

const COMPONENTS: [Component; 5] = [
    Component::Platform,
    Component::KafkaZookeeper,
    Component::Registry,
    Component::Edge,
    Component::Address,
];

pub(crate) fn id_of(component: Component) -> Digest {
    Digest::of(component.repository().as_bytes())
}

fn named(component: Component) -> ImageRef {
    let repository = format!("127.0.0.1:5000/{}", component.repository());
    let manifest = format!("manifest of {}", component.repository());
    ImageRef::new(&repository, Digest::of(manifest.as_bytes())).unwrap()
}

pub(crate) fn platform() -> Platform {
    let machine = |(index, node): (usize, &str)| {
        let ip: IpAddr = [192, 0, 2, u8::try_from(index + 1).unwrap()].into();
        let (memory_bytes, cpu_millis, address) = (1 << 30, 1000, None);
        let shape = LocalShape { memory_bytes, cpu_millis, address, machines_socket: false };
        PlannedMachine {
            name: name(node),
            shape: Shape::Local(shape),
            gate: Some(Gate::new(ip.to_string())),
            address: Some(ip),
            user: "root".to_owned(),
            credential: Credential::KeyFile("/key".into()),
            id: Some(MachineId("0".to_owned())),
            host_key: None,
        }
    };
    let image = |component: Component| {
        (component, Image { id: id_of(component), named: Some(named(component)) })
    };
    let three: Vec<NodeName> = NODES[..3].iter().map(|node| name(node)).collect();
    Platform {
        schema: 1,
        name: name("fleet"),
        machines: NODES.into_iter().enumerate().map(machine).collect(),
        placement: Placement {
            zookeeper: three.clone(),
            kafka: three,
            registry: name("node-1"),
            edge: vec![name("node-4")],
            lifecycle_manager: vec![name("node-1"), name("node-2")],
        },
        images: COMPONENTS.into_iter().map(image).collect::<BTreeMap<_, _>>(),
        denied_networks: Vec::new(),
        door: [127, 0, 0, 1].into(),
        edge_bind: [0, 0, 0, 0].into(),
        edge_advertised: None,
        edge: EdgeSettings::default(),
        acme: None,
        local: None,
        azure: None,
        code: BTreeMap::new(),
        max_machines: None,
        idle_seconds: None,
    }
}

fn mounted() -> Access {
    Access { share: Description::Folder(FolderPlace { path: "/mnt/code".into() }), secret: None }
}

pub(crate) fn vault(clock: Arc<ManualClock>) -> Vault {
    Vault {
        authority: Arc::new(Notary(clock)),
        secrets: Secrets {
            authority: Papers { certificate: "ca".to_owned(), key: "its key".to_owned() },
            jwt: "secret".to_owned(),
            ssh_key: "key".to_owned(),
            platform: "{}".to_owned(),
            azure: None,
            shares: [("code".parse().unwrap(), mounted())].into(),
            configured: Configured::default(),
            given: 0,
        },
    }
}
