//! Which replicas of a route get no requests, because the agents of their nodes found them ill.
//!
//! One is left out only while another one that takes its place, of the same weight and generation, was found well lately; at
//! most half of a weight are; and only a look that finds it well puts one back for itself. What nobody says, and what was said
//! too long ago, is not known: it neither leaves out nor puts back, and stands in for nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use common::id::{Generation, SlotNumber};
use common::name::NodeName;
use common::port::edge::{Upstream, Weight};
use common::port::nodes::{ContainerUse, EndedIll};
use common::record::course::{Decision, DecisionKind};
use jiff::{SignedDuration, Timestamp};

/// So many looks in a row must have failed: who was slow once is not ill.
const FAILED_LOOKS: u32 = 3;
/// After so long what an agent said says nothing any more: longer than it takes to hear it again after a break.
const OLD_AFTER: Duration = Duration::from_secs(5);
/// For so long after a replica of a route was put back, no other one is left out: what is well and ill by turns is served.
const CALM_FOR: SignedDuration = SignedDuration::from_secs(30);

/// What is known of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Ill {
        failed_looks: u32,
    },
    /// It does not run.
    Down,
    /// It runs, and no look since it began has found it well, or the last one failed; not often enough to be ill.
    Unsure,
    Well,
    /// Nobody says anything of it.
    Silent,
    /// Nobody could say anything of it yet.
    Unheard,
}

/// Whether others of a route may be left out than are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    Free,
    /// One was put back a moment ago.
    Calm,
}

impl Pace {
    /// By what stands in the route's record, so that the next leader says the same. What lies ahead, by a clock that was
    /// set back, may be a moment ago as well.
    pub(crate) fn of(decisions: &[Decision], wall: Timestamp) -> Self {
        let is_lately = |decision: &Decision| {
            decision.kind == DecisionKind::PutBack
                && wall.duration_since(decision.at).abs() < CALM_FOR
        };
        if decisions.iter().any(is_lately) { Pace::Calm } else { Pace::Free }
    }
}

/// What the agents said last of all that they have.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    nodes: BTreeMap<NodeName, Said>,
    /// Since when agents are heard.
    since: Duration,
    /// Which ends of ill runs stand in a route's record, of those that are told yet.
    noted: BTreeMap<SocketAddr, Timestamp>,
}

#[derive(Debug)]
struct Said {
    ip: IpAddr,
    at: Duration,
    /// By host port.
    of: BTreeMap<u16, Found>,
}

#[derive(Debug, Clone, Copy)]
struct Found {
    state: State,
    generation: Generation,
    ended: Option<EndedIll>,
}

/// A replica of a route.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    address: SocketAddr,
    slot: SlotNumber,
    state: State,
    /// None of one that nobody says anything of.
    generation: Option<Generation>,
    is_out: bool,
}

impl Complaints {
    /// From now on agents are heard; what they said before is forgotten.
    pub(crate) fn begin(&mut self, now: Duration) {
        *self = Complaints { since: now, ..Complaints::default() };
    }

    /// A node's sample came in. Says whether the agent finds anything ill, or ended what was, and that is news.
    pub(crate) fn hear(
        &mut self,
        node: &NodeName,
        ip: IpAddr,
        containers: &[ContainerUse],
        now: Duration,
    ) -> bool {
        let mut of = BTreeMap::new();
        for one in containers {
            let (generation, ended) = (one.generation, one.ended_ill);
            let found = Found { state: state(one), generation, ended };
            of.entry(one.host_port)
                .and_modify(|known| *known = who_runs(*known, found))
                .or_insert(found);
        }
        let finds_ill = of.values().any(Found::is_ill);
        let ended = |port: u16| of.get(&port).and_then(|found: &Found| Some(found.ended?.at));
        self.noted.retain(|address, at| address.ip() != ip || ended(address.port()) == Some(*at));
        let said = Said { ip, at: now, of };
        let has_news = said.ended().any(|(address, at)| self.noted.get(&address) != Some(&at));
        self.nodes.insert(node.clone(), said);
        finds_ill || has_news
    }

    /// The replicas of which an ill run was ended, where that does not stand in a record yet.
    pub(crate) fn news(&self, now: Duration) -> BTreeSet<SocketAddr> {
        let fresh = self.nodes.values().filter(|said| said.is_fresh(now));
        let is_news = |(address, at): &(SocketAddr, Timestamp)| self.noted.get(address) != Some(at);
        fresh.flat_map(Said::ended).filter(is_news).map(|(address, _)| address).collect()
    }

    /// The last run of a replica that its agent ended because it was ill.
    pub(crate) fn ended(&self, address: SocketAddr, now: Duration) -> Option<EndedIll> {
        self.found(address, now)?.ended
    }

