//! What is true now, as far as the plan asks.

use std::collections::BTreeMap;

use common::failure::Failure;
use common::name::{ContainerName, NodeName};
use common::port::container::{Container, ContainerState};
use common::port::edge::Upstream;
use common::record::deployment::{Place, Slot};
use common::record::node::Verdict;
use jiff::Timestamp;

/// What was found about one deployment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    /// How many replicas there should be.
    pub(crate) replicas: usize,
    /// All nodes there are, with the node manager's verdict.
    pub(crate) nodes: BTreeMap<NodeName, Verdict>,
    /// This instance's containers in each node's last listing.
    pub(crate) listings: BTreeMap<NodeName, Listing>,
    /// Whom the route names, if it was looked at; nobody without a route.
    pub(crate) upstreams: Option<Vec<Upstream>>,
    /// Whether document 001's registry was found to say something else than the record.
    pub(crate) misregistered: bool,
    /// Why the release that is watched is not to stay, if it was seen to fail.
    pub(crate) regress: Option<Failure>,
    /// Why the edge could not be told a route just now.
    pub(crate) route_failed: Option<Failure>,
}

/// The containers of a node at some time.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    /// When it was asked for: what happened later is not in it.
    pub(crate) at: Timestamp,
    pub(crate) containers: BTreeMap<ContainerName, Container>,
}

/// What can be expected of the node under a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Footing {
    /// It stays.
    Firm,
    /// It serves until there is a replacement.
    Draining,
    /// Nothing can be expected of it.
    Lost,
}

/// What a listing says of a replica's container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// There is no listing that is newer than what is known already.
    Unknown,
    Runs,
    Exited,
    Missing,
}

impl Observed {
    /// A node that was never judged is as good as its placement; one that is no node any more is lost.
    pub(crate) fn footing(&self, slot: &Slot) -> Footing {
        let Some(Place { node, .. }) = &slot.place else { return Footing::Firm };
        match self.nodes.get(node) {
            Some(Verdict::Live | Verdict::Suspect) => Footing::Firm,
            Some(Verdict::Draining) => Footing::Draining,
            Some(Verdict::Dead) | None => Footing::Lost,
        }
    }

    pub(crate) fn standing(&self, slot: &Slot, name: &ContainerName) -> Standing {
        let listing = slot.place.as_ref().and_then(|place| self.listings.get(&place.node));
        let Some(listing) = listing.filter(|listing| listing.at > slot.since) else {
            return Standing::Unknown;
        };
        match listing.containers.get(name) {
            Some(found) if found.generation == slot.generation && found.is_made() => {
                match found.state {
                    ContainerState::Running { .. } => Standing::Runs,
                    ContainerState::Created | ContainerState::Exited { .. } => Standing::Exited,
                }
            }
            Some(_) | None => Standing::Missing,
        }
    }

    /// The nodes that may get something new.
    pub(crate) fn live_nodes(&self) -> impl Iterator<Item = &NodeName> {
        self.nodes.iter().filter(|(_, verdict)| **verdict == Verdict::Live).map(|(node, _)| node)
    }
}
