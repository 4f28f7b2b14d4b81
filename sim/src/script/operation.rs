//! Operations of several steps, each as a script of one app: what leads up to it, the operation, and what
//! follows. The faults of its scenario hold from where it begins.

use std::sync::Arc;
use std::time::Duration;

use common::name::{AppName, InstanceName, LegacyName};
use common::port::nodes::{NodeUse, Probe};
use testkit::containers::Health;
use testkit::nodes::Reach;

use super::{Act, Script, app, request};
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
}

impl Operation {
    pub const ALL: [Operation; 10] = [
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
    ];

    /// Makes the world one in which it goes as it should.
    pub(crate) fn prepare(self, world: &World) {
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
            Operation::DeployAndStop
            | Operation::Redeploy
            | Operation::Rollback
            | Operation::ScaleUp
            | Operation::ScaleDown
            | Operation::Replace => {}
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
            Operation::Replace => {
                story.deploy(2, Some(replicas));
                story.begin(6);
                story.node(0, Reach::Dead);
                story.node(25, Reach::Up);
            }
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
