//! A world in which the plan is carried out: nodes, an edge, a node manager, all as small as can be.
//! It checks on the way what must hold at every moment.

use std::collections::{BTreeMap, BTreeSet};

use common::digest::{Digest, ImageRef};
use common::failure::{Failure, FailureCode};
use common::id::{Generation, ReleaseNumber, RequestId, SlotNumber};
use common::name::NodeName;
use common::port::edge::Upstream;
use common::record::course::Share;
use common::record::deployment::{Deployment, Goal, Place, Slot, SlotState, State};
use common::record::kept::{Origin, Way};
use common::record::node::Verdict;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::accept::{self, WantedDeploy, WantedStop};
use super::change::{Change, note};
use super::course::{Asked, Course, course};
use super::observed::Observed;
use super::patience::Patience;
use super::plan::next_step;
use super::replicas::is_in_progress;
use super::share;
use super::spec::upstreams;
use super::step::Step;

/// What becomes of the next start or look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Luck {
    Good,
    /// The next start fails so.
    Start(FailureCode),
    /// The next start finds no image where it is, and another node may have it.
    Missing,
    /// The next look finds this.
    Probe(FailureCode),
    /// The edge does as it is told next, and nobody hears of it.
    Unheard,
    /// The edge cannot be told a route, for as long as this lasts.
    Away,
}

type Container = (NodeName, SlotNumber, Generation);

#[derive(Debug)]
pub(super) struct World {
    pub(super) deployment: Option<Deployment>,
    pub(super) seen: Observed,
    pub(super) now: Timestamp,
    pub(super) luck: Luck,
    /// What was done, as sentences.
    pub(super) done: Vec<String>,
    pub(super) containers: BTreeSet<Container>,
    /// Whom the edge serves.
    pub(super) edge: BTreeSet<Container>,
    /// The same as the edge was told it.
    pub(super) upstreams: Vec<Upstream>,
    /// How many outcomes each request has.
    pub(super) outcomes: BTreeMap<RequestId, u32>,
    pub(super) requests: u32,
    pub(super) patience: Patience,
    places: u16,
}

impl World {
    pub(super) fn new(nodes: usize, replicas: usize) -> Self {
        let nodes = (1..=nodes).map(|number| (node(number), Verdict::Live)).collect();
        World {
            deployment: None,
            seen: Observed { replicas, nodes, ..Observed::default() },
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            luck: Luck::Good,
            done: Vec::new(),
            containers: BTreeSet::new(),
            edge: BTreeSet::new(),
            upstreams: Vec::new(),
            outcomes: BTreeMap::new(),
            requests: 0,
            patience: Patience::default(),
            places: 20000,
        }
    }

    pub(super) fn deploy(&mut self) {
        self.deploy_release(ReleaseNumber(self.requests + 1), Way::Deployed);
    }

    pub(super) fn deploy_release(&mut self, release: ReleaseNumber, way: Way) {
        self.ask(release, way, None);
    }

    /// Asks for a newer release beside what is served.
    pub(super) fn canary(&mut self, percent: i64) {
        let release = ReleaseNumber(self.requests + 1);
        self.ask(release, Way::Canary, Some(percent.try_into().unwrap()));
    }

    /// Asks for something of the canary that is there.
    pub(super) fn of_canary(&mut self, way: Way, percent: Option<i64>) {
        let Some(deployment) = &self.deployment else { return };
        let release = match (way, &deployment.serving) {
            (Way::RolledBack, Some(serving)) => serving.release,
            _ => deployment.release,
        };
        self.ask(release, way, percent.map(|percent| percent.try_into().unwrap()));
    }

    fn ask(&mut self, release: ReleaseNumber, way: Way, share: Option<Share>) {
        let asked = Asked { way, share, release, is_own: true };
        let Ok(course) = course(asked, self.deployment.as_ref()) else { return };
        self.overtake();
        let request = self.next_request();
        let before = self.deployment.take();
        let runs = matches!(course, Course::Share(_) | Course::Promote);
        let wanted = WantedDeploy {
            request,
            app: "shop".parse().unwrap(),
            release,
            origin: Origin { way, ..Origin::default() },
            course,
            image: before.as_ref().filter(|_| runs).and_then(|before| before.image.clone()),
            replicas: self.seen.replicas,
        };
        let instance = "shop".parse().unwrap();
        self.deployment = Some(accept::deploy(before, instance, wanted, &self.patience, self.now));
    }

    pub(super) fn stop(&mut self) {
        self.overtake();
        let request = self.next_request();
        let before = self.deployment.take();
        let instance = "shop".parse().unwrap();
        let wanted = WantedStop { request, app: "shop".parse().unwrap() };
        self.deployment = Some(accept::stop(before, instance, wanted, &self.patience, self.now));
    }

    fn overtake(&mut self) {
        if let Some(old) = self.deployment.as_ref().filter(|old| is_in_progress(old)) {
            *self.outcomes.entry(old.request).or_default() += 1;
        }
    }

