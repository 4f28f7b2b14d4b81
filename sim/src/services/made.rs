//! One life's ports, and the service on them.

use std::net::IpAddr;
use std::sync::Arc;

use chassis::service::Service;
use common::port::{Blobs, Bus, Clock, Edge, Entropy, Nodes, Routes, Store};
use common::service::ServiceName;
use lifecycle_manager::Backends;
use lifecycle_manager::ports::NeverChanged;
use testkit::{MemoryCertificates, MemoryDrains, MemoryEdge, MemoryUpkeep, SeededEntropy};

use crate::fleet;
use crate::gate::Gate;
use crate::port::{
    SimBlobs, SimBus, SimEdge, SimEnrolment, SimMachines, SimNodes, SimParts, SimProbes, SimRoutes,
    SimStore, SimWebhooks,
};
use crate::settings::{Configs, FleetConfigs, node_manager_at};

/// In whose name everything is asked.
const ADMIN: &str = "ada";

/// The ports of one life.
pub(super) struct Ports {
    pub(super) gate: Gate,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) seed: u64,
}

impl Ports {
    fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(SimBus::new(self.gate.clone()))
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::new(SimStore::new(self.gate.clone()))
    }

    fn nodes(&self) -> Arc<dyn Nodes> {
        Arc::new(SimNodes::new(self.gate.clone()))
    }

    fn edge(&self) -> Arc<dyn Edge> {
        Arc::new(SimEdge::new(self.gate.clone()))
    }

    fn routes(&self) -> Arc<dyn Routes> {
        Arc::new(SimRoutes::new(self.gate.clone()))
    }

    fn blobs(&self) -> Arc<dyn Blobs> {
        Arc::new(SimBlobs::new(self.gate.clone()))
    }

    fn entropy(&self) -> Arc<dyn Entropy> {
        Arc::new(SeededEntropy::new(self.seed))
    }

    /// The settings of a fleet's services and the address of this one's machine; none for one that is nowhere.
    fn place(&self) -> Option<(&FleetConfigs, IpAddr)> {
        let Gate { world, life } = &self.gate;
        let node = &life.spot.as_ref()?.node;
        let agent = world.truth.agents.iter().find(|agent| agent.node == *node)?;
        let made = || FleetConfigs::new(&world.truth.agents, world.plant);
        Some((world.truth.fleet.configs.get_or_init(made), agent.address.ip()))
    }
}

/// The service of this life.
pub(super) fn made(ports: &Ports, configs: &Configs) -> Arc<dyn Service> {
    match ports.gate.life.service {
        ServiceName::AppManager => app_manager(ports, configs),
        ServiceName::DeploymentManager => {
            let own = deployment_manager::Ports {
                bus: ports.bus(),
                store: ports.store(),
                blobs: ports.blobs(),
                nodes: ports.nodes(),
                routes: ports.routes(),
                clock: Arc::clone(&ports.clock),
            };
            let config = configs.deployment_manager.clone();
            Arc::new(deployment_manager::DeploymentManager::new(own, config))
        }
        ServiceName::NodeManager | ServiceName::NodeAgent => node_manager(ports, configs),
        ServiceName::LoadBalancer => load_balancer(ports, configs),
        ServiceName::Monitoring => monitoring(ports),
        ServiceName::LifecycleManager => lifecycle_manager(ports),
        ServiceName::PlatformInitializer => {
            let own = platform_initializer::Ports {
                bus: ports.bus(),
                store: ports.store(),
                routes: ports.routes(),
                clock: Arc::clone(&ports.clock),
                entropy: ports.entropy(),
            };
            let (fleet, ip) = ports.place().expect("it lives on a machine");
            Arc::new(platform_initializer::Service::new(own, fleet.platform_initializer(ip)))
        }
    }
}

fn app_manager(ports: &Ports, configs: &Configs) -> Arc<dyn Service> {
    let own = app_manager::Ports {
        store: ports.store(),
        bus: ports.bus(),
        blobs: ports.blobs(),
        nodes: ports.nodes(),
        certificates: Arc::new(MemoryCertificates::default()),
        routes: ports.routes(),
        upkeep: Arc::new(MemoryUpkeep::default()),
        drains: Arc::new(MemoryDrains::default()),
        clock: Arc::clone(&ports.clock),
        entropy: ports.entropy(),
    };
    let service = app_manager::Service::new(own, configs.app_manager.clone())
        .expect("the folder of a run can be written");
    let admin = ADMIN.parse().expect("it is a user's name");
    ports.gate.life.entrances().door = Some(service.door(admin));
    Arc::new(service)
}

fn node_manager(ports: &Ports, configs: &Configs) -> Arc<dyn Service> {
    let own = node_manager::Ports {
        bus: ports.bus(),
        store: ports.store(),
        nodes: ports.nodes(),
        clock: Arc::clone(&ports.clock),
        entropy: ports.entropy(),
    };
    let config = match ports.place() {
        Some((_, ip)) => node_manager_at(&configs.node_manager, ip),
        None => configs.node_manager.clone(),
    };
    let service = node_manager::Service::new(own, config);
    ports.gate.life.entrances().drains = Some(service.local_drains());
    Arc::new(service)
}

fn load_balancer(ports: &Ports, configs: &Configs) -> Arc<dyn Service> {
    let own = load_balancer::Ports {
        bus: ports.bus(),
        store: ports.store(),
        edge: ports.edge(),
        certificates: Arc::new(MemoryEdge::default()),
        other: None,
        authority: None,
        nodes: ports.nodes(),
        clock: Arc::clone(&ports.clock),
    };
    let service = load_balancer::LoadBalancer::new(own, configs.load_balancer.clone());
    ports.gate.life.entrances().routes = Some(service.local_routes());
    Arc::new(service)
}

fn monitoring(ports: &Ports) -> Arc<dyn Service> {
    let own = monitoring::Ports {
        bus: ports.bus(),
        store: ports.store(),
        probes: Arc::new(SimProbes::new(ports.gate.clone())),
        routes: ports.routes(),
        webhooks: Arc::new(SimWebhooks::new(ports.gate.clone())),
        clock: Arc::clone(&ports.clock),
        entropy: ports.entropy(),
    };
    let (fleet, ip) = ports.place().expect("it lives on a machine");
    Arc::new(monitoring::Service::new(own, fleet.monitoring(ip)))
}

fn lifecycle_manager(ports: &Ports) -> Arc<dyn Service> {
    let gate = &ports.gate;
    let own = lifecycle_manager::Ports {
        bus: ports.bus(),
        store: ports.store(),
        nodes: ports.nodes(),
        parts: Arc::new(SimParts::new(gate.clone())),
        backends: Backends::default().with("local", Arc::new(SimMachines::new(gate.clone()))),
        enrolment: Arc::new(SimEnrolment::new(gate.clone())),
        credentials: Arc::new(NeverChanged),
        vault: Some(fleet::vault()),
        clock: Arc::clone(&ports.clock),
        entropy: ports.entropy(),
    };
    let (fleet, ip) = ports.place().expect("it lives on a machine");
    Arc::new(lifecycle_manager::Service::new(own, fleet.lifecycle_manager(ip)))
}
