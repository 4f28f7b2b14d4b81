//! The contract of machines of Azure, and Azure's bad days, on a stand-in for its interface of resources.

mod bad_days;
mod order;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use adapters::AzureMachines;
use adapters::machines::azure::{AzureSettings, Endpoints, Network, ServicePrincipal, SignIn};
use async_trait::async_trait;
use common::name::NodeName;
use common::port::host::{Credential, PublicKey};
use common::port::machines::{AzureShape, MachineSpec, Opening, Origin, Shape};
use common::port::{Hosts, Machines};
use testkit::MemoryHosts;
use testkit::azure::{CLIENT, DIRECTORY, MemoryAzure, SECRET, SUBSCRIPTION};
use testkit::contract::machines::{HostKeys, World, holds};

const GROUP: &str = "fleet";
const KEY: &str = "/keys/ops";
static NAMES: AtomicU32 = AtomicU32::new(0);

/// A backend and the Azure that it asks.
struct Rig {
    azure: MemoryAzure,
    machines: AzureMachines,
    key: PublicKey,
}

fn settings(azure: &MemoryAzure) -> AzureSettings {
    let endpoint = || azure.endpoint().parse().unwrap();
    AzureSettings {
        endpoints: Endpoints { arm: endpoint(), authority: endpoint() },
        subscription: SUBSCRIPTION.to_owned(),
        resource_group: GROUP.to_owned(),
        location: "westeurope".to_owned(),
        network: Network::named("fleet", "machines"),
        platform: "fleet".to_owned(),
        user: "avishkar".to_owned(),
        sign_in: SignIn::Public,
        operators: vec!["192.0.2.0/24".parse().unwrap()],
        tags: BTreeMap::from([("owner".to_owned(), "ops".to_owned())]),
        pace: Duration::from_millis(2),
    }
}

fn principal(secret: &str) -> ServicePrincipal {
    ServicePrincipal::new(DIRECTORY.to_owned(), CLIENT.to_owned(), secret.to_owned())
}

impl Rig {
    async fn open() -> Self {
        let hosts = MemoryHosts::new();
        let key = hosts.make_key(KEY, "ops");
        let azure = MemoryAzure::start(hosts).await.unwrap();
        let machines = AzureMachines::connect(settings(&azure), principal(SECRET)).unwrap();
        Rig { azure, machines, key }
    }

    /// Another process with the same settings.
    fn another(&self) -> AzureMachines {
        AzureMachines::connect(settings(&self.azure), principal(SECRET)).unwrap()
    }

    fn spec(&self) -> MachineSpec {
        self.spec_of(AzureShape::default())
    }

    fn spec_of(&self, shape: AzureShape) -> MachineSpec {
        let authorized_key = self.key.clone();
        MachineSpec { name: fresh_name(), authorized_key, shape: Shape::Azure(shape) }
    }
}

fn fresh_name() -> NodeName {
    format!("node-{}", NAMES.fetch_add(1, Ordering::Relaxed)).parse().unwrap()
}

#[async_trait(?Send)]
impl World for Rig {
    fn machines(&self) -> &dyn Machines {
        &self.machines
    }

    fn hosts(&self) -> &dyn Hosts {
        self.azure.hosts()
    }

    fn credential(&self) -> Credential {
        Credential::KeyFile(KEY.into())
    }

    fn authorized_key(&self) -> PublicKey {
        self.key.clone()
    }

    fn shape(&self, address: Option<Ipv4Addr>) -> Shape {
        Shape::Azure(AzureShape { address, ..AzureShape::default() })
    }

    fn other_shape(&self) -> Shape {
        Shape::Azure(AzureShape { size: "Standard_B1s".to_owned(), ..AzureShape::default() })
    }

    fn host_keys(&self) -> HostKeys {
        HostKeys::FromMachine
    }

    fn fresh_name(&self) -> NodeName {
        fresh_name()
    }

    async fn occupy_name(&self, name: &NodeName) {
        let properties = serde_json::json!({"vmId": "theirs"});
        self.azure.place(GROUP, "virtualMachines", name.as_str(), properties);
    }

    async fn is_occupied(&self, name: &NodeName) -> bool {
        let found = self.azure.resource("virtualMachines", name.as_str());
        found.is_some_and(|found| found.pointer("/properties/vmId") == Some(&"theirs".into()))
    }

    async fn power_off(&self, name: &NodeName) {
        self.azure.power_off(name.as_str());
    }

    async fn boot(&self, name: &NodeName) -> String {
        let address = self.azure.public_address(name.as_str()).unwrap();
        self.azure.hosts().with(&address, |system| system.boots.to_string())
    }
}

#[tokio::test]
async fn the_contract_is_kept_by_machines_of_azure() {
    holds(&Rig::open().await).await;
}

/// As many as a list has on two pages and a half.
#[tokio::test]
async fn all_machines_are_listed_whatever_a_page_holds_and_nobody_elses() {
    let rig = Rig::open().await;
    rig.azure.set_page(2);
    rig.azure.set_looks(0);
    rig.azure.place(GROUP, "virtualMachines", "a-stranger", serde_json::json!({}));
    let mut names = Vec::new();
    for _ in 0..5 {
        names.push(rig.machines.create(&rig.spec()).await.unwrap().name);
    }
    names.sort();
    let listed = rig.machines.list().await.unwrap();
    assert_eq!(listed.iter().map(|machine| machine.name.clone()).collect::<Vec<_>>(), names);
    let other = AzureSettings { platform: "another".to_owned(), ..settings(&rig.azure) };
    let other = AzureMachines::connect(other, principal(SECRET)).unwrap();
    assert_eq!(other.list().await.unwrap(), []);
    assert_eq!(other.look(&names[0]).await.unwrap(), None);
}

#[tokio::test]
async fn one_signs_in_by_the_address_that_can_be_reached_from_here() {
    let rig = Rig::open().await;
    let spec = rig.spec();
    let outside = rig.machines.create(&spec).await.unwrap();
    let public = rig.azure.public_address(spec.name.as_str()).unwrap();
    assert_eq!((outside.entry.address.as_str(), outside.user.as_str()), (&*public, "avishkar"));
    let inside = AzureSettings { sign_in: SignIn::Private, ..settings(&rig.azure) };
    let inside = AzureMachines::connect(inside, principal(SECRET)).unwrap();
    let inside = inside.look(&spec.name).await.unwrap().unwrap();
    let private: std::net::IpAddr = inside.entry.address.parse().unwrap();
    assert_eq!((inside.address, outside.address), (Some(private), Some(private)));
    assert!(inside.entry.address.starts_with("10.0.0."), "{inside:?}");
}

#[tokio::test]
async fn settings_that_cannot_be_meant_are_refused_before_anybody_is_asked() {
    let rig = Rig::open().await;
    let wrong = AzureSettings { subscription: "mine".to_owned(), ..settings(&rig.azure) };
    assert!(AzureMachines::connect(wrong, principal(SECRET)).is_err());
    let elsewhere = ServicePrincipal::new("a/b".to_owned(), CLIENT.to_owned(), SECRET.to_owned());
    assert!(AzureMachines::connect(settings(&rig.azure), elsewhere).is_err());
    let opened = |first, last| vec![Opening { first, last, from: Origin::Anywhere }];
    for opened in [opened(0, 80), opened(90, 80), opened(1, 65535), opened(22, 22)] {
        let spec = rig.spec_of(AzureShape { opened, ..AzureShape::default() });
        rig.machines.create(&spec).await.unwrap_err();
    }
    assert_eq!(rig.azure.asked(), [""; 0]);
}
