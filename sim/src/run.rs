//! One run: a world from a seed, its story, and what the checker found.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chassis::blocking;
use common::name::{InstanceName, LegacyName};
use common::port::nodes::NodeUse;
use common::record::path;
use common::service::ServiceName;
use testkit::{ManualClock, MemoryBlobs, MemoryBus, MemoryEdge, MemoryNodes, MemoryStore};

use crate::blast;
use crate::call::Fault;
use crate::chaos::heal;
use crate::checker::{self, Demand, Violation};
use crate::coverage::Coverage;
use crate::dice::Dice;
use crate::drain::drain;
use crate::fault::{Rates, Trap, Victim};
use crate::fleet::{self, Errand, Fleet, Trial};
use crate::ills::offer;
use crate::plant::Plant;
use crate::script::{Armed, Operation, Script, Tally, app};
use crate::services::{SERVICES, start};
use crate::settings::{Configs, Settings};
use crate::storm;
use crate::takeover::{self, Leave};
use crate::trace::Trace;
use crate::visitors::{ask_for, look};
use crate::world::{Truth, World};

/// How many nodes a storm has.
const NODES: usize = 3;

/// For how long nobody may answer while one of several replicas' nodes is lost.
const MOST_GAP: Duration = Duration::from_secs(2);

/// Of so many seeds one is of a fleet.
const FLEET_EVERY: u64 = 5;

/// What is run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub kind: Kind,
    pub plant: Option<Plant>,
    /// Whether lines are kept.
    pub story: bool,
}

/// What happens in it.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Delays only: an app is deployed and stopped.
    Calm,
    /// Many commands, many faults.
    Storm { commands: usize },
    /// Machines, and the platform's own parts on them: it is started, stopped and restarted, while much goes wrong.
    Fleet { commands: usize, blows: u64 },
    /// A fleet that is well, and one bad day.
    Trial { of: Trial },
    /// A fleet that is well, and this fault at one call of what is asked of it.
    Errand { of: Errand, forced: Option<(u64, Fault)> },
    /// No app: a leader goes, and who stands by takes over.
    TakeOver { service: ServiceName, how: Leave },
    /// One app, and these faults at its steps.
    Single { faults: Box<Scenario> },
}

/// The faults of a run of one app.
#[derive(Debug, Clone, Default)]
pub struct Scenario {
    pub traps: Vec<Trap>,
    pub forced: Option<(u64, Fault)>,
    pub operation: Operation,
    pub replicas: u32,
    /// Whether another app does everything wrong meanwhile.
    pub poisoned: bool,
}

impl Scenario {
    /// What a visitor may expect.
    fn demand(&self) -> Demand {
        let harms = self.traps.iter().any(|trap| trap.victim == Victim::Nodes);
        if harms {
            Demand::Nothing
        } else if self.operation == Operation::Replace {
            Demand::WithGaps(MOST_GAP)
        } else {
            Demand::Always
        }
    }
}

impl Plan {
    pub fn storm(seed: u64) -> Self {
        Plan { seed, kind: Kind::Storm { commands: 105 }, plant: None, story: false }
    }

    pub fn fleet(seed: u64) -> Self {
        let kind = Kind::Fleet { commands: 10, blows: 4 + seed % 5 };
        Plan { seed, kind, plant: None, story: false }
    }

    /// What a seed is: a storm of apps, or every so often one of a fleet.
    pub fn of(seed: u64) -> Self {
        if seed % FLEET_EVERY == FLEET_EVERY - 1 { Plan::fleet(seed) } else { Plan::storm(seed) }
    }
}

/// What became of a run.
#[derive(Debug)]
pub struct Report {
    pub seed: u64,
    pub violations: Vec<Violation>,
    pub hash: u64,
    pub calls: u64,
    /// Simulated time.
    pub lasted: Duration,
    pub commands: u64,
    /// How many commands changed what is wanted.
    pub effective: u64,
    /// How many of the larger faults struck.
    pub blows: u64,
    /// How many questions a visitor asked of whom an answer was due.
    pub visits: u64,
    /// How many windows of schedules began.
    pub windows: u64,
    pub coverage: Coverage,
    pub story: Vec<String>,
    /// How many traps nobody met.
    pub traps_left: usize,
    /// Whether the one fault that was forced was met.
    pub forced_met: bool,
    /// When each instance was told to run for the first time, in simulated time.
    pub deployed: BTreeMap<LegacyName, Duration>,
}

