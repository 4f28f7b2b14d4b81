//! The services of the process, each with the ports that the process has for it, and how each is made again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use ::node_agent::NodeAgent;
use anyhow::Context as _;
use chassis::process::{Make, Part, Roster};
use chassis::service::Service;
use chassis::system::SystemClock;
use common::port::{Nodes, Routes};
use common::service::ServiceName;

use super::settings::{Placed, Settings};
use crate::wiring::{Frame, Neighbours, ThisMachine, Wiring, Within};

/// What services of one process have around them, for as long as it lives.
struct Around {
    within: Within,
    nodes: Arc<dyn Nodes>,
    neighbours: Neighbours,
    machine: ThisMachine,
    doors: BTreeMap<ServiceName, SocketAddr>,
}

/// Makes the services. All but the agent can be begun anew through `roster`, which their process is to be bound with.
pub(super) async fn place(
    settings: Settings,
    agent: NodeAgent,
    within: &Within,
    roster: &Roster,
) -> anyhow::Result<Vec<Part>> {
    let nodes: Arc<dyn Nodes> = agent.local_nodes();
    let (name, ip) = (settings.node_agent.meant.node.clone(), settings.node_agent.meant.ip);
    let machine = ThisMachine::new(name, ip, roster.clone(), Arc::clone(&nodes));
    let introduced = machine.introduce(within.session().as_ref(), &SystemClock).await;
    introduced.context("the store does not take this machine")?;
    let (within, doors) = (within.clone(), doors(&settings));
    let neighbours = Neighbours::default();
    let around = Arc::new(Around { within, nodes, neighbours, machine, doors });
    Ok(vec![
        Part::fixed(Arc::new(agent), settings.node_agent.frame.http),
        around.part(settings.node_manager, |around, meant| {
            let service = meant.place(&around.within, around.nodes());
            around.neighbours.drains.are(service.local_drains());
            Ok(Arc::new(service))
        })?,
        around.part(settings.load_balancer, |around, meant| {
            let service = meant.place(&around.within, around.nodes());
            around.neighbours.routes.are(service.local_routes());
            around.neighbours.certificates.are(service.local_certificates());
            Ok(Arc::new(service))
        })?,
        around.part(settings.deployment_manager, |around, meant| {
            meant.place(&around.within, around.nodes(), around.routes())
        })?,
        around.part(settings.app_manager, |around, meant| {
            meant.place(&around.within, around.nodes(), &around.neighbours)
        })?,
        around.part(settings.lifecycle_manager, |around, meant| {
            let Around { within, machine, doors, .. } = around;
            let service = meant.place(within, around.nodes(), machine, doors);
            around.neighbours.upkeep.is(service.local_upkeep());
            Ok(Arc::new(service))
        })?,
        around.part(settings.platform_initializer, |around, meant| {
            Ok(meant.place(&around.within, around.routes()))
        })?,
        around.part(settings.monitoring, |around, meant| {
            meant.place(&around.within, around.routes())
        })?,
    ])
}

impl Around {
    fn nodes(&self) -> Arc<dyn Nodes> {
        Arc::clone(&self.nodes)
    }

    fn routes(&self) -> Arc<dyn Routes> {
        Arc::new(self.neighbours.routes.clone())
    }

    fn part<W: Wiring>(
        self: &Arc<Self>,
        placed: Placed<W>,
        make: impl Fn(&Self, &W::Meant) -> anyhow::Result<Arc<dyn Service>> + 'static,
    ) -> anyhow::Result<Part>
    where
        W::Meant: 'static,
    {
        let (around, meant) = (Arc::clone(self), placed.meant);
        let make: Make = Box::new(move || make(&around, &meant).map_err(Into::into));
        Part::renewable(make, placed.frame.http).map_err(anyhow::Error::from_boxed)
    }
}

/// Where each service is found, as it says itself.
fn doors(settings: &Settings) -> BTreeMap<ServiceName, SocketAddr> {
    let found = |(service, frame): (ServiceName, &Frame)| {
        let advertised = frame.http.advertised.parse().ok();
        Some((service, advertised.or(frame.http.address)?))
    };
    settings.frames().into_iter().filter_map(found).collect()
}
