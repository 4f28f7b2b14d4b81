//! The simulated world: what is really there, who lives in it, what goes wrong in it now.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::digest::ImageRef;
use common::id::{Epoch, Generation};
use common::name::NodeName;
use common::port::bus::Record;
use common::port::container::{Container, ContainerState};
use common::port::nodes::{Agent, Measured};
use common::port::store::Path;
use common::service::ServiceName;
use common::topic::TopicName;
use futures::FutureExt as _;
use testkit::nodes::Reach;
use testkit::{ManualClock, MemoryBlobs, MemoryBus, MemoryEdge, MemoryNodes, MemoryStore};

use crate::call::{CallKind, Fault};
use crate::chaos;
use crate::checker::Checker;
use crate::dice::Dice;
use crate::fault::{Draw, Faults, Point, Victim};
use crate::fleet::{self, Fleet};
use crate::life::{Entrances, Life, Lives};
use crate::plant::Plant;
use crate::services;
use crate::settings::{Configs, Settings};
use crate::stage::{Owner, Stage};
use crate::step::Step;
use crate::trace::{Essence, Trace};

/// What is really there, whatever anybody believes.
#[derive(Debug)]
pub(crate) struct Truth {
    pub(crate) store: MemoryStore,
    pub(crate) bus: MemoryBus,
    pub(crate) nodes: MemoryNodes,
    pub(crate) agents: Vec<Agent>,
    pub(crate) fleet: Fleet,
    pub(crate) edge: MemoryEdge,
    pub(crate) blobs: MemoryBlobs,
    /// Each service's own clock.
    pub(crate) clocks: BTreeMap<ServiceName, Arc<ManualClock>>,
    /// Images whose containers end as soon as they run.
    pub(crate) crashing: Mutex<BTreeSet<ImageRef>>,
    /// Images whose containers listen, and answer visitors with an error.
    pub(crate) erring: Mutex<BTreeSet<ImageRef>>,
    /// Whether the replicas of an app follow its load: else the load balancer needs no samples.
    pub(crate) balances: AtomicBool,
    /// Apps whose bundles cannot be built.
    pub(crate) unbuildable: Mutex<BTreeSet<String>>,
    /// Where services keep files.
    pub(crate) folder: PathBuf,
    /// Nodes that never come back.
    pub(crate) lost: Mutex<BTreeSet<NodeName>>,
}

/// The world of one run.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) stage: Arc<Stage>,
    pub(crate) truth: Truth,
    pub(crate) settings: Settings,
    pub(crate) configs: Configs,
    pub(crate) plant: Option<Plant>,
    dice: Mutex<Dice>,
    trace: Mutex<Trace>,
    checker: Mutex<Checker>,
    faults: Mutex<Faults>,
    lives: Mutex<Lives>,
    mischief: Mutex<Mischief>,
}

/// What planted bugs have to remember.
#[derive(Debug, Default)]
pub(crate) struct Mischief {
    /// The table that the edge claims to serve.
    pub(crate) claimed: Option<(Epoch, Generation)>,
    /// The message that another one overtakes.
    pub(crate) kept_back: Option<(TopicName, Record)>,
    /// The records that each life has written.
    pub(crate) remembered: BTreeSet<(Owner, Path)>,
    /// What some replica of each instance took last.
    pub(crate) measured: BTreeMap<String, Measured>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(crate) fn new(
        truth: Truth,
        (settings, configs): (Settings, Configs),
        dice: Dice,
        trace: Trace,
        plant: Option<Plant>,
    ) -> Arc<Self> {
        Arc::new(World {
            stage: Stage::new(),
            checker: Mutex::new(Checker::new(&truth, &settings)),
            truth,
            settings,
            configs,
            plant,
            dice: Mutex::new(dice),
            trace: Mutex::new(trace),
            faults: Mutex::default(),
            lives: Mutex::default(),
            mischief: Mutex::default(),
        })
    }

    pub(crate) fn has(&self, plant: Plant) -> bool {
        self.plant == Some(plant)
    }

