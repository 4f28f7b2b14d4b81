//! The real services, each life on ports of its own.

mod made;

use std::sync::Arc;
use std::time::Duration;

use common::service::ServiceName;

use self::made::{Ports, made};
use crate::fleet::Spot;
use crate::gate::Gate;
use crate::life::Life;
use crate::plant::Plant;
use crate::port::mischief;
use crate::settings::Configs;
use crate::world::World;

/// Those that live in a storm.
pub(crate) const SERVICES: [ServiceName; 4] = [
    ServiceName::AppManager,
    ServiceName::DeploymentManager,
    ServiceName::NodeManager,
    ServiceName::LoadBalancer,
];

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
    live(world, configs, life, Duration::ZERO);
}

/// Starts a life of a service in a process on a machine, which takes its time to begin.
pub(crate) fn live_at(
    world: &Arc<World>,
    service: ServiceName,
    spot: &Spot,
    boot: Duration,
) -> Arc<Life> {
    let life = world.lives().begin_at(service, world.truth.store.session(), spot);
    world.tell(format_args!("{} starts", life.label));
    live(world, &world.configs, Arc::clone(&life), boot);
    life
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
    live(world, &world.configs.of_another_machine(life.number), life, Duration::ZERO);
}

fn live(world: &Arc<World>, configs: &Configs, life: Arc<Life>, boot: Duration) {
    let seed = world.dice().draw();
    let service = life.service;
    world.checker().begins(&life);
    let clock = world.truth.clocks.get(&service).cloned().expect("every service has a clock");
    let gate = Gate { world: Arc::clone(world), life: Arc::clone(&life) };
    let made = made(&Ports { gate, clock, seed }, configs);
    let number = life.number;
    let world = Arc::clone(world);
    let stage = Arc::clone(&world.stage);
    stage.spawn(number, async move {
        if !boot.is_zero() {
            world.stage.sleep(boot).await;
        }
        let ended = made.run(life.lifecycle.clone()).await;
        let why = match &ended {
            Ok(()) => "it ends".to_owned(),
            Err(err) => format!("it ends: {err}"),
        };
        world.end(&life, &why);
    });
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