    fn next_request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(Uuid::from_u128(self.requests.into()))
    }

    pub(super) fn wait(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    pub(super) fn set_verdict(&mut self, number: usize, verdict: Verdict) {
        self.seen.nodes.insert(node(number), verdict);
    }

    /// The node manager answers every question whose time has come.
    pub(super) fn answer(&mut self) {
        let live: Vec<NodeName> = self.seen.live_nodes().cloned().collect();
        let Some(deployment) = &self.deployment else { return };
        let asked: Vec<RequestId> =
            deployment.owed.iter().map(|owed| owed.envelope.request_id).collect();
        let waits = |slot: &&Slot| {
            slot.state == SlotState::Asked && asked.contains(&slot.placement_request)
        };
        let waiting: Vec<RequestId> =
            deployment.slots.iter().filter(waits).map(|slot| slot.placement_request).collect();
        for slot in waiting {
            let change = if live.is_empty() {
                Change::Unfit { slot, failure: failure(FailureCode::NoNodeFits) }
            } else {
                self.places += 1;
                let node = live[usize::from(self.places) % live.len()].clone();
                let place =
                    Place { node, ip: "192.0.2.1".parse().unwrap(), host_port: self.places };
                Change::Placed { slot, place }
            };
            self.note(&[change]);
        }
    }

    /// Makes one step; false if there is nothing to do.
    pub(super) fn step(&mut self) -> bool {
        let Some(deployment) = &self.deployment else { return false };
        let step = next_step(deployment, &self.seen, &self.patience, self.now);
        if let Step::Rest { .. } = step {
            return self.seen.route_failed.take().is_some() && self.luck != Luck::Away;
        }
        if self.luck == Luck::Away && matches!(step, Step::Route { .. }) {
            let is_first = self.seen.route_failed.is_none();
            self.seen.route_failed = is_first.then(|| failure(FailureCode::RouteFailed));
            return is_first;
        }
        self.done.push(step.to_string());
        let changes = self.perform(&step);
        if step == Step::Forget {
            self.deployment = None;
        } else {
            self.note(&changes);
        }
        true
    }

    /// Steps and answers until nothing happens any more.
    pub(super) fn run(&mut self) {
        for _ in 0..1000 {
            self.answer();
            if !self.step() {
                let waits = |slot: &Slot| slot.state == SlotState::Asked;
                let asked = self.deployment.as_ref().is_some_and(|one| one.slots.iter().any(waits));
                if !asked {
                    return;
                }
                self.wait(1);
            }
        }
        let last = &self.done[self.done.len().saturating_sub(8)..];
        panic!("it never ends: {last:#?}");
    }

    /// What the sweep does: removes what nobody wants from nodes that can be reached.
    pub(super) fn sweep(&mut self) {
        let wanted: BTreeSet<Container> = self
            .deployment
            .iter()
            .flat_map(|deployment| &deployment.slots)
            .filter_map(container)
            .collect();
        let nodes = &self.seen.nodes;
        let reachable = |one: &Container| nodes.get(&one.0) == Some(&Verdict::Live);
        self.containers.retain(|one| !reachable(one) || wanted.contains(one));
    }

    fn note(&mut self, changes: &[Change]) {
        let deployment = self.deployment.as_mut().unwrap();
        let before = deployment.clone();
        note(deployment, changes, &self.patience, self.now);
        assert!(
            before.state <= deployment.state,
            "{:?} went back to {:?} by {changes:?}",
            before.state,
            deployment.state
        );
        if is_in_progress(&before) && !is_in_progress(deployment) {
            *self.outcomes.entry(before.request).or_default() += 1;
        }
        let numbers: BTreeSet<SlotNumber> =
            deployment.slots.iter().map(|slot| slot.number).collect();
        assert_eq!(numbers.len(), deployment.slots.len(), "two replicas have the same number");
    }

    fn perform(&mut self, step: &Step) -> Vec<Change> {
        match step {
            Step::Ask { generation, count } => {
                vec![Change::Asked { generation: *generation, count: *count }]
            }
            Step::AskAgain { slots } => {
                each(slots, |slot| Change::AskedAgain { slot: slot.placement_request })
            }
            Step::Build { .. } => vec![Change::Built { image: image() }],
            Step::Start { slots, .. } => self.start(slots),
            Step::Probe { slots } => self.probe(slots),
            Step::Route { slots, waiting } => {
                self.edge = slots.iter().filter_map(container).collect();
                let all: Vec<&Slot> = slots.iter().collect();
                self.upstreams = upstreams(self.deployment.as_ref().unwrap(), &all);
                if self.seen.upstreams.is_some() {
                    self.seen.upstreams = Some(self.upstreams.clone());
                }
                if self.luck == Luck::Unheard {
                    self.luck = Luck::Good;
                    return Vec::new();
                }
                let (slots, waiting) = (placements(slots), placements(waiting));
                let endpoint = "192.0.2.10:2000".to_owned();
                vec![Change::Routed { slots, waiting, endpoint }]
            }
            Step::Unroute { waiting } => {
                self.edge.clear();
                vec![Change::Unrouted { waiting: placements(waiting) }]
            }
            Step::Withdraw { slots } => vec![Change::Withdrawn { slots: placements(slots) }],
            Step::Remove { slots, lost } => self.remove(slots, lost),
            Step::Finish => vec![Change::Running],
            Step::GiveUp { failure } => vec![Change::GivenUp { failure: failure.clone() }],
            Step::BackOut { failure } => vec![Change::BackedOut { failure: failure.clone() }],
            Step::Leave => vec![Change::Moved],
            Step::Stay { reason } => vec![Change::NotMoved { reason: reason.clone() }],
            Step::Fail => vec![Change::Failed],
            Step::Stopped => vec![Change::Stopped],
            Step::Bury => vec![Change::Buried],
            Step::Restore { slots, .. } => each(slots, |slot| Change::Restored {
                slot: slot.placement_request,
                container_id: "again".to_owned(),
            }),
            Step::Examine { .. } | Step::Register | Step::Forget | Step::Rest { .. } => Vec::new(),
        }
    }

    fn start(&mut self, slots: &[Slot]) -> Vec<Change> {
        if let Luck::Start(code) = self.luck {
            self.luck = Luck::Good;
            let failure = failure(code);
            return vec![Change::Unfit { slot: slots[0].placement_request, failure }];
        }
        if self.luck == Luck::Missing {
            self.luck = Luck::Good;
            return vec![Change::ImageMissing { slot: slots[0].placement_request }];
        }
        self.containers.extend(slots.iter().filter_map(container));
        each(slots, |slot| Change::Started {
            slot: slot.placement_request,
            container_id: format!("id-{}", slot.number),
        })
    }

    fn probe(&mut self, slots: &[Slot]) -> Vec<Change> {
        if let Luck::Probe(code) = self.luck {
            self.luck = Luck::Good;
            self.containers.remove(&container(&slots[0]).unwrap());
            let failure = failure(code);
            return vec![Change::Unfit { slot: slots[0].placement_request, failure }];
        }
        each(slots, |slot| Change::Ready { slot: slot.placement_request })
    }

    fn remove(&mut self, slots: &[Slot], lost: &[Slot]) -> Vec<Change> {
        for slot in slots {
            let container = container(slot).unwrap();
            assert_eq!(slot.state, SlotState::Drained, "{slot:?} may be wanted again");
            assert!(!self.edge.contains(&container), "{slot:?} gets requests");
            self.containers.remove(&container);
        }
        let slots = slots.iter().chain(lost).map(|slot| slot.placement_request).collect();
        vec![Change::Removed { slots }]
    }
}