    pub(crate) fn trace(&self) -> MutexGuard<'_, Trace> {
        lock(&self.trace)
    }

    pub(crate) fn checker(&self) -> MutexGuard<'_, Checker> {
        lock(&self.checker)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    pub(crate) fn dice(&self) -> MutexGuard<'_, Dice> {
        lock(&self.dice)
    }

    pub(crate) fn mischief(&self) -> MutexGuard<'_, Mischief> {
        lock(&self.mischief)
    }

    pub(crate) fn lives(&self) -> MutexGuard<'_, Lives> {
        lock(&self.lives)
    }

    pub(crate) fn life(&self, service: ServiceName) -> Option<Arc<Life>> {
        self.lives().current.get(&service).cloned()
    }

    pub(crate) fn essence(&self, what: fmt::Arguments<'_>) -> Essence {
        self.trace().essence(what)
    }

    /// Something happened to the world.
    pub(crate) fn tell(&self, what: fmt::Arguments<'_>) {
        self.trace().event(self.stage.now(), what);
    }

    /// What becomes of a call.
    pub(crate) fn draw(&self, kind: CallKind, by: Owner) -> Draw {
        self.faults().draw(&mut self.dice(), kind, by)
    }

    pub(crate) fn node(&self, number: usize) -> Option<&NodeName> {
        self.truth.agents.get(number).map(|agent| &agent.node)
    }

    /// Somebody may have changed something: it is checked at once.
    pub(crate) fn observe(&self) {
        let now = self.stage.now();
        let found = self.checker().observe(&self.truth, now);
        for violation in found {
            self.tell(format_args!("VIOLATION {violation}"));
        }
    }

    /// Whether a trap springs at this call; it ends its victim.
    pub(crate) fn springs(
        self: &Arc<Self>,
        caller: &Life,
        kind: CallKind,
        step: Option<Step>,
        point: Point,
    ) -> bool {
        if caller.is_dead() {
            return true;
        }
        let Some(victim) = self.spring(caller, kind, step, point) else { return false };
        match victim {
            Victim::Caller => {
                self.trace().meets(kind, met(point));
                self.end(caller, "it crashes");
            }
            Victim::Service(service) => {
                if service == caller.service {
                    self.trace().meets(kind, met(point));
                }
                let is_of_a_fleet = caller.spot.is_some();
                self.trace().blow_strikes(if is_of_a_fleet {
                    fleet::CRASH_AT_CALL
                } else {
                    chaos::CRASH_AT_CALL
                });
                match self.life(service) {
                    Some(life) if service != caller.service => self.end(&life, "it crashes"),
                    Some(_) | None if service == caller.service => self.end(caller, "it crashes"),
                    Some(_) | None => {}
                }
            }
            Victim::Nodes => self.lose_nodes(Reach::Dead, "every node loses its power"),
            Victim::Agents => self.lose_nodes(Reach::Partitioned, "every agent ends"),
        }
        caller.is_dead()
    }

    fn spring(
        &self,
        caller: &Life,
        kind: CallKind,
        step: Option<Step>,
        point: Point,
    ) -> Option<Victim> {
        use crate::fault::Bait;
        let mut faults = self.faults();
        let meets = |bait: Bait| match bait {
            // Bytes are staged on the service's own disk: no port is asked.
            Bait::Effect => kind.has_effect() && step != Some(Step::StageUpload),
            Bait::Step(wanted) => step == Some(wanted),
            Bait::Call(wanted) => kind == wanted,
        };
        let mut sprung = None;
        faults.traps.retain_mut(|trap| {
            let fits = trap.point == point
                && trap.caller.is_none_or(|wanted| wanted == caller.service)
                && meets(trap.bait);
            if !fits || sprung.is_some() {
                return true;
            }
            if trap.left > 0 {
                trap.left -= 1;
                return true;
            }
            sprung = Some(trap.victim);
            false
        });
        sprung
    }

    /// Ends a life at once: as if the power of its process were cut.
    pub(crate) fn end(self: &Arc<Self>, life: &Life, why: &str) {
        if life.die() {
            return;
        }
        self.tell(format_args!("{}: {why}", life.label));
        self.stage.end(life.number);
        *life.entrances() = Entrances::default();
        self.end_later(life.session.clone());
        let mut lives = self.lives();
        lives.placed.remove(&life.number);
        if let Some(spot) = &life.spot {
            drop(lives);
            fleet::exited(self, life.number, spot);
            return;
        }
        let is_it = |one: &Arc<Life>| one.number == life.number;
        lives.others.retain(|other| !is_it(other));
        if lives.standbys.get(&life.service).is_some_and(is_it) {
            lives.standbys.remove(&life.service);
        }
        if lives.current.get(&life.service).is_some_and(is_it) {
            lives.current.remove(&life.service);
            if let Some(next) = lives.standbys.remove(&life.service) {
                lives.current.insert(life.service, next);
            } else if lives.supervised {
                drop(lives);
                services::start_later(self, life.service);
            }
        }
    }

    /// The store notices only after a while that nobody is behind a session any more.
    fn end_later(&self, session: MemoryStore) {
        let (stage, span) = (Arc::clone(&self.stage), self.dice().millis(0, 6000));
        self.stage.spawn(0, async move {
            stage.sleep(span).await;
            session.expire();
        });
    }
}