/// Runs it, on a thread of its own time.
pub fn run(plan: &Plan) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime needs no more than memory");
    blocking::stay_on_this_thread();
    let folder = tempfile::tempdir().expect("a folder for what services write");
    runtime.block_on(tokio::task::unconstrained(play(plan, folder.path())))
}

pub(crate) fn world(plan: &Plan, folder: &Path, dice: Dice) -> Arc<World> {
    let settings = Settings::default();
    let clocks = ServiceName::ALL.map(|service| (service, Arc::new(ManualClock::ticking())));
    let clock = Arc::new(ManualClock::ticking());
    let nodes = MemoryNodes::new(clock.clone());
    nodes.set_sample_period(Duration::from_millis(500));
    let is_fleet =
        matches!(plan.kind, Kind::Fleet { .. } | Kind::Trial { .. } | Kind::Errand { .. });
    let count = if is_fleet { fleet::MACHINES } else { NODES };
    let names = (1..=count).map(|number| format!("node-{number}"));
    let agents = names.map(|name| nodes.add(&name)).collect::<Vec<_>>();
    let fleet = Fleet::new(clock.clone());
    for agent in agents.iter().filter(|_| is_fleet) {
        fleet.parts.add_at(agent.node.as_str(), agent.address.ip());
    }
    for agent in &agents {
        let measured = NodeUse {
            cpu_percent: 5.0,
            memory_percent: 10.0,
            disk_percent: 10.0,
            memory_total_bytes: 64 * 1024 * 1024 * 1024,
            cpu_millis_total: 64_000,
            memory_promised_bytes: 0,
            cpu_millis_promised: 0,
        };
        nodes.set_use(&agent.node, measured);
    }
    let store = MemoryStore::new();
    store.be_prompt();
    store.seed(&path::folder("first-admin"), Bytes::from_static(b"ada"));
    let configs = Configs::new(&settings, &agents, folder, plan.plant);
    let truth = Truth {
        bus: MemoryBus::new(clock).with_topics(),
        store,
        nodes,
        agents,
        fleet,
        edge: MemoryEdge::default(),
        blobs: MemoryBlobs::new(),
        clocks: clocks.into_iter().collect(),
        crashing: Mutex::default(),
        erring: Mutex::default(),
        balances: AtomicBool::new(false),
        unbuildable: Mutex::default(),
        lost: Mutex::default(),
        folder: folder.to_owned(),
    };
    World::new(truth, (settings, configs), dice, Trace::new(plan.story), plan.plant)
}

async fn play(plan: &Plan, folder: &Path) -> Report {
    let mut dice = Dice::new(plan.seed);
    let world = world(plan, folder, dice.fork());
    let tally = Arc::new(Tally::default());
    let done = Arc::new(AtomicBool::new(false));
    let direction = {
        let (world, tally, done) = (Arc::clone(&world), Arc::clone(&tally), Arc::clone(&done));
        let plan = plan.clone();
        async move {
            match plan.kind {
                Kind::Fleet { commands, blows } => {
                    fleet::tell(&world, &tally, dice, (commands, blows)).await;
                }
                Kind::Trial { of } => fleet::try_out(&world, &tally, dice, of).await,
                Kind::Errand { of, forced } => {
                    fleet::run_errand(&world, &tally, dice, (of, forced)).await;
                }
                Kind::Calm | Kind::Storm { .. } | Kind::TakeOver { .. } | Kind::Single { .. } => {
                    direct(&plan, &world, &tally, dice).await;
                }
            }
            done.store(true, Ordering::Relaxed);
        }
    };
    world.stage.spawn(0, direction);
    let has_failed = || !world.checker().violations.is_empty();
    world.stage.run(|| done.load(Ordering::Relaxed) || has_failed()).await;
    world.part();
    let coverage = Coverage::of(&world);
    let checker = world.checker();
    let trace = world.trace();
    Report {
        seed: plan.seed,
        violations: checker.violations.clone(),
        hash: trace.hash(),
        calls: trace.calls(),
        lasted: Duration::from_micros(world.stage.now()),
        commands: tally.commands.load(Ordering::Relaxed),
        effective: checker.effective,
        blows: trace.blows.values().sum(),
        visits: checker.visits.count,
        windows: checker.windows(),
        coverage,
        story: trace.story().to_vec(),
        traps_left: world.faults().traps.len(),
        forced_met: tally.forced_met.load(Ordering::Relaxed),
        deployed: checker
            .deployed
            .iter()
            .map(|(name, at)| (name.clone(), Duration::from_micros(*at)))
            .collect(),
    }
}

