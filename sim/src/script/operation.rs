//! Operations of several steps, each as a script of one app: what leads up to it, the operation, and what
//! follows. The faults of its scenario hold from where it begins.

use std::sync::Arc;
use std::time::Duration;

use common::name::{AppName, InstanceName, LegacyName};
use common::port::nodes::{NodeUse, Probe};
use common::record::course::Share;
use testkit::containers::Health;
use testkit::nodes::Reach;

use super::{Act, FIRST_DAY, Script, app, request};
use crate::call::Fault;
use crate::chaos;
use crate::dice::Dice;
use crate::fault::Trap;
use crate::user::{Wish, image};
use crate::world::World;

/// Which operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Operation {
    /// An app is deployed and stopped.
    #[default]
    DeployAndStop,
    /// Another release is deployed over one that serves: switched, drained, removed.
    Redeploy,
    ScaleUp,
    ScaleDown,
    /// A node dies, and what it had is made anew elsewhere; it comes back.
    Replace,
    /// No node has room: nothing was made yet.
    UndoPlacing,
    /// It cannot be built.
    UndoBuilding,
    /// It never gets healthy: what was made is unmade.
    UndoStarting,
    /// It answers its node, and not through the edge.
    UndoRouting,
    /// The release of before is gone back to.
    Rollback,
    /// Another release gets a share beside one that serves.
    Canary,
    /// It gets another share.
    Share,
    /// It gets all requests.
    Promote,
    /// It is taken away.
    Abandon,
    /// It answers with errors, and goes without being asked.
    BackOut,
    /// A node comes back that has nothing: a replica moves to it.
    Move,
    /// Its window begins, and ends.
    Schedule,
}

impl Operation {
    pub const ALL: [Operation; 17] = [
        Operation::DeployAndStop,
        Operation::Redeploy,
        Operation::ScaleUp,
        Operation::ScaleDown,
        Operation::Replace,
        Operation::UndoPlacing,
        Operation::UndoBuilding,
        Operation::UndoStarting,
        Operation::UndoRouting,
        Operation::Rollback,
        Operation::Canary,
        Operation::Share,
        Operation::Promote,
        Operation::Abandon,
        Operation::BackOut,
        Operation::Move,
        Operation::Schedule,
    ];

    /// Whether its releases are of images: what is ill is known by its image.
    pub(crate) fn is_of_images(self) -> bool {
        matches!(self, Operation::UndoStarting | Operation::BackOut)
    }

    /// Makes the world one in which it goes as it should.
    pub(crate) async fn prepare(self, world: &Arc<World>) {
        let truth = &world.truth;
        match self {
            Operation::UndoPlacing => {
                for agent in &truth.agents {
                    truth.nodes.set_use(&agent.node, FULL);
                }
            }
            Operation::UndoBuilding => {
                for agent in &truth.agents {
                    truth.nodes.engine(&agent.node).set_health(Health::Full);
                }
            }
            Operation::UndoStarting => {
                let ill = Probe::Unhealthy { status: Some(500) };
                truth.nodes.script_probes(&image(&app(1), 1), [ill]);
            }
            Operation::UndoRouting => {
                for agent in &truth.agents {
                    for port in 20_000..20_080 {
                        truth.edge.set_answer((agent.address.ip(), port).into(), Some(500));
                    }
                }
            }
            Operation::BackOut => {
                let mut erring = truth.erring.lock().expect("nobody panics");
                erring.insert(image(&app(1), 2));
            }
            Operation::Move => {
                if let Some(last) = truth.agents.last() {
                    chaos::set_reach(world, &last.node, Reach::Dead).await;
                }
            }
            Operation::DeployAndStop
            | Operation::Redeploy
            | Operation::Rollback
            | Operation::Canary
            | Operation::Share
            | Operation::Promote
            | Operation::Abandon
            | Operation::ScaleUp
            | Operation::ScaleDown
            | Operation::Replace
            | Operation::Schedule => {}
        }
    }
}

/// A node whose memory is all in use.
const FULL: NodeUse = NodeUse {
    cpu_percent: 5.0,
    memory_percent: 100.0,
    disk_percent: 10.0,
    memory_total_bytes: 1024 * 1024,
    cpu_millis_total: 4000,
    memory_promised_bytes: 0,
    cpu_millis_promised: 0,
};

/// The faults of a scenario.
#[derive(Debug, Clone, Default)]
pub(crate) struct Armed {
    pub(crate) traps: Vec<Trap>,
    pub(crate) forced: Option<(u64, Fault)>,
}

impl Armed {
    /// They hold from now on.
    pub(super) fn arm(&self, world: &World) {
        let mut now = world.faults();
        now.traps.clone_from(&self.traps);
        now.forced = self.forced;
    }
}

/// A node that has containers goes away, or the nodes that went come back.
pub(super) async fn turn_node(world: &Arc<World>, reach: Reach) {
    for agent in &world.truth.agents {
        if reach == Reach::Up {
            chaos::set_reach(world, &agent.node, reach).await;
        } else if !world.truth.nodes.containers(&agent.node).is_empty() {
            chaos::set_reach(world, &agent.node, reach).await;
            return;
        }
    }
}

/// Puts acts of one app after each other.
struct Writer<'a> {
    dice: &'a mut Dice,
    app: AppName,
    bundle: bool,
    acts: Vec<(Duration, Act)>,
}

