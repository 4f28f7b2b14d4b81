//! Which replicas of a route get no requests, because the agents of their nodes found them ill.
//!
//! What nobody says, and what was said too long ago, counts as well. Of a route there is always one that gets requests: while
//! no other may be well, all do.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use common::name::NodeName;
use common::port::edge::Upstream;
use common::port::nodes::ContainerUse;
use common::record::course::DecisionKind;

/// So many looks in a row must have failed: who was slow once is not ill.
const FAILED_LOOKS: u32 = 3;
/// After so long what an agent said says nothing any more: longer than it takes to hear it again after a break.
const OLD_AFTER: Duration = Duration::from_secs(5);

/// What is known of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Ill {
        failed_looks: u32,
    },
    /// It does not run.
    Down,
    /// It runs, and was not found well yet; not often enough ill.
    Unsure,
    Well,
    /// Nobody says anything of it.
    Silent,
    /// Nobody could say anything of it yet.
    Unheard,
}

/// What the agents said last of all that they did not find well.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    nodes: BTreeMap<NodeName, Said>,
    /// Since when agents are heard.
    since: Duration,
}

#[derive(Debug)]
struct Said {
    ip: IpAddr,
    at: Duration,
    /// By host port.
    of: BTreeMap<u16, State>,
}

impl Complaints {
    /// From now on agents are heard; what they said before is forgotten.
    pub(crate) fn begin(&mut self, now: Duration) {
        *self = Complaints { nodes: BTreeMap::new(), since: now };
    }

    /// A node's sample came in. Says whether the agent finds anything ill.
    pub(crate) fn hear(
        &mut self,
        node: &NodeName,
        ip: IpAddr,
        containers: &[ContainerUse],
        now: Duration,
    ) -> bool {
        let of = containers.iter().filter_map(|one| Some((one.host_port, complaint(one)?)));
        let of: BTreeMap<u16, State> = of.collect();
        let finds_ill = of.values().any(|state| matches!(state, State::Ill { .. }));
        self.nodes.insert(node.clone(), Said { ip, at: now, of });
        finds_ill
    }

    /// All that are ill, whoever they belong to.
    pub(crate) fn ill(&self, now: Duration) -> BTreeSet<SocketAddr> {
        let fresh = self.nodes.values().filter(|said| said.is_fresh(now));
        let ill = fresh.flat_map(|said| {
            let ill = said.of.iter().filter(|(_, state)| matches!(state, State::Ill { .. }));
            ill.map(|(port, _)| SocketAddr::new(said.ip, *port))
        });
        ill.collect()
    }

    pub(crate) fn state(&self, address: SocketAddr, now: Duration) -> State {
        let mut state = if now < self.since + OLD_AFTER { State::Unheard } else { State::Silent };
        let here = self.nodes.values().filter(|said| said.ip == address.ip());
        for said in here.filter(|said| said.is_fresh(now)) {
            match said.of.get(&address.port()) {
                Some(complaint) => return *complaint,
                None => state = State::Well,
            }
        }
        state
    }

    /// Those of a route's replicas that are to get no requests, where these get none now.
    pub(crate) fn left_out(
        &self,
        upstreams: &[Upstream],
        before: &[SocketAddr],
        now: Duration,
    ) -> Vec<SocketAddr> {
        let all: Vec<(SocketAddr, State)> = upstreams
            .iter()
            .map(Upstream::address)
            .map(|address| (address, self.state(address, now)))
            .collect();
        let is_out = |(address, state): &&(SocketAddr, State)| match state {
            State::Ill { .. } => true,
            State::Down | State::Unsure | State::Unheard => before.contains(address),
            State::Well | State::Silent => false,
        };
        let mut others = all.iter().filter(|one| !is_out(one));
        if !others.any(|(_, state)| *state != State::Down) {
            return Vec::new();
        }
        let mut out: Vec<SocketAddr> =
            all.iter().filter(is_out).map(|(address, _)| *address).collect();
        out.sort_unstable();
        out
    }
}

impl Said {
    fn is_fresh(&self, now: Duration) -> bool {
        now.saturating_sub(self.at) < OLD_AFTER
    }
}

/// None of what is well.
fn complaint(container: &ContainerUse) -> Option<State> {
    let ContainerUse { running, healthy, failed_looks, .. } = *container;
    if !running {
        Some(State::Down)
    } else if failed_looks >= FAILED_LOOKS {
        Some(State::Ill { failed_looks })
    } else if healthy == Some(true) {
        None
    } else {
        Some(State::Unsure)
    }
}

/// Why a replica gets no requests from now on, or gets them again.
pub(crate) fn why(upstream: &Upstream, kind: DecisionKind, state: State) -> String {
    let who = format!("replica {} at {}", upstream.slot, upstream.address());
    match state {
        State::Ill { failed_looks } if kind == DecisionKind::LeftOut => {
            format!(
                "{who} gets no requests: {failed_looks} looks of its node's agent failed in a row"
            )
        }
        State::Well => format!("{who} gets requests again: its node's agent found it well"),
        State::Silent => {
            let seconds = OLD_AFTER.as_secs();
            format!("{who} gets requests again: its node's agent was not heard for {seconds} s")
        }
        State::Ill { .. } | State::Down | State::Unsure | State::Unheard => {
            format!("{who} gets requests again: no other replica may be well")
        }
    }
}

#[cfg(test)]
mod tests;
