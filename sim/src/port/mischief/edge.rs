//! A careless edge, and a careless load balancer in front of it.

use std::net::SocketAddr;

use common::id::Generation;
use common::port::Edge as _;
use common::port::edge::{Error, Status, Table, Weight};
use common::port::routes::{Routed, WantedRoute};

use super::now_and_then;
use crate::gate::Gate;
use crate::plant::Plant;

pub(in crate::port) async fn load(gate: &Gate, table: &Table) -> Result<(), Error> {
    let edge = &gate.world.truth.edge;
    let mut table = table.clone();
    if gate.world.has(Plant::EdgeTakesStaleTables)
        && let Some(served) = edge.table()
        && (table.epoch, table.generation) < (served.epoch, served.generation)
    {
        table.epoch = served.epoch;
        table.generation = Generation(served.generation.0 + 1);
    }
    if gate.world.has(Plant::EdgeServesNothingNew) && now_and_then(gate, 6) {
        gate.world.mischief().claimed = Some((table.epoch, table.generation));
        return Ok(());
    }
    if gate.world.has(Plant::EdgeDropsRows) && table.routes.len() > 2 {
        table.routes.pop();
    }
    if gate.world.has(Plant::EdgeSwapsUpstreams)
        && let [first, second, ..] = table.routes.as_mut_slice()
    {
        std::mem::swap(&mut first.upstreams, &mut second.upstreams);
    }
    if gate.world.has(Plant::EdgeMissesPorts) && now_and_then(gate, 6) {
        for upstream in table.routes.iter_mut().flat_map(|row| &mut row.upstreams) {
            upstream.port += 1;
        }
    }
    if gate.world.has(Plant::EdgeIgnoresWeights) {
        for upstream in table.routes.iter_mut().flat_map(|row| &mut row.upstreams) {
            upstream.weight = Weight::ONE;
        }
    }
    edge.load(&table).await
}

pub(in crate::port) fn status(gate: &Gate, mut status: Status) -> Status {
    if let Some((epoch, generation)) = gate.world.mischief().claimed
        && (epoch, generation) > (status.epoch, status.generation)
    {
        (status.epoch, status.generation) = (epoch, generation);
    }
    status
}

/// What is answered instead of asking the load balancer.
pub(in crate::port) fn set_route(gate: &Gate, route: &WantedRoute) -> Option<Routed> {
    if gate.world.has(Plant::RoutesLie) && now_and_then(gate, 3) {
        let endpoint: SocketAddr = ([192, 0, 2, 10], 2000).into();
        return Some(Routed { front_port: 2000, host: route.instance.host_label(), endpoint });
    }
    None
}
