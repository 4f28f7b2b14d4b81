//! The real services, each life on ports of its own.

use std::sync::Arc;
use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use chassis::service::Service;
use common::port::{Blobs, Bus, Clock, Edge, Entropy, Nodes, Routes, Store};
use common::service::ServiceName;
use testkit::SeededEntropy;

use crate::gate::Gate;
use crate::life::Life;
use crate::plant::Plant;
use crate::port::{SimBlobs, SimBus, SimEdge, SimNodes, SimRoutes, SimStore, mischief};
use crate::settings::Configs;
use crate::world::World;

/// Those that live in the simulation.
pub(crate) const SERVICES: [ServiceName; 4] = [
    ServiceName::AppManager,
    ServiceName::DeploymentManager,
    ServiceName::NodeManager,
    ServiceName::LoadBalancer,
];

/// In whose name everything is asked.
const ADMIN: &str = "ada";

/// The ports of one life.
struct Ports {
    gate: Gate,
    clock: Arc<dyn Clock>,
    seed: u64,
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
}

/// Starts a life of a service. One that lives already goes on beside it: two leaders.
pub(crate) fn start(world: &Arc<World>, configs: &Configs, service: ServiceName) {
    let life = {
        let mut lives = world.lives();
        let life = lives.begin(service, world.truth.store.session());
        if let Some(older) = lives.current.insert(service, Arc::clone(&life)) {
            lives.others.push(older);
            world.checker().doubled.insert(service);
        }
        life
    };
    world.tell(format_args!("{} starts", life.label));
    live(world, configs, life);
}

/// Starts a life of a service at an address of its own, unless one stands by already: it leads when the
/// others do not any more.
pub(crate) fn stand_by(world: &Arc<World>, service: ServiceName) {
    let life = {
        let mut lives = world.lives();
        if lives.standbys.contains_key(&service) {
            return;
        }
        let life = lives.begin(service, world.truth.store.session());
        lives.standbys.insert(service, Arc::clone(&life));
        world.checker().doubled.insert(service);
        life
    };
    world.tell(format_args!("{} stands by", life.label));
    live(world, &world.configs.of_another_machine(life.number), life);
}

fn live(world: &Arc<World>, configs: &Configs, life: Arc<Life>) {
    let seed = world.dice().draw();
    let service = life.service;
    world.checker().begins(&life);
    let clock = world.truth.clocks.get(&service).cloned().expect("every service has a clock");
    let gate = Gate { world: Arc::clone(world), life: Arc::clone(&life) };
    let made = make(&Ports { gate, clock, seed }, configs);
    let number = life.number;
    let world = Arc::clone(world);
    let stage = Arc::clone(&world.stage);
    stage.spawn(number, async move {
        let ended = made.run(Lifecycle::new()).await;
        let why = match &ended {
            Ok(()) => "it ends".to_owned(),
            Err(err) => format!("it ends: {err}"),
        };
        world.end(&life, &why);
    });
}

fn make(ports: &Ports, configs: &Configs) -> Arc<dyn Service> {
    match ports.gate.life.service {
        ServiceName::AppManager => {
            let own = app_manager::Ports {
                store: ports.store(),
                bus: ports.bus(),
                blobs: ports.blobs(),
                nodes: ports.nodes(),
                clock: Arc::clone(&ports.clock),
                entropy: ports.entropy(),
            };
            let service = app_manager::Service::new(own, configs.app_manager.clone())
                .expect("the folder of a run can be written");
            let admin = ADMIN.parse().expect("it is a user's name");
            ports.gate.life.entrances().door = Some(service.door(admin));
            Arc::new(service)
        }
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
        ServiceName::NodeManager
        | ServiceName::Monitoring
        | ServiceName::LifecycleManager
        | ServiceName::PlatformInitializer
        | ServiceName::NodeAgent => {
            let own = node_manager::Ports {
                bus: ports.bus(),
                store: ports.store(),
                nodes: ports.nodes(),
                clock: Arc::clone(&ports.clock),
                entropy: ports.entropy(),
            };
            Arc::new(node_manager::Service::new(own, configs.node_manager.clone()))
        }
        ServiceName::LoadBalancer => {
            let own = load_balancer::Ports {
                bus: ports.bus(),
                store: ports.store(),
                edge: ports.edge(),
                nodes: ports.nodes(),
                clock: Arc::clone(&ports.clock),
            };
            let service = load_balancer::LoadBalancer::new(own, configs.load_balancer.clone());
            ports.gate.life.entrances().routes = Some(service.local_routes());
            Arc::new(service)
        }
    }
}

/// Starts a service again after a while, unless somebody else did.
pub(crate) fn start_later(world: &Arc<World>, service: ServiceName) {
    let span = world.dice().millis(50, 3000);
    let again = Arc::clone(world);
    world.stage.spawn(0, async move {
        if again.has(Plant::PortsAreEphemeral) && service == ServiceName::NodeManager {
            mischief::lose_leases(&again.truth.store).await;
        }
        again.stage.sleep(span).await;
        let lives = again.life(service).is_some();
        if !lives && again.lives().supervised {
            start(&again, &again.configs, service);
        }
    });
}

/// How long a user waits before asking again.
pub(crate) const ASK_AGAIN: Duration = Duration::from_millis(400);
