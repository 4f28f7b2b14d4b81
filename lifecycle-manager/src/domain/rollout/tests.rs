//! Single steps, as a story would have them.

mod configured;
mod healing;

use common::digest::{Digest, ImageRef};
use common::id::Epoch;
use common::port::container::ContainerState;
use common::port::part::Part;
use common::record::platform::ServiceImage;
use common::service::ServiceName;
use jiff::SignedDuration;

use super::*;
use crate::domain::note::note;

const RULES: Rules = Rules {
    ready_within: Duration::from_mins(1),
    restart_after: Duration::from_secs(15),
    move_after: Duration::from_secs(12),
    waits: Waits {
        first: Duration::from_secs(5),
        last: Duration::from_mins(5),
        calm: Duration::from_mins(10),
    },
};

fn name(node: &str) -> NodeName {
    node.parse().unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(100_000 + seconds)
}

fn image(name: &str) -> ServiceImage {
    let digest = Digest::of(name.as_bytes());
    ImageRef::new("127.0.0.1:5000/avishkar/platform", digest).unwrap().into()
}

/// A service on some machines, with time passing as the story says.
struct Story {
    wish: PlacedService,
    part: PartName,
    seen: Sightings,
    rollout: Rollout,
    brakes: Brakes,
    asked: Option<InstanceRestart>,
    now: i64,
}

impl Story {
    fn new(nodes: &[&str]) -> Self {
        let answering = || Sighting::Answers { parts: Vec::new() };
        let machines = ["a", "b", "c", "d"].map(|node| (name(node), answering()));
        Story {
            wish: PlacedService {
                schema: 1,
                service: ServiceName::NodeManager,
                generation: Generation(1),
                goal: PlatformGoal::On,
                nodes: nodes.iter().map(|node| name(node)).collect(),
                image: None,
                instances: None,
            },
            part: "node-manager".parse().unwrap(),
            seen: machines.into(),
            rollout: Rollout::new(ServiceName::NodeManager),
            brakes: Brakes::default(),
            asked: None,
            now: 0,
        }
    }

    fn running(nodes: &[&str]) -> Self {
        let mut story = Story::new(nodes);
        story.settle();
        story
    }

    fn wish(&mut self, nodes: &[&str], image: Option<ServiceImage>) {
        self.wish.generation = self.wish.generation.next();
        self.wish.nodes = nodes.iter().map(|node| name(node)).collect();
        self.wish.image = image;
    }

    /// All steps that follow now, as words.
    fn steps(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        self.rollout = note(self.rollout.clone(), &self.part, &self.seen, at(self.now));
        for _ in 0..40 {
            let spare: Vec<NodeName> = self
                .seen
                .iter()
                .filter(|(_, one)| one.answers())
                .map(|(node, _)| node.clone())
                .collect();
            let scene = Scene {
                wish: &self.wish,
                part: &self.part,
                seen: &self.seen,
                spare: &spare,
                asked: self.asked.as_ref(),
                bound: Bound::Anywhere,
                brakes: self.brakes,
                rules: &RULES,
                now: at(self.now),
            };
            let step = plan(&self.rollout, &scene);
            if step == Step::Rest {
                return told;
            }
            told.extend(words(&step));
            self.rollout = take(self.rollout.clone(), &step, &scene);
        }
        panic!("it never rests: {told:?}");
    }

    /// What the agent of a machine has: a part of the newest specification that was sent there, or none.
    fn has(&mut self, node: &str, healthy: Option<bool>) {
        let instance = self.rollout.instance(&name(node)).cloned();
        let generation = instance.map_or(Generation(7), |instance| instance.generation);
        self.seen
            .insert(name(node), Sighting::Answers { parts: vec![self.part(generation, healthy)] });
    }

    fn has_none(&mut self, node: &str) {
        self.seen.insert(name(node), Sighting::Answers { parts: Vec::new() });
    }

    fn is_silent(&mut self, node: &str, seconds: u64) {
        let lasting = Duration::from_secs(seconds);
        self.seen.insert(name(node), Sighting::Silent { lasting });
    }

    fn part(&self, generation: Generation, healthy: Option<bool>) -> Part {
        Part {
            name: self.part.clone(),
            generation,
            epoch: Epoch(1),
            spec_hash: String::new(),
            state: ContainerState::Running { since: at(0) },
            healthy,
            apart: false,
            restarts: 0,
        }
    }