fn each(slots: &[Slot], change: impl Fn(&Slot) -> Change) -> Vec<Change> {
    slots.iter().map(change).collect()
}

fn placements(slots: &[Slot]) -> Vec<RequestId> {
    slots.iter().map(|slot| slot.placement_request).collect()
}

fn container(slot: &Slot) -> Option<Container> {
    Some((slot.place.as_ref()?.node.clone(), slot.number, slot.generation))
}

pub(super) fn node(number: usize) -> NodeName {
    format!("node-{number}").parse().unwrap()
}

fn image() -> ImageRef {
    ImageRef::new("registry.example.org/apps/shop", Digest::of(b"shop")).unwrap()
}

pub(super) fn failure(code: FailureCode) -> Failure {
    Failure::new(code, "by bad luck")
}

impl World {
    /// What must hold once everything has calmed down.
    pub(super) fn assert_settled(&self) {
        let Some(deployment) = &self.deployment else {
            assert_eq!((&self.containers, &self.edge), (&BTreeSet::new(), &BTreeSet::new()));
            return;
        };
        assert!(!is_in_progress(deployment), "{deployment:?}");
        let routed = |slot: &&Slot| slot.state == SlotState::Routed;
        let served: BTreeSet<Container> =
            deployment.slots.iter().filter(routed).filter_map(container).collect();
        assert_eq!(served.len(), deployment.slots.len(), "{deployment:?}");
        assert_eq!(self.containers, served);
        assert_eq!(self.edge, served);
        match &deployment.serving {
            None => assert!(served.is_empty(), "{deployment:?}"),
            Some(serving) => {
                let of_served = served.iter().filter(|one| one.2 == serving.generation).count();
                assert_eq!(of_served, self.seen.replicas, "{deployment:?}");
                let canary = deployment.canary.as_ref().filter(|_| self.seen.replicas > 0);
                let beside = canary.map_or(0, |one| share::replicas(one.share, self.seen.replicas));
                assert_eq!(served.len(), of_served + beside, "{deployment:?}");
            }
        }
        if deployment.goal == Goal::Stopped {
            assert_eq!((deployment.state, served.len()), (State::Removed, 0));
        }
        for request in 1..=self.requests {
            let request = RequestId(Uuid::from_u128(request.into()));
            assert_eq!(self.outcomes.get(&request), Some(&1), "outcomes of {request}");
        }
    }
}
