//! Document 001's lists as they are asked for or exported: read from records, built by
//! [`crate::domain::lists`].

use std::collections::BTreeMap;

use chassis::records;
use common::name::NodeName;
use common::port::Store;
use common::port::edge::FrontPorts;
use common::record::node::Node;
use common::record::path;
use common::record::route::{FrontPortLease, Route};
use serde::Serialize;
use serde_json::ser::PrettyFormatter;

use crate::domain::front_ports;
use crate::domain::lists::{AppRow, HealthRow, Machine, PortRow, VmRow};
use crate::domain::lists::{app_rows, health_rows, port_row, vm_rows};
use crate::records::{all, leases, routes};
use crate::shared::Shared;

/// All four lists, of one moment.
#[derive(Debug, Clone)]
pub(crate) struct Lists {
    pub(crate) machines: Vec<VmRow>,
    pub(crate) apps: Vec<AppRow>,
    pub(crate) health: Vec<HealthRow>,
    pub(crate) ports: Vec<PortRow>,
}

pub(crate) async fn read(shared: &Shared) -> Result<Lists, records::Error> {
    let routes = routes(shared).await?;
    let routes: Vec<Route> = routes.values().map(|found| found.record.clone()).collect();
    let machines = machines(shared).await?;
    let leases = leases(shared).await?;
    let leases: BTreeMap<u16, FrontPortLease> =
        leases.into_iter().map(|(port, found)| (port, found.record.clone())).collect();
    let next_port = {
        let known = shared.front_ports();
        let known = known.borrow();
        let open = known.iter().flat_map(FrontPorts::open);
        front_ports::next(&leases, open, shared.ports.clock.now())
    };
    let health = health_rows(&machines, &routes, &shared.samples());
    Ok(Lists {
        machines: vm_rows(&machines, &routes),
        apps: app_rows(&machines, &routes, shared.config.advertised_ip),
        health,
        ports: port_row(next_port),
    })
}

async fn machines(shared: &Shared) -> Result<Vec<Machine>, records::Error> {
    let store = &*shared.ports.store;
    let nodes = all::<Node>(store, &path::folder("nodes")).await?;
    let mut machines = Vec::with_capacity(nodes.len());
    for node in nodes {
        let next_port = next_host_port(store, &node.record.name, shared.config.first_host_port);
        machines.push(Machine { next_port: next_port.await?, node: node.record });
    }
    Ok(machines)
}

/// The lowest host port, from `first` on, that the node manager has not leased on a node.
async fn next_host_port(
    store: &dyn Store,
    node: &NodeName,
    first: u16,
) -> Result<u16, records::Error> {
    let leased = match path::folder("ports").join(node.as_str()) {
        Ok(folder) => store.children(&folder).await?,
        Err(_) => Vec::new(),
    };
    let free = |port: &u16| !leased.contains(&port.to_string());
    Ok((first..=u16::MAX).find(free).unwrap_or(first))
}

/// A list as document 001's programs wrote their files: indented by four.
pub(crate) fn file_text<T: Serialize>(rows: &T) -> String {
    let mut text = Vec::new();
    let format = PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, format);
    rows.serialize(&mut serializer).expect("the rows have string keys and no failing serializers");
    String::from_utf8(text).expect("serde_json writes UTF-8")
}
