//! Document 001's `registerApp`: a container that the platform did not deploy gets a front door.

use std::net::{IpAddr, SocketAddr};

use chassis::records::Stored;
use common::id::SlotNumber;
use common::name::LegacyName;
use common::port::edge::{EdgeOptions, Upstream, Weight};
use common::port::routes::WantedRoute;
use common::record::deployment::Deployment;
use common::record::node::Node;
use common::record::path;

use super::{Error, set_route};
use crate::domain::route::Invalid;
use crate::records::{all, deployment, route};
use crate::shared::Shared;

/// What the caller says of the container.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    pub(crate) vm_ip: IpAddr,
    pub(crate) id: String,
    pub(crate) app: LegacyName,
    pub(crate) image: String,
    pub(crate) container_port: u16,
    pub(crate) host_port: u16,
}

/// Serves the container, and nothing else, under its app's name; answers with the front door.
pub(crate) async fn run(shared: &Shared, container: Registration) -> Result<SocketAddr, Error> {
    let store = &*shared.ports.store;
    store.sync().await?;
    let nodes: Vec<Stored<Node>> = all(store, &path::folder("nodes")).await?;
    if !nodes.iter().any(|node| node.record.ip == container.vm_ip) {
        return Err(Error::Invalid(Invalid::NotANode(container.vm_ip)));
    }
    let deployed = deployment(store, &container.app).await?;
    if deployed.as_ref().is_some_and(Deployment::is_deployed) {
        return Err(Error::Deployed(container.app));
    }
    let standing = route(store, &container.app).await?;
    let standing = standing.map(|stored| (stored.record.generation, stored.record.revision));
    let (generation, revision) = standing.unwrap_or_default();
    let wanted = WantedRoute {
        generation,
        revision,
        instance: container.app,
        upstreams: vec![Upstream {
            ip: container.vm_ip,
            port: container.host_port,
            slot: SlotNumber(1),
            weight: Weight::ONE,
        }],
        image: container.image,
        container_port: container.container_port,
        container_ids: vec![container.id],
        edge: EdgeOptions::default(),
    };
    Ok(set_route::run(shared, &wanted).await?.endpoint)
}
