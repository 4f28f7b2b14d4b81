//! One run: a world from a seed, its story, and what the checker found.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chassis::blocking;
use common::name::LegacyName;
use common::port::nodes::{NodeUse, Probe};
use common::record::path;
use testkit::nodes::Reach;
use testkit::{ManualClock, MemoryBlobs, MemoryBus, MemoryEdge, MemoryNodes, MemoryStore};

use crate::blast;
use crate::call::Fault;
use crate::chaos::{self, heal, strike};
use crate::checker::{self, Violation};
use crate::coverage::Coverage;
use crate::dice::Dice;
use crate::fault::{Rates, Trap};
use crate::plant::Plant;
use crate::script::{Script, Tally};
use crate::services::{SERVICES, start};
use crate::settings::{Configs, Settings};
use crate::trace::Trace;
use crate::user::image;
use crate::world::{Truth, World};

/// How often a drain is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

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
    /// One app, and these faults at its steps.
    Single { faults: Box<Scenario> },
}

/// The faults of a run of one app.
#[derive(Debug, Clone, Default)]
pub struct Scenario {
    pub traps: Vec<Trap>,
    pub forced: Option<(u64, Fault)>,
    /// Whether the app never gets healthy: what was made is unmade.
    pub sick: bool,
    pub replicas: u32,
    /// Whether another app does everything wrong meanwhile.
    pub poisoned: bool,
}

impl Plan {
    pub fn storm(seed: u64) -> Self {
        Plan { seed, kind: Kind::Storm { commands: 105 }, plant: None, story: false }
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
    pub effective: u64,
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

fn world(plan: &Plan, folder: &Path, dice: Dice) -> Arc<World> {
    let settings = Settings::default();
    let clocks = SERVICES.map(|service| (service, Arc::new(ManualClock::ticking())));
    let clock = Arc::new(ManualClock::ticking());
    let nodes = MemoryNodes::new(clock.clone());
    nodes.set_sample_period(Duration::from_millis(500));
    let agents = (1..=3).map(|number| nodes.add(&format!("node-{number}"))).collect::<Vec<_>>();
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
        edge: MemoryEdge::default(),
        blobs: MemoryBlobs::new(),
        clocks: clocks.into_iter().collect(),
        crashing: Mutex::default(),
        lost: Mutex::default(),
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
            direct(&plan, &world, &tally, dice).await;
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
        effective: tally.effective.load(Ordering::Relaxed),
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
    let most = world.settings.most_replicas;
    match &plan.kind {
        Kind::Calm => {
            let script = Script::single(&mut dice, plan.seed.is_multiple_of(2), 2, true);
            offer(world, &script);
            script.play(Arc::clone(world), Arc::clone(tally)).await;
        }
        Kind::Storm { commands } => {
            let script = Script::drawn(&mut dice, *commands, most);
            offer(world, &script);
            let blows = dice.between(5, 9);
            let within = script.length();
            world.faults().rates = Rates::drawn(&mut dice);
            ill(world, &mut dice);
            strike(world, &mut dice, blows, within);
            script.play(Arc::clone(world), Arc::clone(tally)).await;
            if dice.happens(2500) {
                lose_a_node(world, &mut dice).await;
            }
            world.stage.sleep(Duration::from_secs(1)).await;
        }
        Kind::Single { faults } => {
            // What is sick is known by its image.
            let bundle = !faults.sick;
            let script = Script::single(&mut dice, bundle, faults.replicas.max(1), !faults.sick);
            offer(world, &script);
            if faults.sick {
                let sick = image(script.apps().first().expect("it has an app"), 1);
                let probe = Probe::Unhealthy { status: Some(500) };
                world.truth.nodes.script_probes(&sick, [probe]);
            }
            {
                let mut now = world.faults();
                now.traps.clone_from(&faults.traps);
                now.forced = faults.forced;
            }
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
    if !drain(world, tally, false).await {
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
        drain(world, tally, true).await;
    }
}

/// Waits until nothing is wrong, twice in a row; says whether it came to that.
async fn drain(world: &Arc<World>, tally: &Tally, emptied: bool) -> bool {
    let mut good = 0;
    let mut last = None;
    let deadline = world.stage.now()
        + u64::try_from(world.settings.settles_within.as_micros()).unwrap_or(u64::MAX);
    while world.stage.now() < deadline {
        world.stage.sleep(LOOK_EVERY).await;
        world.observe();
        let open = tally.open.load(Ordering::Relaxed);
        if open > 0 {
            good = 0;
            continue;
        }
        let now = world.stage.now();
        let found = checker::settled(&world.checker(), &world.truth, now);
        let found = if emptied { found.and_then(|()| checker::empty(&world.truth)) } else { found };
        match found {
            Ok(()) => good += 1,
            Err(violation) => {
                good = 0;
                last = Some(violation);
            }
        }
        if good == 2 {
            world.tell(format_args!("all is calm"));
            return true;
        }
    }
    let wrong = last.unwrap_or_else(|| {
        let what = "somebody has no answer".to_owned();
        Violation::new(checker::Invariant::I1NoLostCommand, what)
    });
    world.tell(format_args!("VIOLATION {wrong}"));
    world.checker().violate(wrong.invariant, wrong.what);
    false
}

/// Images that can be pulled.
fn offer(world: &World, script: &Script) {
    for app in script.apps() {
        for number in 1..=60 {
            world.truth.nodes.offer_image(&image(app, number));
        }
    }
}

/// The first replica listens at once, the next ones only after a while.
fn sluggish(dice: &mut Dice) -> Vec<Probe> {
    let waits = usize::try_from(dice.between(5, 60)).unwrap_or_default();
    let mut probes = vec![Probe::NotListening { listening: Vec::new() }; waits];
    probes.insert(0, Probe::Healthy);
    probes.push(Probe::Healthy);
    probes
}

/// Some releases are of apps that do not answer or are slow to, or of images that nobody has.
fn ill(world: &World, dice: &mut Dice) {
    for number in 1..=5 {
        let app = crate::script::app(number);
        for release in 1..=20 {
            if !dice.happens(600) {
                continue;
            }
            let image = image(&app, release);
            match dice.below(4) {
                0 => world.truth.nodes.withdraw_image(&image),
                1 => world.truth.nodes.script_probes(&image, [Probe::Unhealthy { status: None }]),
                2 => world.truth.nodes.script_probes(&image, sluggish(dice)),
                _ => {
                    let mut crashing = world.truth.crashing.lock().expect("nobody panics");
                    crashing.insert(image);
                }
            }
        }
    }
}

/// A node that never comes back.
async fn lose_a_node(world: &Arc<World>, dice: &mut Dice) {
    let index = usize::try_from(dice.below(3)).unwrap_or_default();
    let Some(node) = world.node(index).cloned() else { return };
    world.tell(format_args!("{node} is gone for ever"));
    world.truth.lost.lock().expect("nobody panics").insert(node.clone());
    chaos::set_reach(world, &node, Reach::Dead).await;
}