    /// It stands in a record.
    pub(crate) fn noted(&mut self, address: SocketAddr, ended: EndedIll) {
        self.noted.insert(address, ended.at);
    }

    /// All that are ill, whoever they belong to.
    pub(crate) fn ill(&self, now: Duration) -> BTreeSet<SocketAddr> {
        let fresh = self.nodes.values().filter(|said| said.is_fresh(now));
        let ill = fresh.flat_map(|said| {
            let ill = said.of.iter().filter(|(_, found)| found.is_ill());
            ill.map(|(port, _)| SocketAddr::new(said.ip, *port))
        });
        ill.collect()
    }

    pub(crate) fn state(&self, address: SocketAddr, now: Duration) -> State {
        let unknown = if now < self.since + OLD_AFTER { State::Unheard } else { State::Silent };
        self.found(address, now).map_or(unknown, |found| found.state)
    }

    fn found(&self, address: SocketAddr, now: Duration) -> Option<Found> {
        let here = self.nodes.values().filter(|said| said.ip == address.ip() && said.is_fresh(now));
        here.filter_map(|said| said.of.get(&address.port()).copied()).reduce(who_runs)
    }

    /// Those of a route's replicas that are to get no requests, where these get none now.
    pub(crate) fn left_out(
        &self,
        upstreams: &[Upstream],
        before: &[SocketAddr],
        pace: Pace,
        now: Duration,
    ) -> Vec<SocketAddr> {
        let mut by_weight: BTreeMap<Weight, Vec<Candidate>> = BTreeMap::new();
        for upstream in upstreams {
            let address = upstream.address();
            by_weight.entry(upstream.weight).or_default().push(Candidate {
                address,
                slot: upstream.slot,
                state: self.state(address, now),
                generation: self.found(address, now).map(|found| found.generation),
                is_out: before.contains(&address),
            });
        }
        let mut out: Vec<SocketAddr> =
            by_weight.into_values().flat_map(|all| out_of(all, pace)).collect();
        out.sort_unstable();
        out
    }
}

/// Of replicas of one weight those that are to get no requests.
fn out_of(mut all: Vec<Candidate>, pace: Pace) -> Vec<SocketAddr> {
    // Who is left out stays so before others are.
    all.sort_unstable_by_key(|one| (!one.is_out, one.slot, one.address));
    let is_out = |one: &&Candidate| match one.state {
        State::Ill { .. } => one.is_out || pace == Pace::Free,
        State::Down | State::Unsure | State::Silent | State::Unheard => one.is_out,
        State::Well => false,
    };
    let has_stand_in = |one: &&Candidate| all.iter().any(|other| other.stands_in_for(one));
    let out = all.iter().filter(is_out).filter(has_stand_in).take(all.len() / 2);
    out.map(|one| one.address).collect()
}

impl Candidate {
    fn stands_in_for(&self, out: &Candidate) -> bool {
        match self.state {
            State::Well => out.generation.is_none() || out.generation == self.generation,
            // What stands, stands until there was time to hear.
            State::Unheard => out.is_out && !self.is_out,
            State::Ill { .. } | State::Down | State::Unsure | State::Silent => false,
        }
    }
}

impl Found {
    fn is_ill(&self) -> bool {
        matches!(self.state, State::Ill { .. })
    }
}

impl Said {
    /// The replicas whose ill runs were ended, and when.
    fn ended(&self) -> impl Iterator<Item = (SocketAddr, Timestamp)> {
        let ended = self.of.iter().filter_map(|(port, found)| Some((*port, found.ended?.at)));
        ended.map(|(port, at)| (SocketAddr::new(self.ip, port), at))
    }

    fn is_fresh(&self, now: Duration) -> bool {
        now.saturating_sub(self.at) < OLD_AFTER
    }
}

/// Of two containers that were given one port: one that ended does not have it any more.
fn who_runs(one: Found, other: Found) -> Found {
    if one.state == State::Down { other } else { one }
}

fn state(container: &ContainerUse) -> State {
    let ContainerUse { running, healthy, failed_looks, .. } = *container;
    if !running {
        State::Down
    } else if failed_looks >= FAILED_LOOKS {
        State::Ill { failed_looks }
    } else if healthy == Some(true) && failed_looks == 0 {
        State::Well
    } else {
        State::Unsure
    }
}

/// Why a replica was started again.
pub(crate) fn why_restarted(upstream: &Upstream, ended: EndedIll) -> String {
    let (slot, address, looks) = (upstream.slot, upstream.address(), ended.failed_looks);
    format!(
        "replica {slot} at {address} was stopped and started again: {looks} looks of its node's agent failed in a row"
    )
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
        State::Ill { .. } | State::Down | State::Unsure | State::Silent | State::Unheard => {
            format!("{who} gets requests again: too few others are known to be well")
        }
    }
}

#[cfg(test)]
mod tests;
