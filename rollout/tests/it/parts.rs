//! What each part is told, as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use common::digest::{Digest, ImageRef};
use common::id::Generation;
use common::name::NodeName;
use common::port::authority::Papers;
use common::port::host::{Credential, Gate};
use common::port::machines::{LocalShape, Shape};
use common::port::part::{Member, PartImage, PartSpec, PartVolume, VolumeSource};
use common::port::share::{Access, Code, Description, FolderPlace};
use common::service::ServiceName;
use rollout::parts::{
    self, AUTHORITY, BasePart, Configured, Incomplete, JWT, PLATFORM, SHARES, SSH_KEY, Secrets,
    ServicePapers, Site, base_parts,
};
use rollout::platform::{Component, EdgeSettings, Image, Placement, PlannedMachine, Platform};

use crate::world::FixedAuthority;

const COMPONENTS: [Component; 5] = [
    Component::Platform,
    Component::KafkaZookeeper,
    Component::Registry,
    Component::Edge,
    Component::RuntimePython,
];

fn names(count: usize) -> Vec<NodeName> {
    (1..=count).map(|number| format!("node-{number}").parse().unwrap()).collect()
}

/// Four machines, with ZooKeeper and Kafka on the first `base` of them.
pub(crate) fn platform(base: usize) -> Platform {
    let (memory_bytes, cpu_millis) = (1 << 30, 1000);
    let shape = LocalShape { memory_bytes, cpu_millis, address: None, machines_socket: true };
    let machine = |(number, name): (usize, NodeName)| PlannedMachine {
        name,
        shape: Shape::Local(shape),
        gate: Some(Gate::new(format!("192.0.2.{number}"))),
        address: None,
        user: "root".to_owned(),
        credential: Credential::KeyFile("/keys/platform".into()),
        id: None,
        host_key: None,
    };
    let image = |component: Component| {
        let digest = Digest::of(component.repository().as_bytes());
        let repository = format!("127.0.0.1:5000/{}", component.repository());
        let named = ImageRef::new(&repository, digest.clone()).unwrap();
        (component, Image { id: digest, named: Some(named) })
    };
    Platform {
        schema: 1,
        name: "fleet".parse().unwrap(),
        machines: (1..).zip(names(4)).map(machine).collect(),
        placement: Placement {
            zookeeper: names(base),
            kafka: names(base),
            registry: "node-1".parse().unwrap(),
            edge: vec!["node-4".parse().unwrap()],
            lifecycle_manager: names(2),
        },
        images: COMPONENTS.into_iter().map(image).collect(),
        denied_networks: vec!["192.0.2.0/24".to_owned()],
        door: "127.0.0.1".parse().unwrap(),
        edge_bind: "0.0.0.0".parse().unwrap(),
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

pub(crate) fn secrets() -> Secrets {
    let authority = Papers { certificate: "ca".to_owned(), key: "ca key".to_owned() };
    Secrets {
        authority,
        jwt: "jwt secret".to_owned(),
        ssh_key: "ssh secret".to_owned(),
        platform: "{}".to_owned(),
        azure: None,
        shares: BTreeMap::new(),
        configured: Configured::default(),
        given: 0,
    }
}

pub(crate) fn on<T>(platform: &Platform, node: &str, make: impl FnOnce(&Site<'_>) -> T) -> T {
    let node: NodeName = node.parse().unwrap();
    make(&Site { platform, node: &node, generation: Generation(7) })
}

pub(crate) fn service(platform: &Platform, node: &str, service: ServiceName) -> PartSpec {
    on(platform, node, |site| {
        let papers = ServicePapers::of(site, service, &FixedAuthority("ca"), &secrets()).unwrap();
        parts::service(site, service, None, &papers).unwrap()
    })
}

/// What of a specification differs from part to part.
fn shown(spec: &PartSpec) -> String {
    let mut text = format!("{} {}\n", spec.name, spec.command.join(" "));
    for (key, value) in &spec.environment {
        writeln!(text, "{key}={value}").unwrap();
    }
    for file in &spec.files {
        writeln!(text, "file {}", file.path).unwrap();
    }
    for volume in &spec.volumes {
        writeln!(text, "volume {:?} {}", volume.from, volume.path).unwrap();
    }
    let health = spec.health.as_ref().unwrap();
    writeln!(text, "health {} {:?}", health.port, health.path).unwrap();
    text
}

fn content<'a>(spec: &'a PartSpec, path: &str) -> &'a str {
    &spec.files.iter().find(|file| file.path == path).unwrap().content
}

#[test]
fn one_of_three_zookeepers_knows_the_others_and_itself() {
    let spec = on(&platform(3), "node-2", |site| parts::zookeeper(site).unwrap());
    let config = content(&spec, "/etc/avishkar/zoo.cfg");
    let end = config.split_once("autopurge.purgeInterval=1\n").unwrap().1;
    assert_eq!(
        end,
        "clientPort=2181\nclientPortAddress=192.0.2.2\nserver.1=192.0.2.1:2888:3888\n\
         server.2=192.0.2.2:2888:3888\nserver.3=192.0.2.3:2888:3888\n"
    );
    assert_eq!(spec.environment["ZOOKEEPER_ID"], "2");
    assert!(config.starts_with("tickTime=500\n"));
    assert_eq!((spec.generation, spec.user), (Generation(7), 10001));
    let health = spec.health.unwrap();
    assert_eq!((health.says.as_slice(), health.turn), (b"ruok".as_slice(), 1));
    assert_eq!((health.start_seconds, health.member), (900, Some(Member::ZooKeeper)));
}

#[test]
fn one_zookeeper_alone_has_no_servers() {
    let spec = on(&platform(1), "node-1", |site| parts::zookeeper(site).unwrap());
    assert!(!content(&spec, "/etc/avishkar/zoo.cfg").contains("server."));
}

#[test]
fn one_of_three_brokers_has_copies_on_all_and_acknowledges_with_two() {
    let spec = on(&platform(3), "node-3", |site| parts::kafka(site).unwrap());
    let config = content(&spec, "/etc/avishkar/server.properties");
    for line in [
        "node.id=3",
        "controller.quorum.voters=1@192.0.2.1:9094,2@192.0.2.2:9094,3@192.0.2.3:9094",
        "listeners=NODES://192.0.2.3:9092,CONTROLLER://192.0.2.3:9094",
        "advertised.listeners=NODES://192.0.2.3:9092",
        "default.replication.factor=3",
        "offsets.topic.replication.factor=3",
        "transaction.state.log.replication.factor=3",
        "min.insync.replicas=2",
        "transaction.state.log.min.isr=2",
    ] {
        assert!(config.lines().any(|found| found == line), "{line} is not in\n{config}");
    }
    assert_eq!(spec.health.unwrap().member, Some(Member::Kafka { id: 3 }));
}

#[test]
fn one_broker_alone_has_everything_once() {
    let spec = on(&platform(1), "node-1", |site| parts::kafka(site).unwrap());
    let config = content(&spec, "/etc/avishkar/server.properties");
    assert!(config.contains("controller.quorum.voters=1@192.0.2.1:9094\n"));
    let copies =
        config.lines().filter(|line| line.contains("replication.factor") || line.contains("min."));
    assert!(copies.clone().all(|line| line.ends_with("=1")), "{config}");
    assert_eq!(copies.count(), 7);
}

#[test]
fn the_registry_listens_on_its_node_and_the_edge_where_visitors_come() {
    let platform = platform(3);
    let registry = on(&platform, "node-1", |site| parts::registry(site).unwrap());
    assert_eq!(
        shown(&registry),
        "registry \nREGISTRY_HTTP_ADDR=192.0.2.1:5000\n\
         volume Own(PartName(\"registry\")) /var/lib/registry\nhealth 5000 Some(\"/v2/\")\n"
    );
    assert!(matches!(registry.image, PartImage::Id(_)), "there is no registry to fetch it from");
    let edge = on(&platform, "node-4", |site| parts::edge(site).unwrap());
    assert_eq!(
        shown(&edge),
        "edge \nEDGE_BIND=0.0.0.0\nEDGE_RESERVED=2888\n\
         volume Shared(PartName(\"edge-table\")) /var/lib/avishkar/edge\n\
         volume Memory(PartName(\"edge-run\")) /run/avishkar/edge\nhealth 8088 None\n"
    );
    let says = edge.health.as_ref().unwrap().says.as_slice();
    assert!(says.ends_with(b"\r\n\r\n"), "it is answered: {says:?}");
    let balancer = service(&platform, "node-4", ServiceName::LoadBalancer);
    assert!(edge.volumes.iter().all(|volume| balancer.volumes.contains(volume)));
}

#[test]
fn a_service_is_told_where_everything_is() {
    let platform = platform(3);
    assert_eq!(
        shown(&service(&platform, "node-4", ServiceName::LoadBalancer)),
        "load-balancer service load-balancer\n\
         AVISHKAR_EDGE__ADVERTISED=192.0.2.4\n\
         AVISHKAR_HTTP__ADDRESS=127.0.0.1:8050\n\
         AVISHKAR_HTTP__ADVERTISED=192.0.2.4:8050\n\
         AVISHKAR_HTTP__DOCUMENT_001_GETS=true\n\
         AVISHKAR_HTTP__INTERNAL_ADDRESS=192.0.2.4:9051\n\
         AVISHKAR_KAFKA__BROKERS=192.0.2.1:9092,192.0.2.2:9092,192.0.2.3:9092\n\
         AVISHKAR_ZOOKEEPER__SERVERS=192.0.2.1:2181,192.0.2.2:2181,192.0.2.3:2181\n\
         file /etc/avishkar/pki/ca.pem\n\
         file /etc/avishkar/pki/load-balancer.pem\n\
         file /etc/avishkar/pki/load-balancer.key\n\
         file /etc/avishkar/secrets/seal\n\
         volume Own(PartName(\"load-balancer\")) /data\n\
         volume Own(PartName(\"load-balancer-logs\")) /logs\n\
         volume Shared(PartName(\"edge-table\")) /var/lib/avishkar/edge\n\
         volume Memory(PartName(\"edge-run\")) /run/avishkar/edge\n\
         health 8050 Some(\"/readyz\")\n"
    );
    let own = service(&platform, "node-4", ServiceName::LoadBalancer);
    let papers = content(&own, "/etc/avishkar/pki/load-balancer.pem");
    assert_eq!(papers, "ca says load-balancer 192.0.2.4");
}

#[test]
fn apps_are_built_on_images_of_the_own_registry() {
    let spec = service(&platform(3), "node-2", ServiceName::DeploymentManager);
    let digest = Digest::of(b"avishkar/runtime-python");
    assert_eq!(
        content(&spec, "/etc/avishkar/images.toml"),
        format!("[build]\npython = \"127.0.0.1:5000/avishkar/runtime-python@{digest}\"\n")
    );
    assert_eq!(
        spec.command,
        ["service", "deployment-manager", "--config", "/etc/avishkar/images.toml"]
    );
}

#[test]
fn each_service_gets_the_secrets_that_it_needs_and_no_others() {
    let platform = platform(3);
    let all = ServiceName::ALL.into_iter().filter(|service| *service != ServiceName::NodeAgent);
    for name in all {
        let spec = service(&platform, "node-1", name);
        let holds = |secret: &str| spec.files.iter().any(|file| file.content.contains(secret));
        let keeps_all = name == ServiceName::LifecycleManager;
        let signs_tokens = keeps_all || name == ServiceName::AppManager;
        let wanted = [signs_tokens, keeps_all, keeps_all];
        assert_eq!(["jwt secret", "ssh secret", "ca key"].map(holds), wanted, "{name}");
        assert!(!format!("{spec:?}").contains("secret\""), "{name} is shown with a secret");
    }
    let keeper = service(&platform, "node-1", ServiceName::LifecycleManager);
    for path in [PLATFORM, AUTHORITY, SSH_KEY, JWT] {
        content(&keeper, path);
    }
    let socket = |volume: &PartVolume| volume.from == VolumeSource::MachinesSocket;
    assert!(keeper.volumes.iter().any(socket));
}

#[test]
fn another_version_is_another_image_and_nothing_else() {
    let platform = platform(3);
    let newer = PartImage::Id(Digest::of(b"newer"));
    let own = service(&platform, "node-1", ServiceName::Monitoring);
    let spec = on(&platform, "node-1", |site| {
        let service = ServiceName::Monitoring;
        let papers = ServicePapers::of(site, service, &FixedAuthority("ca"), &secrets()).unwrap();
        parts::service(site, service, Some(newer.clone()), &papers).unwrap()
    });
    assert_eq!(spec, PartSpec { image: newer, ..own });
}

#[test]
fn lifecycle_managers_add_machines_and_give_them_back_as_the_description_says() {
    let said = |platform: &Platform, name| {
        let told = service(platform, "node-1", name).environment;
        let keys = ["MAX_MACHINES", "IDLE_SECONDS"].map(|key| format!("AVISHKAR_PROVISION__{key}"));
        keys.map(|key| told.get(&key).cloned().unwrap_or_default())
    };
    let mut platform = platform(3);
    assert_eq!(said(&platform, ServiceName::LifecycleManager), ["", ""]);
    platform.max_machines = Some(9);
    assert_eq!(said(&platform, ServiceName::LifecycleManager), ["9", ""]);
    platform.idle_seconds = Some(0);
    assert_eq!(said(&platform, ServiceName::LifecycleManager), ["9", "0"]);
    assert_eq!(said(&platform, ServiceName::Monitoring), ["", ""]);
}

#[test]
fn document_000s_callers_are_heard_on_the_machine_of_a_lifecycle_manager_and_nowhere_else() {
    let own = service(&platform(3), "node-1", ServiceName::LifecycleManager);
    assert_eq!(own.environment["AVISHKAR_LIFECYCLE__DOCUMENT_000_PATHS"], "true");
    let plain: SocketAddr = own.environment["AVISHKAR_HTTP__ADDRESS"].parse().unwrap();
    assert!(plain.ip().is_loopback(), "{plain}");
}

#[test]
fn who_has_code_is_built_of_it_and_another_version_takes_its_place() {
    let mut platform = platform(3);
    let own = service(&platform, "node-1", ServiceName::Monitoring);
    let text = format!("share://code/monitoring@{}", Digest::of(b"code"));
    let code: Code = text.parse().unwrap();
    platform.code.insert(ServiceName::Monitoring, code.clone());
    let built = service(&platform, "node-1", ServiceName::Monitoring);
    assert_eq!(built, PartSpec { image: PartImage::Built(code), ..own });
    let other = service(&platform, "node-1", ServiceName::NodeManager);
    assert!(matches!(other.image, PartImage::Id(_)), "nobody named code for it");
    let newer = PartImage::Id(Digest::of(b"newer"));
    let upgraded = on(&platform, "node-1", |site| {
        let service = ServiceName::Monitoring;
        let papers = ServicePapers::of(site, service, &FixedAuthority("ca"), &secrets()).unwrap();
        parts::service(site, service, Some(newer.clone()), &papers).unwrap()
    });
    assert_eq!(upgraded.image, newer);
}

#[test]
fn what_opens_a_share_is_a_file_of_lifecycle_managers_only_and_only_where_there_is_one() {
    let platform = platform(3);
    let share = Description::Folder(FolderPlace { path: "/mnt/code".into() });
    let access = Access { share, secret: Some("share secret".to_owned()) };
    let known = Secrets { shares: [("code".parse().unwrap(), access)].into(), ..secrets() };
    for name in [ServiceName::LifecycleManager, ServiceName::AppManager, ServiceName::Monitoring] {
        let of = |secrets: &Secrets| {
            on(&platform, "node-1", |site| {
                let papers = ServicePapers::of(site, name, &FixedAuthority("ca"), secrets).unwrap();
                parts::service(site, name, None, &papers).unwrap()
            })
        };
        let (with, without) = (of(&known), of(&secrets()));
        let holds = |spec: &PartSpec| {
            let mut files = spec.files.iter().filter(|file| file.content.contains("share secret"));
            files.next().map(|file| file.path.clone())
        };
        let keeps = name == ServiceName::LifecycleManager;
        assert_eq!(holds(&with), keeps.then(|| SHARES.to_owned()), "{name}");
        assert_eq!(with.files.len() - without.files.len(), usize::from(keeps), "{name}");
    }
}

#[test]
fn what_the_description_lacks_is_said() {
    let mut lacking = platform(3);
    lacking.images.get_mut(&Component::KafkaZookeeper).unwrap().named = None;
    let kafka =
        |platform: &Platform, node| on(platform, node, |site| parts::kafka(site).unwrap_err());
    assert_eq!(kafka(&lacking, "node-1"), Incomplete::NotPushed("avishkar/kafka-zookeeper"));
    let elsewhere = Incomplete::NotPlaced { part: "kafka", node: "node-4".parse().unwrap() };
    assert_eq!(kafka(&lacking, "node-4"), elsewhere);
    lacking.machines[1].gate = Some(Gate::new("node-2.example.org"));
    assert_eq!(kafka(&lacking, "node-1"), Incomplete::NoAddress("node-2".parse().unwrap()));
    lacking.images.clear();
    let registry = on(&lacking, "node-1", |site| parts::registry(site).unwrap_err());
    assert_eq!(registry, Incomplete::NoImage("avishkar/registry"));
}

#[test]
fn a_node_has_its_base_parts_in_the_order_in_which_they_are_needed() {
    let platform = platform(3);
    let first = [
        BasePart::Registry,
        BasePart::ZooKeeper,
        BasePart::Kafka,
        BasePart::LifecycleManager,
        BasePart::PlatformInitializer,
    ];
    assert_eq!(base_parts(&platform, &"node-1".parse().unwrap()), first);
    assert_eq!(base_parts(&platform, &"node-4".parse().unwrap()), [BasePart::Edge]);
}
