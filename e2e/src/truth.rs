//! What is true, read independently of the platform: the Docker engine and the kernel of every node, the
//! `ZooKeeper` tree, each edge's own table, and each app's answer through the front doors.

mod edge;
mod laws;
mod nodes;
mod parts;
pub(crate) mod tree;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use common::port::edge::Table;
use common::record::deployment::Deployment;
use common::record::epoch::EpochRecord;
use common::record::instance::Instance;
use common::record::node::PortLease;
use common::record::route::{FrontPortLease, Route};
use futures::future::try_join_all;

pub use self::edge::{Door, Edge, Served};
pub use self::nodes::Container;
pub use self::parts::Parts;

use self::tree::Tree;
use crate::cluster;
use crate::sources::Sources;

/// The folders that are read; operations are [`crate::audit`]'s.
const FOLDERS: [&str; 11] = [
    "/apps",
    "/avishkar/deployments",
    "/avishkar/epochs",
    "/avishkar/instances",
    "/avishkar/placements",
    "/avishkar/platform/services",
    "/avishkar/ports",
    "/avishkar/routes",
    "/avishkar/running",
    "/avishkar/scale",
    "/services",
];

/// Among the nodes with ports: the front ports.
const EDGE: &str = "edge";

/// Everything that is true at one moment.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    /// All that were looked at.
    pub nodes: BTreeSet<String>,
    pub containers: BTreeSet<Container>,
    /// Containers on nodes that do not carry the platform's label.
    pub unlabelled: BTreeSet<String>,
    /// `(node, port)` of everything that listens where apps are led to.
    pub listeners: Vec<(String, u16)>,
    /// The platform's networks on all nodes.
    pub networks: usize,
    /// `/apps/<instance>/instance<n>` and its `ip:port`.
    pub registry: BTreeMap<(String, u32), String>,
    pub deployments: BTreeMap<String, Deployment>,
    pub instances: BTreeMap<String, Instance>,
    /// Routes as the load balancer recorded them.
    pub recorded: BTreeMap<String, Route>,
    /// Leased host ports that are not in quarantine, by node and port.
    pub leases: BTreeMap<(String, u16), PortLease>,
    /// Leased front ports that are not in quarantine, and their instances.
    pub front_leases: BTreeMap<u16, String>,
    /// Instances whose number of replicas was set.
    pub scales: BTreeSet<String>,
    /// Requests for a node without an answer.
    pub placements: BTreeSet<String>,
    /// The epoch of the load balancer that leads.
    pub epoch: u64,
    /// The table that the first edge has accepted.
    pub table: Option<Table>,
    /// What the workers of the first edge serve.
    pub served: Served,
    /// `ip:port` of upstreams by instance, as the first edge has accepted them.
    pub routes: BTreeMap<String, BTreeSet<String>>,
    /// Front ports by instance, as the first edge has accepted them.
    pub front_ports: BTreeMap<String, u16>,
    /// What each app answers through its front port of the first edge.
    pub doors: BTreeMap<String, Door>,
    /// All edges but the first.
    pub other_edges: Vec<Edge>,
    /// What lies in the staging folders of app managers.
    pub staged: BTreeSet<String>,
    /// The parts of the platform on its nodes, where it keeps them itself.
    pub parts: Parts,
}

/// Looks at every node, the tree and the edge of the composed platform.
pub async fn read() -> anyhow::Result<Truth> {
    read_from(&cluster::sources().await?).await
}

/// Looks at every node, the tree and the edges of any platform.
pub async fn read_from(sources: &Sources) -> anyhow::Result<Truth> {
    let nodes = try_join_all(sources.nodes.iter().map(nodes::look));
    let edges = try_join_all(sources.edges.iter().map(edge::look));
    let staged = sources.app_managers.iter().map(|one| one.exec(&["ls", "-A", "/data/staging"]));
    let (nodes, edges, staged, tree) = futures::try_join!(
        nodes,
        edges,
        try_join_all(staged),
        Tree::read(&sources.zookeeper, &FOLDERS)
    )?;
    let staged = staged.iter().flat_map(|listed| listed.lines()).map(str::to_owned).collect();
    let mut truth = Truth { staged, ..Truth::default() };
    let mut parts = Vec::new();
    for (place, node) in sources.nodes.iter().zip(nodes) {
        let name = &place.name;
        truth.nodes.insert(name.clone());
        truth.containers.extend(node.containers);
        truth.unlabelled.extend(node.unlabelled);
        truth.networks += node.networks;
        truth.listeners.extend(node.listeners.into_iter().map(|port| (name.clone(), port)));
        parts.extend(node.parts);
    }
    truth.parts = Parts::new(parts, &tree)?;
    truth.note_edges(edges);
    truth.note_tree(&tree)?;
    Ok(truth)
}

impl Truth {
    fn note_edges(&mut self, edges: Vec<Edge>) {
        let mut edges = edges.into_iter();
        let first = edges.next().unwrap_or_default();
        self.other_edges = edges.collect();
        for route in first.table.iter().flat_map(|table| &table.routes) {
            let instance = route.instance.to_string();
            self.front_ports.insert(instance.clone(), route.front_port);
            let addresses = route.upstreams.iter().map(|upstream| upstream.address().to_string());
            self.routes.insert(instance, addresses.collect());
        }
        (self.table, self.served, self.doors) = (first.table, first.served, first.doors);
    }

    fn note_tree(&mut self, tree: &Tree) -> anyhow::Result<()> {
        for (path, value) in tree.below("/apps") {
            let (instance, replica) = path.split_once("/instance").context("a strange entry")?;
            let address = String::from_utf8(value.to_vec())?;
            self.registry.insert((instance.to_owned(), replica.parse()?), address);
        }
        self.deployments = tree.records("/avishkar/deployments")?;
        self.instances = tree.records("/avishkar/instances")?;
        self.recorded = tree.records("/avishkar/routes")?;
        let names = |folder| tree.below(folder).map(|(path, _)| path.to_owned()).collect();
        (self.scales, self.placements) = (names("/avishkar/scale"), names("/avishkar/placements"));
        for (path, value) in tree.below("/avishkar/ports") {
            let (node, port) = path.split_once('/').context("a strange lease")?;
            if node == EDGE {
                continue;
            }
            let lease: PortLease = serde_json::from_slice(value)?;
            if lease.released_at.is_none() {
                self.leases.insert((node.to_owned(), port.parse()?), lease);
            }
        }
        let leases: BTreeMap<String, FrontPortLease> =
            tree.records(&format!("/avishkar/ports/{EDGE}"))?;
        for (port, lease) in leases {
            if lease.released_at.is_none() {
                self.front_leases.insert(port.parse()?, lease.instance.to_string());
            }
        }
        let epochs: BTreeMap<String, EpochRecord> = tree.records("/avishkar/epochs")?;
        self.epoch = epochs.get("load-balancer").map_or(0, |record| record.epoch.0);
        Ok(())
    }

    /// The containers of one instance.
    pub fn of(&self, instance: &str) -> BTreeSet<Container> {
        self.containers.iter().filter(|container| container.instance == instance).cloned().collect()
    }

    /// Nothing of any app is left, but for the few networks that each node keeps ready.
    pub fn is_empty(&self) -> anyhow::Result<()> {
        self.is_consistent()?;
        let nothing = self.containers.is_empty()
            && self.registry.is_empty()
            && self.routes.is_empty()
            && self.scales.is_empty();
        ensure!(nothing, "something is left over: {self:?}");
        Ok(())
    }
}