    /// Every agent does what it is asked, at once, until nothing is left to do.
    fn settle(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            let steps = self.steps();
            if steps.is_empty() {
                return told;
            }
            told.extend(steps);
            for instance in self.rollout.instances.clone() {
                if !self.seen[&instance.node].answers() {
                    continue;
                }
                if instance.state == InstanceState::Stopping {
                    self.has_none(instance.node.as_str());
                } else {
                    self.has(instance.node.as_str(), Some(true));
                }
            }
        }
    }

    fn on(&self) -> Vec<String> {
        let mut on: Vec<String> = self.rollout.staying().map(|one| one.node.to_string()).collect();
        on.sort();
        on
    }
}

fn words(step: &Step) -> Option<String> {
    Some(match step {
        Step::Follow | Step::Settle { .. } | Step::Rest => return None,
        Step::Adopt { node, .. } => format!("adopt {node}"),
        Step::Start { node, place, .. } if node == place => format!("start {node}"),
        Step::Start { node, place, .. } => format!("start {node} for {place}"),
        Step::Move { from, to } => format!("move {from} to {to}"),
        Step::Ensure { node } => format!("ensure {node}"),
        Step::Replace { node, .. } => format!("replace {node}"),
        Step::Restart { node } => format!("restart {node}"),
        Step::Leave { node } => format!("leave {node}"),
        Step::Remove { node } => format!("remove {node}"),
        Step::BackOut { failure, .. } => format!("back out: {}", failure.message),
        Step::Fail { node, .. } => format!("fail {node}"),
    })
}

#[test]
fn all_instances_start_at_once_and_then_it_rests() {
    let mut story = Story::new(&["a", "b"]);
    assert_eq!(story.steps(), ["start a", "start b"]);
    assert!(story.steps().is_empty(), "an agent is given time");
    story.has("a", Some(true));
    story.has("b", None);
    assert!(story.steps().is_empty());
    story.has("b", Some(true));
    assert!(story.steps().is_empty());
    assert_eq!(story.rollout.good, Some(Version::default()));
}

#[test]
fn what_an_agent_did_not_make_is_asked_for_again_with_growing_pauses() {
    let mut story = Story::new(&["a"]);
    story.steps();
    let mut asked = Vec::new();
    for second in 1..60 {
        story.now = second;
        asked.extend(story.steps().iter().map(|_| second));
    }
    assert_eq!(asked, [5, 15, 35]);
}

#[test]
fn a_move_starts_the_new_one_waits_until_it_is_ready_and_then_ends_the_old_one() {
    let mut story = Story::running(&["a", "b"]);
    story.wish(&["a", "c"], None);
    assert_eq!(story.steps(), ["start c"]);
    story.has("c", Some(false));
    assert!(story.steps().is_empty(), "the old one stays until the new one is ready");
    story.has("c", Some(true));
    assert_eq!(story.steps(), ["leave b", "remove b"]);
    story.has_none("b");
    assert!(story.steps().is_empty());
    assert_eq!(story.on(), ["a", "c"]);
    assert!(story.rollout.instance(&name("b")).is_none());
}

#[test]
fn more_instances_are_a_wish_for_more_machines() {
    let mut story = Story::running(&["a"]);
    story.wish(&["a", "b", "c"], None);
    assert_eq!(story.settle(), ["start b", "start c"]);
    story.wish(&["b"], None);
    assert_eq!(story.settle(), ["leave a", "remove a", "leave c", "remove c"]);
    assert_eq!(story.on(), ["b"]);
}

#[test]
fn an_upgrade_replaces_one_at_a_time_and_waits_for_each() {
    let mut story = Story::running(&["a", "b"]);
    story.wish(&["a", "b"], Some(image("new")));
    assert_eq!(story.steps(), ["replace a"]);
    story.now = 4;
    assert!(story.steps().is_empty(), "the old part is not the new one");
    story.has("a", Some(true));
    assert_eq!(story.steps(), ["replace b"]);
    story.has("b", Some(true));
    assert!(story.steps().is_empty());
    assert_eq!(
        story.rollout.good,
        Some(Version { image: Some(image("new")), ..Version::default() })
    );
}

