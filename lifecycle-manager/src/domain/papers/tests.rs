use common::id::{Epoch, Generation};
use common::port::container::ContainerState;
use jiff::SignedDuration;

use super::*;
use crate::records::Version;

const SERVICE: ServiceName = ServiceName::NodeManager;

fn day(day: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * day)
}

fn minutes(minutes: i64) -> Timestamp {
    day(0) + SignedDuration::from_mins(minutes)
}

fn name(node: &str) -> NodeName {
    node.parse().unwrap()
}

fn part(part: &str) -> PartName {
    part.parse().unwrap()
}

/// Machines a, b and c, each with an agent, a lifecycle manager and a node manager; the process that decides is on a.
/// Everything is due since day 0, and was seen first a year before.
struct World {
    notes: BTreeMap<NodeName, NodePapers>,
    seen: Sightings,
    rollouts: BTreeMap<PartName, Rollout>,
    base: Vec<NodeName>,
    braked: bool,
    given: u64,
    now: Timestamp,
}

impl World {
    fn new() -> Self {
        let nodes = ["a", "b", "c"].map(name);
        let services = ["lifecycle-manager", "node-manager"];
        let mut rollout = Rollout::new(SERVICE);
        rollout.instances = nodes.iter().map(instance).collect();
        let notes = |node: &NodeName| {
            let parts = services.map(|service| (part(service), due(day(0))));
            let agent = Some(due(day(0)));
            (node.clone(), NodePapers { schema: 1, agent, parts: parts.into() })
        };
        let seen = |node: &NodeName| {
            let parts = services.map(|service| found(service, true)).into();
            (node.clone(), Sighting::Answers { parts })
        };
        World {
            notes: nodes.iter().map(notes).collect(),
            seen: nodes.iter().map(seen).collect(),
            rollouts: [(part("node-manager"), rollout)].into(),
            base: nodes.to_vec(),
            braked: false,
            given: 0,
            now: minutes(1),
        }
    }

    fn step(&self) -> String {
        let is_open = |node: &&NodeName| self.seen.get(*node).is_some_and(Sighting::answers);
        plan(&Facts {
            notes: &self.notes,
            open: &self.notes.keys().filter(is_open).cloned().collect(),
            seen: &self.seen,
            rollouts: &self.rollouts,
            base: &self.base,
            own: Some(&name("a")),
            braked: self.braked,
            given: self.given,
            now: self.now,
        })
        .to_string()
    }

    fn agent(&mut self, node: &str) -> &mut Paper {
        self.notes.get_mut(&name(node)).unwrap().agent.as_mut().unwrap()
    }

    fn part(&mut self, node: &str, of: &str) -> &mut Paper {
        self.notes.get_mut(&name(node)).unwrap().parts.get_mut(&part(of)).unwrap()
    }

    fn is_renewed(&mut self, node: &str, of: &str) {
        let now = self.now;
        *self.part(node, of) = Paper::new("new", None, now);
    }

    fn is_silent(&mut self, node: &str) {
        let lasting = Duration::from_secs(9);
        self.seen.insert(name(node), Sighting::Silent { lasting });
    }

    fn is_ill(&mut self, node: &str, of: &str) {
        let Some(Sighting::Answers { parts }) = self.seen.get_mut(&name(node)) else { return };
        parts.retain(|one| one.name != part(of));
        parts.push(found(of, false));
    }

    fn instance_is(&mut self, node: &str, state: InstanceState) {
        let rollout = self.rollouts.get_mut(&part("node-manager")).unwrap();
        rollout.instance_mut(&name(node)).unwrap().state = state;
    }

    /// Only agents are due.
    fn of_agents() -> Self {
        let mut world = World::new();
        for notes in world.notes.values_mut() {
            for paper in notes.parts.values_mut() {
                paper.due = None;
            }
        }
        world
    }
}

fn due(since: Timestamp) -> Paper {
    Paper { due: Some(since), ..Paper::new("", None, day(-365)) }
}

fn found(name: &str, healthy: bool) -> Part {
    Part {
        name: part(name),
        generation: Generation(1),
        epoch: Epoch(1),
        spec_hash: String::new(),
        state: ContainerState::Running { since: day(-9) },
        healthy: Some(healthy),
        apart: false,
        restarts: 0,
    }
}

fn instance(node: &NodeName) -> Instance {
    Instance {
        node: node.clone(),
        place: node.clone(),
        version: Version::default(),
        generation: Generation(1),
        state: InstanceState::Ready,
        since: day(-9),
        there_since: None,
        is_cut_off: false,
        run: None,
        attempts: 0,
        attempted_at: None,
        failure: None,
    }
}

#[test]
fn services_have_their_turns_first_then_agents_and_the_process_that_decides_last() {
    let mut world = World::new();
    let mut steps = Vec::new();
    for _ in 0..12 {
        let step = world.step();
        let Some(holder) = step.strip_prefix("renew the certificate of ") else { break };
        match holder.strip_prefix("the agent of ") {
            Some(node) => *world.agent(node) = Paper::new("", None, world.now),
            None => {
                let (of, node) = holder.split_once(" on ").unwrap();
                world.is_renewed(node, of);
            }
        }
        steps.push(holder.to_owned());
    }
    let expected = [
        "node-manager on a",
        "lifecycle-manager on b",
        "node-manager on b",
        "lifecycle-manager on c",
        "node-manager on c",
        "the agent of a",
        "the agent of b",
        "the agent of c",
        "lifecycle-manager on a",
    ];
    assert_eq!(steps, expected);
    assert_eq!(world.step(), "rest");
}

