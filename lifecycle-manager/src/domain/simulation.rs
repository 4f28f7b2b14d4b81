//! Whatever machines, agents and wishes do: when they are quiet for a while, the service is where and what it should
//! be, and on the way no rule was broken.

use std::time::Duration;

use common::digest::{Digest, ImageRef};
use common::id::{Epoch, Generation};
use common::name::{NodeName, PartName};
use common::port::container::ContainerState;
use common::port::part::Part;
use common::record::platform::{InstanceState, PlacedService, PlatformGoal, ServiceImage};
use common::service::ServiceName;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::note::{Sightings, note};
use super::rollout::{Bound, Brakes, Rules, Scene, Step, plan, take};
use super::sighting::Sighting;
use super::waits::Waits;
use crate::records::Rollout;

const RULES: Rules = Rules {
    ready_within: Duration::from_secs(30),
    restart_after: Duration::from_secs(10),
    move_after: Duration::from_secs(12),
    waits: Waits {
        first: Duration::from_secs(5),
        last: Duration::from_secs(40),
        calm: Duration::from_mins(2),
    },
};
const NODES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// What somebody does to the world.
#[derive(Debug, Clone)]
enum Deed {
    Fall(usize),
    Rise(usize),
    /// The machine is made anew: it has nothing.
    Empty(usize),
    /// The next call to its agent has no effect.
    Lose(usize),
    /// The part there, once ready, is sick for good, until it is restarted or replaced.
    Sicken(usize),
    Wish {
        nodes: Vec<usize>,
        image: usize,
    },
    /// The leader crashes between writing down and doing.
    Crash,
    Pass(u64),
}

fn deed() -> impl Strategy<Value = Deed> {
    let node = 0..NODES.len();
    prop_oneof![
        2 => node.clone().prop_map(Deed::Fall),
        2 => node.clone().prop_map(Deed::Rise),
        1 => node.clone().prop_map(Deed::Empty),
        1 => node.clone().prop_map(Deed::Lose),
        1 => node.clone().prop_map(Deed::Sicken),
        2 => (prop::sample::subsequence(vec![0, 1, 2, 3, 4], 1..=2), 0usize..4)
            .prop_map(|(nodes, image)| Deed::Wish { nodes, image }),
        1 => Just(Deed::Crash),
        6 => (1u64..40).prop_map(Deed::Pass),
    ]
}

/// The image that never becomes ready.
const BAD: usize = 3;

fn image(number: usize) -> Option<ServiceImage> {
    let digest = Digest::of(&[u8::try_from(number).unwrap()]);
    let image = || ImageRef::new("127.0.0.1:5000/avishkar/platform", digest).unwrap().into();
    (number > 0).then(image)
}

#[derive(Debug, Clone)]
struct Machine {
    up: bool,
    down_since: u64,
    part: Option<(Generation, Option<ServiceImage>, bool)>,
    loses: bool,
}

struct World {
    machines: Vec<Machine>,
    rollout: Rollout,
    wish: PlacedService,
    part: PartName,
    now: u64,
    crash: bool,
}

impl World {
    fn new() -> Self {
        let machine = Machine { up: true, down_since: 0, part: None, loses: false };
        World {
            machines: vec![machine; NODES.len()],
            rollout: Rollout::new(ServiceName::NodeManager),
            wish: PlacedService {
                schema: 1,
                service: ServiceName::NodeManager,
                generation: Generation(1),
                goal: PlatformGoal::On,
                nodes: vec![node(0), node(1)],
                image: None,
                instances: None,
            },
            part: "node-manager".parse().unwrap(),
            now: 0,
            crash: false,
        }
    }

    fn seen(&self) -> Sightings {
        let sighting = |machine: &Machine| {
            if !machine.up {
                return Sighting::Silent {
                    lasting: Duration::from_secs(self.now - machine.down_since),
                };
            }
            let part = machine.part.as_ref().map(|(generation, image_there, well)| Part {
                name: self.part.clone(),
                generation: *generation,
                epoch: Epoch(1),
                spec_hash: String::new(),
                state: ContainerState::Running { since: Timestamp::UNIX_EPOCH },
                healthy: Some(*well && *image_there != image(BAD)),
                apart: false,
                restarts: 0,
            });
            Sighting::Answers { parts: part.into_iter().collect() }
        };
        self.machines.iter().enumerate().map(|(index, one)| (node(index), sighting(one))).collect()
    }

    fn act(&mut self, deed: &Deed) {
        match deed {
            Deed::Fall(index) => {
                if self.machines[*index].up {
                    self.machines[*index].up = false;
                    self.machines[*index].down_since = self.now;
                }
            }
            Deed::Rise(index) => self.machines[*index].up = true,
            Deed::Empty(index) => self.machines[*index].part = None,
            Deed::Lose(index) => self.machines[*index].loses = true,
            Deed::Sicken(index) => {
                // A new version that is sick before it was ever ready is rightly backed out of.
                let instance = self.rollout.instance(&node(*index));
                let was_ready = instance.is_some_and(|one| one.state == InstanceState::Ready);
                if let Some((_, _, well)) = &mut self.machines[*index].part {
                    *well &= !was_ready;
                }
            }
            Deed::Wish { nodes, image: number } => {
                self.wish.generation = self.wish.generation.next();
                self.wish.nodes = nodes.iter().map(|index| node(*index)).collect();
                self.wish.image = image(*number);
            }
            Deed::Crash => self.crash = true,
            Deed::Pass(seconds) => {
                for _ in 0..*seconds {
                    self.now += 1;
                    self.round();
                }
            }
        }
    }