#[test]
fn a_version_that_does_not_become_ready_in_time_is_backed_out_of_and_says_why() {
    let mut story = Story::running(&["a", "b"]);
    story.wish(&["a", "b"], Some(image("bad")));
    assert_eq!(story.steps(), ["replace a"]);
    story.has("a", Some(false));
    story.now = 60;
    assert!(story.steps().is_empty());
    story.now = 61;
    assert_eq!(story.steps(), ["back out: it was not ready within 60 s", "replace a"]);
    story.has("a", Some(true));
    assert!(story.steps().is_empty(), "the same wish is not tried again");
    let refusal = story.rollout.refused.clone().unwrap();
    assert_eq!(refusal.version.image, Some(image("bad")));
    assert!(story.rollout.instances.iter().all(|one| one.version == Version::default()));
    story.wish(&["a", "b"], Some(image("better")));
    assert_eq!(story.settle(), ["replace a", "replace b"]);
}

#[test]
fn a_version_that_is_built_on_its_machine_is_given_the_time_for_it() {
    let mut story = Story::running(&["a", "b"]);
    let code = format!("share://code/services@{}", Digest::of(b"code"));
    story.wish(&["a", "b"], Some(code.parse().unwrap()));
    assert_eq!(story.steps(), ["replace a"]);
    let is_backed_out = |steps: Vec<String>| steps.iter().any(|step| step.starts_with("back out"));
    story.now = 15 * 60;
    assert!(!is_backed_out(story.steps()), "it is being built");
    story.has("a", Some(false));
    story.now += 60;
    assert!(!is_backed_out(story.steps()), "it has been there for a moment");
    story.now += 61;
    assert!(is_backed_out(story.steps()));
}

#[test]
fn a_machine_that_dies_gives_its_instance_to_another_and_loses_it_when_it_comes_back() {
    let mut story = Story::running(&["a", "b"]);
    story.is_silent("b", 11);
    assert!(story.steps().is_empty(), "a moment of silence is no death");
    story.is_silent("b", 12);
    assert_eq!(story.steps(), ["move b to c"]);
    let left = story.rollout.instance(&name("b")).unwrap();
    assert!(is_behind(left, &story.seen, &RULES), "nobody knows whether it runs");
    story.has("c", Some(true));
    assert!(story.steps().is_empty());
    assert_eq!(story.on(), ["a", "c"]);
    story.seen.insert(
        name("b"),
        Sighting::Answers { parts: vec![story.part(Generation(2), Some(true))] },
    );
    assert_eq!(story.steps(), ["remove b"]);
    story.has_none("b");
    assert!(story.steps().is_empty(), "what stands in for it stays");
    assert_eq!(story.on(), ["a", "c"]);
}

#[test]
fn what_stood_in_for_a_machine_goes_back_to_it_when_its_own_machine_dies() {
    let mut story = Story::running(&["a", "b"]);
    for (dead, instead) in [("b", "c"), ("a", "d")] {
        story.is_silent(dead, 12);
        assert_eq!(story.steps(), [format!("move {dead} to {instead}")]);
        story.has(instead, Some(true));
        story.settle();
        story.seen.insert(
            name(dead),
            Sighting::Answers { parts: vec![story.part(Generation(2), Some(true))] },
        );
        story.settle();
    }
    assert_eq!(story.on(), ["c", "d"]);
    story.is_silent("c", 12);
    assert_eq!(story.steps(), ["move c to b"]);
}

#[test]
fn where_too_many_machines_look_dead_nothing_moves() {
    let mut story = Story::running(&["a", "b"]);
    story.brakes.machines = true;
    for node in ["a", "b", "c"] {
        story.is_silent(node, 600);
    }
    assert!(story.steps().is_empty());
}

#[test]
fn a_platform_that_is_off_has_none_of_it_and_strangers_go_too() {
    let mut story = Story::running(&["a", "b"]);
    story.has("d", Some(true));
    story.wish.goal = PlatformGoal::Off;
    story.wish.generation = story.wish.generation.next();
    let steps = story.settle();
    assert_eq!(
        steps,
        ["leave a", "leave b", "adopt d", "leave d", "remove a", "remove b", "remove d"]
    );
    assert!(story.rollout.instances.is_empty());
}

#[test]
fn what_the_bootstrapper_made_is_taken_over_and_not_made_again() {
    let mut story = Story::new(&["a", "b"]);
    story.has("a", Some(true));
    assert_eq!(story.steps(), ["adopt a", "start b"]);
    story.has("b", Some(true));
    assert!(story.steps().is_empty());
    assert!(story.rollout.generation > Generation(7));
}

#[test]
fn a_machine_that_was_made_anew_gets_its_instance_again() {
    let mut story = Story::running(&["a", "b"]);
    story.has_none("b");
    story.now = 100;
    let steps = story.steps();
    assert_eq!(steps, ["ensure b"]);
}
