//! Monitoring that is wrong about everything: it says that all is dead, or sees nobody.

use std::sync::Arc;

use common::id::RequestId;
use common::message::LifecycleCommand;
use common::service::ServiceName;
use common::topic::Topic;

use crate::dice::Dice;
use crate::script::request;
use crate::world::World;

/// Those whose restart is asked for.
const SERVICES: [ServiceName; 7] = [
    ServiceName::AppManager,
    ServiceName::DeploymentManager,
    ServiceName::NodeManager,
    ServiceName::LoadBalancer,
    ServiceName::Monitoring,
    ServiceName::LifecycleManager,
    ServiceName::PlatformInitializer,
];

/// Somebody asks for something on the lifecycle manager's topic.
pub(super) fn ask(world: &World, dice: &mut Dice, command: &LifecycleCommand) -> RequestId {
    let id = request(dice);
    world.tell(format_args!("somebody sends {command:?} as {id}"));
    world.checker().asks(id, ServiceName::LifecycleManager, command.kind());
    world.truth.bus.inject(&command.envelope(Topic::FirstTopic, id));
    id
}

/// The restart of every service and every machine is asked for, all at once.
pub(super) fn say_that_all_is_dead(world: &World, dice: &mut Dice) {
    let services = SERVICES.into_iter().map(|service| LifecycleCommand::RestartService {
        service: service.registry_name().to_owned(),
    });
    let nodes = world.truth.agents.iter().map(|agent| agent.node.clone());
    let nodes = nodes.map(|node| LifecycleCommand::RestartNode { node });
    for command in services.chain(nodes) {
        let id = ask(world, dice, &command);
        world.checker().lies(id);
    }
}

/// Whether monitoring sees nobody from now on.
pub(super) fn set_blind(world: &Arc<World>, is_blind: bool) {
    world.truth.fleet.state().blind = is_blind;
}
