//! The platform that the fleet is, as its lifecycle managers have it described, and what a bootstrapper has done.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use common::digest::{Digest, ImageRef};
use common::id::{Epoch, Generation, SlotNumber};
use common::name::{AppName, NodeName};
use common::port::authority::{self, Papers};
use common::port::container::{ContainerSpec, Limits};
use common::port::host::{Credential, Gate};
use common::port::machines::{LocalShape, Shape};
use common::port::nodes::{Agent, Issuer};
use common::port::part::{PartImage, PartSpec};
use common::port::{Authority, Nodes as _, Parts as _};
use common::service::ServiceName;
use lifecycle_manager::Vault;
use rollout::parts::{
    BasePart, Configured, Secrets, ServicePapers, Site, base_parts, registry, service,
};
use rollout::platform::{Component, EdgeSettings, Image, Placement, PlannedMachine, Platform};

use super::process;
use crate::settings::REGISTRY;
use crate::world::World;

const COMPONENTS: [Component; 4] =
    [Component::Platform, Component::KafkaZookeeper, Component::Registry, Component::Edge];

/// Papers that say what they are for.
#[derive(Debug)]
struct Notary;

impl Authority for Notary {
    fn certificate(&self) -> &'static str {
        "ca"
    }

    fn issue(&self, service: ServiceName, names: &[String]) -> Result<Papers, authority::Error> {
        let certificate = format!("{service} at {}", names.join(" "));
        Ok(Papers { key: format!("key of {certificate}"), certificate })
    }
}

pub(crate) fn vault() -> Vault {
    let secrets = Secrets {
        authority: Papers { certificate: "ca".to_owned(), key: "its key".to_owned() },
        jwt: "secret".to_owned(),
        ssh_key: "key".to_owned(),
        platform: "{}".to_owned(),
        azure: None,
        shares: BTreeMap::new(),
        configured: Configured::default(),
        given: 0,
    };
    Vault { authority: Arc::new(Notary), secrets }
}

fn id_of(component: Component) -> Digest {
    Digest::of(component.repository().as_bytes())
}

fn named(component: Component) -> ImageRef {
    let repository = format!("127.0.0.1:5000/{}", component.repository());
    let manifest = format!("manifest of {}", component.repository());
    ImageRef::new(&repository, Digest::of(manifest.as_bytes())).expect("it is a repository's name")
}

fn machine(agent: &Agent) -> PlannedMachine {
    let ip: IpAddr = agent.address.ip();
    let shape = LocalShape {
        memory_bytes: 1 << 30,
        cpu_millis: 1000,
        address: None,
        machines_socket: false,
    };
    PlannedMachine {
        name: agent.node.clone(),
        shape: Shape::Local(shape),
        gate: Some(Gate::new(ip.to_string())),
        address: Some(ip),
        user: "root".to_owned(),
        credential: Credential::KeyFile("/key".into()),
        id: None,
        host_key: None,
    }
}

/// The edge on the last machine, ZooKeeper and Kafka on the others, lifecycle managers on the first two.
pub(crate) fn platform(agents: &[Agent]) -> Platform {
    let names: Vec<NodeName> = agents.iter().map(|agent| agent.node.clone()).collect();
    let first = |count: usize| names.iter().take(count).cloned().collect::<Vec<_>>();
    let (seed, edge) = (names.first().cloned(), names.last().cloned());
    let (seed, edge) = seed.zip(edge).expect("there are machines");
    let image = |component: Component| {
        (component, Image { id: id_of(component), named: Some(named(component)) })
    };
    Platform {
        schema: 1,
        name: "fleet".parse().expect("it is a name"),
        machines: agents.iter().map(machine).collect(),
        placement: Placement {
            zookeeper: first(names.len() - 1),
            kafka: first(names.len() - 1),
            registry: seed,
            edge: vec![edge],
            lifecycle_manager: first(2),
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

/// Those of the base that keep everything else: a bootstrapper leaves them, and ends.
const LEFT: [BasePart; 3] =
    [BasePart::Registry, BasePart::LifecycleManager, BasePart::PlatformInitializer];

fn draft(platform: &Platform, node: &NodeName, part: BasePart) -> PartSpec {
    let site = Site { platform, node, generation: Generation(1) };
    let drafted = match part.as_str().parse::<ServiceName>() {
        Ok(name) => {
            let Vault { authority, secrets } = vault();
            let papers = ServicePapers::of(&site, name, authority.as_ref(), &secrets);
            service(&site, name, None, &papers.expect("the notary vouches for everybody"))
        }
        Err(_) => registry(&site),
    };
    drafted.expect("the platform is described")
}

/// What a bootstrapper has done, and an app on every machine.
pub(super) async fn found(world: &Arc<World>) {
    let platform = platform(&world.truth.agents);
    let parts = &world.truth.fleet.parts;
    for component in COMPONENTS {
        parts.registry().offer(&named(component));
    }
    let issuer = Issuer { service: ServiceName::LifecycleManager, epoch: Epoch(0) };
    for agent in &world.truth.agents {
        for component in COMPONENTS {
            parts.place_image(&agent.node, &PartImage::Id(id_of(component)));
        }
        for part in base_parts(&platform, &agent.node) {
            if LEFT.contains(&part) {
                let spec = draft(&platform, &agent.node, part);
                parts.ensure_part(agent, issuer, &spec).await.expect("the machine is well");
            }
        }
        run_app(world, agent).await;
    }
    process::attend(world);
}

/// An app that was deployed before: nobody may touch it.
async fn run_app(world: &Arc<World>, agent: &Agent) {
    let app: AppName = "shop".parse().expect("it is an app's name");
    let image = ImageRef::new(&format!("{REGISTRY}/apps/shop"), Digest::of(b"shop"));
    let image = image.expect("it is a repository's name");
    world.truth.nodes.offer_image(&image);
    let slot = world.truth.agents.iter().position(|other| other == agent).unwrap_or_default();
    let spec = ContainerSpec {
        instance: app.into(),
        slot: SlotNumber(u32::try_from(slot).unwrap_or_default() + 1),
        generation: Generation(1),
        image,
        container_port: 8080,
        host_port: 20_000,
        environment: BTreeMap::new(),
        limits: Limits::default(),
        read_only: true,
        files: Vec::new(),
        health_path: None,
    };
    let issuer = Issuer { service: ServiceName::DeploymentManager, epoch: Epoch(1) };
    world.truth.nodes.ensure(agent, issuer, &spec).await.expect("the machine is well");
}