    /// One round of the reconciler, with its effects.
    fn round(&mut self) {
        let seen = self.seen();
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(self.now.try_into().unwrap());
        let spare: Vec<NodeName> =
            seen.iter().filter(|(_, one)| one.answers()).map(|(node, _)| node.clone()).collect();
        let mut rollout = note(self.rollout.clone(), &self.part, &seen, now);
        let mut steps = Vec::new();
        let mut ready_replaced = 0;
        for count in 0.. {
            assert!(count < 40, "it never rests: {steps:?}");
            let scene = Scene {
                wish: &self.wish,
                part: &self.part,
                seen: &seen,
                spare: &spare,
                asked: None,
                bound: Bound::Anywhere,
                brakes: Brakes::default(),
                rules: &RULES,
                now,
            };
            let step = plan(&rollout, &scene);
            if step == Step::Rest {
                break;
            }
            if let Step::Replace { node, .. } = &step {
                let instance = rollout.instance(node).unwrap();
                ready_replaced += usize::from(instance.state == InstanceState::Ready);
            }
            rollout = take(rollout, &step, &scene);
            steps.push(step);
        }
        self.rollout = rollout;
        assert!(ready_replaced <= 1, "two that are ready are replaced at once: {steps:?}");
        self.check();
        if std::mem::take(&mut self.crash) {
            return;
        }
        for step in &steps {
            self.apply(step);
        }
    }

    fn check(&self) {
        let mut nodes: Vec<&NodeName> =
            self.rollout.instances.iter().map(|instance| &instance.node).collect();
        nodes.sort();
        let count = nodes.len();
        nodes.dedup();
        assert_eq!(count, nodes.len(), "two instances on one machine: {:?}", self.rollout);
    }

    fn apply(&mut self, step: &Step) {
        let (node, effect) = match step {
            Step::Start { node, .. } | Step::Ensure { node } | Step::Replace { node, .. } => {
                (node, 0)
            }
            Step::Move { to, .. } => (to, 0),
            Step::Restart { node } => (node, 1),
            Step::Remove { node } => (node, 2),
            Step::Follow
            | Step::Adopt { .. }
            | Step::Leave { .. }
            | Step::BackOut { .. }
            | Step::Fail { .. }
            | Step::Settle { .. }
            | Step::Rest => return,
        };
        let index = NODES.iter().position(|name| *name == node.as_str()).unwrap();
        let instance = self.rollout.instance(node).unwrap();
        let machine = &mut self.machines[index];
        if !machine.up || std::mem::take(&mut machine.loses) {
            return;
        }
        match effect {
            0 => machine.part = Some((instance.generation, instance.version.image.clone(), true)),
            1 => machine.part.as_mut().unwrap().2 = true,
            _ => machine.part = None,
        }
    }
}

fn node(index: usize) -> NodeName {
    NODES[index].parse().unwrap()
}

fn assert_ends_as_wished(deeds: &[Deed]) {
    let mut world = World::new();
    for deed in deeds {
        world.act(deed);
    }
    for index in 0..NODES.len() {
        world.act(&Deed::Rise(index));
    }
    // A last wish that can be fulfilled, and quiet.
    world.act(&Deed::Wish { nodes: vec![1, 2], image: 1 });
    world.act(&Deed::Pass(400));
    let on: Vec<&str> = world.rollout.staying().map(|one| one.node.as_str()).collect();
    assert_eq!(world.rollout.instances.len(), 2, "{:?}", world.rollout);
    for (index, name) in NODES.iter().enumerate() {
        let has = world.machines[index].part.is_some();
        assert_eq!(has, on.contains(name), "{}: {:?}", name, world.rollout);
    }
    for instance in world.rollout.staying() {
        assert_eq!(instance.state, InstanceState::Ready);
        assert_eq!(&instance.version.image, &image(1));
    }
}

#[test]
fn the_time_a_machine_was_away_is_not_counted_against_the_version_that_was_starting_there() {
    assert_ends_as_wished(&[
        Deed::Pass(2),
        Deed::Fall(0),
        Deed::Wish { nodes: vec![3], image: 1 },
        Deed::Fall(2),
        Deed::Lose(4),
        Deed::Fall(3),
        Deed::Pass(7),
        Deed::Pass(5),
        Deed::Fall(4),
        Deed::Pass(30),
    ]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]
    #[test]
    fn it_ends_as_wished_whatever_happens_on_the_way(deeds in prop::collection::vec(deed(), 1..40)) {
        assert_ends_as_wished(&deeds);
    }
}