impl Writer<'_> {
    fn instance(&self) -> LegacyName {
        InstanceName::from(self.app.clone()).into()
    }

    fn wish(&mut self, after: u64, wish: Wish) {
        let act = Act::Wish(wish, request(self.dice));
        self.acts.push((Duration::from_secs(after), act));
    }

    fn release(&mut self, after: u64, number: u32) {
        let wish = Wish::Release { app: self.app.clone(), number, bundle: self.bundle };
        self.wish(after, wish);
    }

    fn deploy(&mut self, after: u64, replicas: Option<u32>) {
        self.wish(after, Wish::Deploy { app: self.app.clone(), instance: None, replicas });
    }

    fn scale(&mut self, after: u64, replicas: u32) {
        let instance = self.instance();
        self.wish(after, Wish::Scale { instance, replicas });
    }

    fn stop(&mut self, after: u64) {
        let instance = self.instance();
        self.wish(after, Wish::Stop { instance });
    }

    fn canary(&mut self, after: u64, percent: i64) {
        let share = Share::try_from(percent).expect("it is a share");
        self.wish(after, Wish::Canary { app: self.app.clone(), share });
    }

    fn promote(&mut self, after: u64) {
        let instance = self.instance();
        self.wish(after, Wish::Promote { instance });
    }

    /// A release that serves, and another one that gets a share.
    fn two_releases(&mut self, replicas: u32) {
        self.deploy(2, Some(replicas));
        self.release(6, 2);
        self.canary(0, 25);
    }

    /// What is asked of a canary that gets its share.
    fn of_canary(&mut self, replicas: u32, ask: fn(&mut Self)) {
        self.two_releases(replicas);
        self.begin(6);
        ask(self);
    }

    fn of_bad_canary(&mut self, replicas: u32) {
        self.two_releases(replicas);
        self.begin(2);
        // Until visitors have seen enough of it.
        self.node(8, Reach::Up);
    }

    fn of_move(&mut self) {
        self.deploy(2, Some(3));
        self.begin(8);
        self.node(0, Reach::Up);
        // Who was away gets nothing for a while.
        self.node(32, Reach::Up);
    }

    fn of_replacement(&mut self, replicas: u32) {
        self.deploy(2, Some(replicas));
        self.begin(6);
        self.node(0, Reach::Dead);
        self.node(25, Reach::Up);
    }

    fn of_schedule(&mut self) {
        self.begin(2);
        let soon: Duration = self.acts.iter().map(|(pause, _)| *pause).sum();
        let start = FIRST_DAY.at(0, 0, 0, 0) + soon + Duration::from_secs(3);
        let times = (start, start + Duration::from_secs(8));
        self.wish(0, Wish::Schedule { app: self.app.clone(), instance: None, times });
        // Until the window is over.
        self.node(16, Reach::Up);
    }

    fn roll_back(&mut self, after: u64) {
        let instance = self.instance();
        self.wish(after, Wish::Rollback { instance });
    }

    fn begin(&mut self, after: u64) {
        self.acts.push((Duration::from_secs(after), Act::Begin));
    }

    fn node(&mut self, after: u64, reach: Reach) {
        self.acts.push((Duration::from_secs(after), Act::Node(reach)));
    }
}

impl Script {
    /// One operation on one app.
    pub(crate) fn of(
        dice: &mut Dice,
        operation: Operation,
        (bundle, replicas): (bool, u32),
        faults: Armed,
    ) -> Self {
        let mut story = Writer { dice, app: app(1), bundle, acts: Vec::new() };
        if operation == Operation::DeployAndStop {
            story.begin(0);
        }
        story.release(0, 1);
        match operation {
            Operation::DeployAndStop => {
                story.deploy(2, Some(replicas));
                story.stop(8);
            }
            Operation::Redeploy => {
                story.deploy(2, Some(replicas));
                story.release(6, 2);
                story.begin(0);
                story.deploy(0, None);
            }
            Operation::Rollback => {
                story.deploy(2, Some(replicas));
                story.release(6, 2);
                story.deploy(0, None);
                story.begin(8);
                story.roll_back(0);
            }
            Operation::Canary => {
                story.deploy(2, Some(replicas));
                story.release(6, 2);
                story.begin(0);
                story.canary(0, 25);
            }
            Operation::BackOut => story.of_bad_canary(replicas),
            Operation::Share => story.of_canary(replicas, |story| story.canary(0, 50)),
            Operation::Promote => story.of_canary(replicas, |story| story.promote(0)),
            Operation::Abandon => story.of_canary(replicas, |story| story.roll_back(0)),
            Operation::Move => story.of_move(),
            Operation::ScaleUp => {
                story.deploy(2, Some(1));
                story.begin(6);
                story.scale(0, 3);
            }
            Operation::ScaleDown => {
                story.deploy(2, Some(3));
                story.begin(6);
                story.scale(0, 1);
            }
            Operation::Replace => story.of_replacement(replicas),
            Operation::Schedule => story.of_schedule(),
            Operation::UndoPlacing
            | Operation::UndoBuilding
            | Operation::UndoStarting
            | Operation::UndoRouting => {
                story.begin(2);
                story.deploy(0, Some(replicas));
            }
        }
        let Writer { acts, app, .. } = story;
        Script { acts, apps: vec![app], faults }
    }
}