#[test]
fn nobody_has_a_turn_while_what_was_renewed_within_a_day_is_not_ready() {
    let mut world = World::new();
    world.is_renewed("a", "node-manager");
    world.is_ill("a", "node-manager");
    world.instance_is("a", InstanceState::Silent);
    let unproven = "wait: node-manager on a does not do what it is for since it was to be renewed";
    assert_eq!(world.step(), unproven);
    world.is_silent("a");
    assert_eq!(world.step(), unproven, "its machine does not even answer");
    world.now = day(1) + SignedDuration::from_mins(2);
    assert_eq!(world.step(), "renew the certificate of the agent of b");
}

#[test]
fn an_agent_that_did_not_come_up_ends_the_renewal_until_it_answers() {
    let mut world = World::of_agents();
    let now = world.now;
    world.agent("a").attempted(now);
    world.is_silent("a");
    let stopped = "wait: the agent of a does not do what it is for since it was to be renewed";
    for days in [0, 1, 30, 89] {
        world.now = now + SignedDuration::from_hours(24 * days);
        assert_eq!(world.step(), stopped, "after {days} days");
    }
    world.now = day(90);
    assert_eq!(world.step(), "renew the certificate of the agent of b", "its end would be worse");
}

#[test]
fn one_that_goes_on_as_before_after_an_attempt_holds_up_no_other_and_has_its_next_turn_later() {
    let mut world = World::of_agents();
    let now = world.now;
    world.agent("a").attempted(now);
    world.agent("a").stands();
    assert_eq!(world.step(), "renew the certificate of the agent of b");
    for node in ["b", "c"] {
        world.agent(node).due = None;
    }
    assert_eq!(world.step(), "wait: it is nobody's turn");
    world.now = minutes(11);
    assert_eq!(world.step(), "renew the certificate of the agent of a");
}

#[test]
fn a_part_that_could_not_be_ordered_anew_is_seen_before_its_twin_has_a_turn() {
    let mut world = World::new();
    let now = world.now;
    world.part("a", "node-manager").attempted(now);
    world.part("a", "node-manager").stands();
    world.is_ill("a", "node-manager");
    assert!(world.step().starts_with("wait: node-manager on a does not do"));
}

#[test]
fn an_instance_that_is_on_its_way_is_waited_for_where_its_machine_answers() {
    let mut world = World::new();
    world.instance_is("c", InstanceState::Starting);
    assert_eq!(world.step(), "wait: an instance of node-manager is on its way");
    world.is_silent("c");
    world.base.retain(|node| *node != name("c"));
    assert_eq!(world.step(), "renew the certificate of lifecycle-manager on b");
}

#[test]
fn one_whose_twin_is_not_ready_keeps_its_certificate_until_it_is_or_it_waits_no_more() {
    let mut world = World::new();
    world.is_ill("c", "lifecycle-manager");
    world.is_ill("c", "node-manager");
    world.instance_is("c", InstanceState::Silent);
    assert_eq!(world.step(), "renew the certificate of lifecycle-manager on c");
    *world.part("c", "lifecycle-manager") = Paper::new("", None, day(-365));
    assert_eq!(world.step(), "renew the certificate of the agent of a");
    world.now = day(90);
    assert_eq!(world.step(), "renew the certificate of node-manager on a");
}

#[test]
fn nothing_is_renewed_under_a_brake() {
    let world = World { braked: true, ..World::new() };
    assert_eq!(world.step(), "wait: too much looks dead at once");
}

#[test]
fn one_that_is_known_is_due_when_the_authority_gives_another_and_no_sooner() {
    let (former, current) = (Digest::of(b"former"), Digest::of(b"current"));
    let paper = Paper::new("", Some(former.clone()), day(0));
    assert_eq!(due_since(&paper, &former, day(500)), None);
    assert_eq!(due_since(&paper, &current, day(0)), Some(day(0)));
    let waiting = Paper { due: Some(day(3)), ..paper };
    assert_eq!(due_since(&waiting, &current, day(9)), Some(day(3)));
}

#[test]
fn one_that_is_not_known_is_due_after_a_month() {
    let paper = Paper::new("", None, day(0));
    let current = Digest::of(b"current");
    assert_eq!(due_since(&paper, &current, day(29)), None);
    assert_eq!(due_since(&paper, &current, day(30)), Some(day(30)));
}

#[test]
fn one_that_waits_for_a_quarter_waits_no_more() {
    let paper = due(day(100));
    assert!(!is_urgent(&paper, day(189)) && is_urgent(&paper, day(190)));
}

#[test]
fn one_of_the_base_that_is_not_ready_with_what_it_was_given_gets_only_what_was_given_later() {
    let mut world = World::new();
    for notes in world.notes.values_mut() {
        notes.agent = None;
        notes.parts.values_mut().for_each(|paper| paper.due = None);
    }
    let (now, manager) = (world.now, "lifecycle-manager");
    world.is_renewed("b", manager);
    world.is_ill("b", manager);
    for node in ["b", "c"] {
        let paper = world.part(node, manager);
        (paper.due, paper.given) = (Some(now), 7);
    }
    world.given = 7;
    let unproven =
        "wait: lifecycle-manager on b does not do what it is for since it was to be renewed";
    assert_eq!(world.step(), unproven);
    world.given = 8;
    let mended = "renew the certificate of lifecycle-manager on b";
    assert_eq!(world.step(), mended);
    world.is_renewed("a", "node-manager");
    world.is_ill("a", "node-manager");
    assert_eq!(world.step(), mended, "another one that is ill stands in no way");
    let other = "wait: node-manager on a does not do what it is for since it was to be renewed";
    // The order fails.
    world.part("b", manager).attempted(now);
    assert_eq!(world.step(), other);
    world.now = now + SignedDuration::from_secs(61);
    assert_eq!(world.step(), mended);
    world.part("b", manager).due = None;
    assert_eq!(world.step(), other, "nobody else is touched");
}