/// The story of a run, from the first start to the last look.
async fn direct(plan: &Plan, world: &Arc<World>, tally: &Arc<Tally>, mut dice: Dice) {
    world.faults().rates = Rates::calm(&mut dice);
    let mut order = SERVICES;
    let by = usize::try_from(dice.below(4)).unwrap_or_default();
    order.rotate_left(by);
    for service in order {
        start(world, &world.configs, service);
        world.stage.sleep(dice.millis(0, 40)).await;
    }
    world.lives().supervised = true;
    match &plan.kind {
        Kind::Calm => {
            let made = (plan.seed.is_multiple_of(2), 2);
            let script = Script::of(&mut dice, Operation::DeployAndStop, made, Armed::default());
            look(world, Demand::Always);
            offer(world, &script);
            script.play(Arc::clone(world), Arc::clone(tally)).await;
        }
        Kind::Storm { commands } => {
            storm::play(world, tally, &mut dice, (plan.seed, *commands)).await;
        }
        Kind::Fleet { .. } | Kind::Trial { .. } | Kind::Errand { .. } => {}
        Kind::TakeOver { service, how } => takeover::play(world, *service, *how).await,
        Kind::Single { faults } => {
            let operation = faults.operation;
            // What is ill is known by its image.
            let made = (!operation.is_of_images(), faults.replicas.max(1));
            let armed = Armed { traps: faults.traps.clone(), forced: faults.forced };
            let script = Script::of(&mut dice, operation, made, armed);
            offer(world, &script);
            operation.prepare(world).await;
            look(world, faults.demand());
            ask_for(world, InstanceName::from(app(1)).into());
            if faults.poisoned {
                let poison = blast::poison(Arc::clone(world), &mut dice);
                world.stage.spawn(0, poison);
            }
            script.play(Arc::clone(world), Arc::clone(tally)).await;
            world.stage.sleep(Duration::from_secs(10)).await;
        }
    }
    finish(plan, world, tally, &mut dice).await;
}

/// Heals, waits until all is calm, and looks whether anything is left after everything was stopped.
async fn finish(plan: &Plan, world: &Arc<World>, tally: &Arc<Tally>, dice: &mut Dice) {
    let (left, met) = {
        let faults = world.faults();
        (faults.traps.clone(), faults.forced.is_none())
    };
    tally.forced_met.store(met, Ordering::Relaxed);
    heal(world).await;
    if matches!(plan.kind, Kind::Single { .. }) {
        world.faults().traps = left;
    }
    let within = world.settings.settles_within;
    let settled = |world: &World| {
        let now = world.stage.now();
        checker::settled(&world.checker(), &world.truth, now)
    };
    if !drain(world, tally, within, settled).await {
        return;
    }
    if plan.seed.is_multiple_of(4) && matches!(plan.kind, Kind::Storm { .. }) {
        let folder = path::folder("instances");
        let names = world.truth.store.records(&folder).into_iter();
        let names: Vec<LegacyName> = names
            .filter(|(_, value)| !value.is_empty())
            .filter_map(|(path, _)| path.name().parse().ok())
            .collect();
        let script = Script::stops(dice, names);
        script.play(Arc::clone(world), Arc::clone(tally)).await;
        let emptied = |world: &World| settled(world).and_then(|()| checker::empty(&world.truth));
        drain(world, tally, within, emptied).await;
    }
}
