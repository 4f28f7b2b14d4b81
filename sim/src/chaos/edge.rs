//! What befalls the edge.

use std::sync::Arc;
use std::time::Duration;

use testkit::edge::Health;

use crate::world::World;

/// It comes back without its disk.
pub(super) fn lose_disk(world: &World) {
    world.truth.edge.restart_without_disk();
    world.checker().forget_moves();
}

/// It is away, and comes back with the table that it had.
pub(super) async fn die_for(world: &Arc<World>, lasts: Duration) {
    world.truth.edge.set_health(Health::Down);
    world.stage.sleep(lasts).await;
    world.truth.edge.set_health(Health::Answers);
}

/// It starts again, and another program has this port; later it starts once more, and has it back.
pub(super) async fn miss_port_for(world: &Arc<World>, port: u16, lasts: Duration) {
    world.truth.edge.restart_with_port_taken(port);
    world.checker().held(port, world.stage.now());
    world.stage.sleep(lasts * 2).await;
    give_back_ports(world);
}

fn give_back_ports(world: &World) {
    for port in world.truth.edge.closed_ports() {
        world.checker().held(port, world.stage.now());
    }
    world.truth.edge.restart_with_all_ports();
}

/// It is well.
pub(super) fn heal(world: &World) {
    world.truth.edge.set_health(Health::Answers);
    give_back_ports(world);
}
