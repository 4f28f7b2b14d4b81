//! What is known of the nodes: their records, the node manager's verdicts, what was last listed on
//! each. Kept in memory, rebuilt at start, refreshed on hints of change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chassis::records::{Error, Stored, load};
use common::name::{ContainerName, LegacyName, NodeName};
use common::port::Store;
use common::port::container::Container;
use common::port::nodes::Agent;
use common::record::node::{Alive, Node, Verdict};
use common::record::path;
use futures::future::try_join_all;
use jiff::Timestamp;

use crate::domain::observed::Listing;

/// The nodes there are. One for the whole service.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    members: Mutex<BTreeMap<NodeName, Member>>,
}

#[derive(Debug, Clone)]
struct Member {
    agent: Agent,
    verdict: Verdict,
    /// Since when that is said of it.
    since: Timestamp,
    /// Whether its agent has heard of this leadership.
    announced: bool,
    listed: Option<Listed>,
    /// What was made since the last listing was asked for, and when: no listing has it that is missing already.
    made: Vec<(Timestamp, Container)>,
    /// Containers that the store knows nothing of and that are left alone.
    left: BTreeSet<ContainerName>,
}

#[derive(Debug, Clone)]
struct Listed {
    at: Timestamp,
    containers: Vec<Container>,
}

/// What a refresh brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// Nodes came or went, or what can be expected of one changed.
    Changed,
    Same,
}

impl Fleet {
    /// Reads the nodes and their verdicts again.
    pub(crate) async fn refresh(&self, store: &dyn Store) -> Result<News, Error> {
        let names = store.children(&path::folder("nodes")).await?;
        let names = names.into_iter().filter_map(|name| name.parse::<NodeName>().ok());
        let read = names.map(|name| async move { read(store, &name).await });
        let found: Vec<(Node, Verdict, Timestamp)> =
            try_join_all(read).await?.into_iter().flatten().collect();
        let mut members = self.members();
        let before = std::mem::take(&mut *members);
        for (node, verdict, since) in found {
            let agent = Agent { node: node.name.clone(), address: node.agent };
            let known = before.get(&node.name).filter(|known| known.agent == agent);
            let member = known.cloned().unwrap_or_else(|| Member::new(agent, verdict, since));
            members.insert(node.name, Member { verdict, since, ..member });
        }
        let verdicts = |members: &BTreeMap<NodeName, Member>| -> Vec<(NodeName, Verdict)> {
            members.iter().map(|(name, member)| (name.clone(), member.verdict)).collect()
        };
        let same = verdicts(&before) == verdicts(&members);
        Ok(if same { News::Same } else { News::Changed })
    }

    pub(crate) fn names(&self) -> Vec<NodeName> {
        self.members().keys().cloned().collect()
    }

    pub(crate) fn agent(&self, node: &NodeName) -> Option<Agent> {
        self.members().get(node).map(|member| member.agent.clone())
    }

    pub(crate) fn verdicts(&self) -> BTreeMap<NodeName, Verdict> {
        self.members().iter().map(|(name, member)| (name.clone(), member.verdict)).collect()
    }

    /// Every node with the verdict on it, and since when that is said.
    pub(crate) fn homes(&self) -> Vec<(NodeName, Verdict, Timestamp)> {
        let members = self.members();
        members.iter().map(|(name, one)| (name.clone(), one.verdict, one.since)).collect()
    }

    /// The agents that have not heard of this leadership.
    pub(crate) fn unannounced(&self) -> Vec<Agent> {
        let members = self.members();
        members.values().filter(|member| !member.announced).map(|one| one.agent.clone()).collect()
    }

    pub(crate) fn is_announced(&self, node: &NodeName) -> bool {
        self.members().get(node).is_some_and(|member| member.announced)
    }

    pub(crate) fn note_announced(&self, node: &NodeName) {
        if let Some(member) = self.members().get_mut(node) {
            member.announced = true;
        }
    }

    /// Keeps what is left alone on a node.
    pub(crate) fn note_left(&self, node: &NodeName, left: BTreeSet<ContainerName>) -> News {
        let mut members = self.members();
        let Some(member) = members.get_mut(node) else { return News::Same };
        if member.left == left {
            return News::Same;
        }
        member.left = left;
        News::Changed
    }

    /// A container was made on a node; the next listing is to have it.
    pub(crate) fn note_made(&self, node: &NodeName, at: Timestamp, container: Container) {
        if let Some(member) = self.members().get_mut(node) {
            member.made.push((at, container));
        }
    }

    /// Keeps what was found on a node; returns the instances whose containers are not as they were.
    pub(crate) fn note_listed(
        &self,
        node: &NodeName,
        at: Timestamp,
        containers: Vec<Container>,
    ) -> Vec<LegacyName> {
        let mut members = self.members();
        let Some(member) = members.get_mut(node) else { return Vec::new() };
        let before = member.listed.take().map(|listed| listed.containers).unwrap_or_default();
        let after = member.listed.insert(Listed { at, containers });
        let changed = |one: &&Container| !after.containers.contains(one);
        let is_there = |one: &Container| {
            let mut found = after.containers.iter().filter(|found| found.name == one.name);
            found.any(|found| found.generation == one.generation && found.is_made())
        };
        let made = member.made.extract_if(.., |(made, _)| *made < at).map(|(_, one)| one);
        let missing: Vec<Container> = made.filter(|one| !is_there(one)).collect();
        let gone = before.iter().filter(changed).chain(&missing);
        let mut instances: Vec<LegacyName> = gone.map(|one| one.instance.clone().into()).collect();
        instances.dedup();
        instances
    }

    /// The containers of one instance in each node's last listing.
    pub(crate) fn listings(&self, instance: &LegacyName) -> BTreeMap<NodeName, Listing> {
        let of_instance = |listed: &Listed| -> BTreeMap<ContainerName, Container> {
            let ours = |one: &&Container| one.instance.as_str() == instance.as_str();
            let named = |one: &Container| (one.name.clone(), one.clone());
            listed.containers.iter().filter(ours).map(named).collect()
        };
        let members = self.members();
        let listings = members.iter().filter_map(|(name, member)| {
            let listed = member.listed.as_ref()?;
            Some((name.clone(), Listing { at: listed.at, containers: of_instance(listed) }))
        });
        listings.collect()
    }

    fn members(&self) -> MutexGuard<'_, BTreeMap<NodeName, Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    fn new(agent: Agent, verdict: Verdict, since: Timestamp) -> Self {
        Member {
            agent,
            verdict,
            since,
            announced: false,
            listed: None,
            made: Vec::new(),
            left: BTreeSet::new(),
        }
    }
}

/// A node that was never judged gets nothing new.
async fn read(
    store: &dyn Store,
    name: &NodeName,
) -> Result<Option<(Node, Verdict, Timestamp)>, Error> {
    let (node_path, alive_path) = (path::node(name), path::alive(name));
    let (node, alive) =
        futures::try_join!(load::<Node>(store, &node_path), load::<Alive>(store, &alive_path))?;
    let (verdict, since) = alive
        .map_or((Verdict::Suspect, Timestamp::MAX), |alive: Stored<Alive>| {
            (alive.record.verdict, alive.record.since)
        });
    Ok(node.map(|node| (node.record, verdict, since)))
}