impl World {
    /// Lets go of the lives, which hold the world that holds them.
    pub(crate) fn part(&self) {
        let Lives { current, others, standbys, placed, .. } = std::mem::take(&mut *self.lives());
        let all = current.into_values().chain(others).chain(standbys.into_values());
        for life in all.chain(placed.into_values()) {
            *life.entrances() = Entrances::default();
        }
    }

    /// Looks whether a service lives twice on a machine.
    pub(crate) fn check_twins(&self) {
        let lives = self.lives();
        let spots: Vec<_> = lives.placed.values().filter_map(|life| life.spot.clone()).collect();
        drop(lives);
        self.checker().check_twins(&spots);
    }

    /// Every node is lost at once, before anything else happens, and comes back after a moment.
    fn lose_nodes(self: &Arc<Self>, reach: Reach, why: &str) {
        self.tell(format_args!("{why}"));
        for agent in &self.truth.agents {
            let lost = self.truth.nodes.set_reach(&agent.node, reach).now_or_never();
            lost.expect("a node is lost without waiting for anything");
            if reach == Reach::Dead {
                self.checker().harmed(&agent.node, self.stage.now());
            }
            self.checker().struck(&agent.node, self.stage.now());
            let (world, node) = (Arc::clone(self), agent.node.clone());
            self.stage.spawn(0, async move {
                world.stage.sleep(Duration::from_millis(800)).await;
                chaos::set_reach(&world, &node, Reach::Up).await;
            });
        }
    }

    /// What a visitor gets at a front port: what really listens behind it answers, else the edge does.
    pub(crate) fn answer_at(&self, front_port: u16) -> Option<u16> {
        let (_, address) = self.truth.edge.begin_request(front_port)?;
        self.truth.edge.end_request(address);
        let found = self.truth.listener(address);
        Some(if found.is_some() { 200 } else { 502 })
    }
}

impl Truth {
    pub(crate) fn crashes(&self, image: &ImageRef) -> bool {
        lock(&self.crashing).contains(image)
    }

    pub(crate) fn errs(&self, image: &ImageRef) -> bool {
        lock(&self.erring).contains(image)
    }

    /// Whether what is built for a repository ends in an error.
    pub(crate) fn fails_to_build(&self, repository: &str) -> bool {
        lock(&self.unbuildable).contains(repository)
    }

    pub(crate) fn is_lost(&self, node: &NodeName) -> bool {
        lock(&self.lost).contains(node)
    }

    /// The running container behind an address, if its node can be reached by the edge.
    pub(crate) fn listener(&self, address: SocketAddr) -> Option<Container> {
        let agent = self.agents.iter().find(|agent| agent.address.ip() == address.ip())?;
        let containers = self.nodes.containers(&agent.node).into_iter();
        let mut listening = containers.filter(|one| one.host_port == address.port() && runs(one));
        listening.next()
    }
}

/// The fault of a caller that ends.
fn met(point: Point) -> Fault {
    match point {
        Point::Before => Fault::CrashBefore,
        Point::After => Fault::CrashAfter,
    }
}

/// Whether a container's process runs.
pub(crate) fn runs(container: &Container) -> bool {
    matches!(container.state, ContainerState::Running { .. })
}
