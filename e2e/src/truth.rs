//! What is true, read independently of the platform: the Docker engine and the kernel of every node, the
//! `ZooKeeper` tree, the edge's own table, and each app's answer through the front door.

mod edge;
mod laws;
mod nodes;
pub(crate) mod tree;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use common::port::edge::Table;
use common::record::deployment::Deployment;
use common::record::epoch::EpochRecord;
use common::record::instance::Instance;
use common::record::node::PortLease;
use common::record::route::{FrontPortLease, Route};

pub use self::edge::{Door, Served};
pub use self::nodes::Container;

use self::tree::Tree;
use crate::cluster::{self, NODES};

/// The folders that are read; operations are [`crate::audit`]'s.
const FOLDERS: [&str; 8] = [
    "/apps",
    "/avishkar/deployments",
    "/avishkar/epochs",
    "/avishkar/instances",
    "/avishkar/placements",
    "/avishkar/ports",
    "/avishkar/routes",
    "/avishkar/scale",
];

/// Everything that is true at one moment.
#[derive(Debug, Clone, Default)]
pub struct Truth {
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
    /// The table that the edge has accepted.
    pub table: Option<Table>,
    /// What the workers of the edge serve.
    pub served: Served,
    /// `ip:port` of upstreams by instance, as the edge has accepted them.
    pub routes: BTreeMap<String, BTreeSet<String>>,
    /// Front ports by instance, as the edge has accepted them.
    pub front_ports: BTreeMap<String, u16>,
    /// What each app answers through its front port.
    pub doors: BTreeMap<String, Door>,
    /// What lies in the app manager's staging folder.
    pub staged: BTreeSet<String>,
}

/// Looks at every node, the tree and the edge.
pub async fn read() -> anyhow::Result<Truth> {
    let nodes = futures::future::try_join_all(NODES.map(nodes::look));
    let staged = cluster::exec("app-manager", &["ls", "-A", "/data/staging"]);
    let (nodes, staged, (table, served), tree) =
        futures::try_join!(nodes, staged, edge::look(), Tree::read(&FOLDERS))?;
    let mut truth = Truth { served, ..Truth::default() };
    truth.staged = staged.lines().map(str::to_owned).collect();
    for (name, node) in NODES.into_iter().zip(nodes) {
        truth.containers.extend(node.containers);
        truth.unlabelled.extend(node.unlabelled);
        truth.networks += node.networks;
        truth.listeners.extend(node.listeners.into_iter().map(|port| (name.to_owned(), port)));
    }
    truth.note_table(table).await?;
    truth.note_tree(&tree)?;
    Ok(truth)
}

impl Truth {
    async fn note_table(&mut self, table: Option<Table>) -> anyhow::Result<()> {
        let Some(table) = table else { return Ok(()) };
        self.doors = edge::doors(&table).await?;
        for route in &table.routes {
            let instance = route.instance.to_string();
            self.front_ports.insert(instance.clone(), route.front_port);
            let addresses = route.upstreams.iter().map(|upstream| upstream.address().to_string());
            self.routes.insert(instance, addresses.collect());
        }
        self.table = Some(table);
        Ok(())
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
        for node in NODES {
            let leases: BTreeMap<String, PortLease> =
                tree.records(&format!("/avishkar/ports/{node}"))?;
            for (port, lease) in leases {
                if lease.released_at.is_none() {
                    self.leases.insert((node.to_owned(), port.parse()?), lease);
                }
            }
        }
        let leases: BTreeMap<String, FrontPortLease> = tree.records("/avishkar/ports/edge")?;
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
