//! Each start and each end once: over a crash at every step, a thousand restarts, clocks that jump, and buses and
//! stores whose answers are lost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use chassis::service::Service as _;
use common::id::{Generation, ReleaseNumber, RequestId};
use common::port::Clock as _;
use common::record::instance::{Instance, State};
use common::record::kept::Way;
use common::record::path;
use common::record::release::App;
use common::topic::Topic;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use testkit::bus::FailureMode;
use testkit::store::Fault;
use tokio::time::{sleep, timeout};

use crate::world::World;

const REQUEST: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
const FAULTS: [Fault; 5] = [
    Fault::Unavailable,
    Fault::RequestLost,
    Fault::AnswerLost,
    Fault::RequestStuck,
    Fault::AnswerStuck,
];

/// A world with an app and an instance that runs for twenty minutes of every hour, from now on.
pub(crate) fn world() -> World {
    let world = World::new();
    let now = world.clock.now();
    let name = "shop".parse().unwrap();
    let app = App {
        schema: 1,
        name: "shop".parse().unwrap(),
        owner: "dee".parse().unwrap(),
        description: String::new(),
        created_at: now,
        newest: ReleaseNumber(1),
        base_app_id: 1,
        manifest: None,
    };
    let instance = Instance {
        schema: 1,
        name,
        app: app.name.clone(),
        release: ReleaseNumber(1),
        way: Way::default(),
        canary: None,
        owner: app.owner.clone(),
        replicas: 1,
        created_at: now,
        generation: Generation(0),
        state: State::Scheduled,
        request: REQUEST.parse().unwrap(),
        by: None,
        url: None,
        failure: None,
        app_json: None,
        updated_at: now,
        owed: Vec::new(),
    };
    let scheduled = json!({
        "schema": 1, "instance": "shop", "generation": 1, "request": REQUEST, "updated_at": now,
        "wish": {
            "schedule": {
                "zone": "UTC",
                "when": { "kind": "cron", "expression": "0 * * * *", "length": "PT20M" },
            },
            "progress": { "since": now, "handled": null, "open": null },
        },
    });
    world.write(&path::app(&app.name), &app);
    world.write(&path::schedule(&instance.name), &scheduled);
    world.write(&path::instance(&instance.name), &instance);
    world
}

/// One life of an app manager: it ends as in a crash.
async fn live(world: &World, span: Duration, befalls: impl FnOnce(&World)) {
    let service = world.service();
    befalls(world);
    // Whatever it was about is dropped with it.
    drop(timeout(span, service.run(Lifecycle::new())).await);
}

/// The request ids of what was asked, by what was asked.
fn asked(world: &World) -> BTreeMap<String, BTreeSet<RequestId>> {
    let mut asked: BTreeMap<String, BTreeSet<RequestId>> = BTreeMap::new();
    for message in world.bus.messages(Topic::DeploymentManager) {
        asked.entry(message.msg).or_default().insert(message.request_id);
    }
    asked
}

/// The request of a step of the window that starts in this hour.
fn expected(step: &str, start: Timestamp) -> RequestId {
    let local = jiff::tz::TimeZone::UTC.to_datetime(start);
    REQUEST.parse::<RequestId>().unwrap().derive(&format!("{step} {local}"))
}

/// Each start and each end of these windows was asked for, under its own id, and nothing else was; and the
/// instance was changed once for each.
fn each_once(world: &World, windows: &[Timestamp]) {
    let ids = |step: &str| windows.iter().map(|start| expected(step, *start)).collect();
    let wanted = BTreeMap::from([
        ("deploy app$shop".to_owned(), ids("start")),
        ("stop app$shop".to_owned(), ids("end")),
    ]);
    assert_eq!(asked(world), wanted);
    let told = world.bus.messages(Topic::FirstTopic).into_iter().map(|said| said.msg);
    let told: BTreeSet<String> = told.collect();
    let both = ["its end time$shop", "its time$shop"].map(str::to_owned);
    assert!(both.iter().all(|text| told.contains(text)), "{told:?}");
    let instance = world.instance("shop");
    assert_eq!(instance.generation.0, 2 * windows.len() as u64, "each has its effect once");
    assert_eq!(instance.owed, []);
}

fn hours(count: i64) -> SignedDuration {
    SignedDuration::from_hours(count)
}

#[tokio::test(start_paused = true)]
async fn a_crash_before_or_after_each_commit_repeats_nothing_and_loses_nothing() {
    for fault in FAULTS {
        for passing in 0..14 {
            let world = world();
            let begin = world.clock.now();
            live(&world, Duration::from_mins(75), |world| {
                world.last_session().fail_commit_after(passing, fault);
            })
            .await;
            live(&world, Duration::from_mins(15), |_| {}).await;
            each_once(&world, &[begin, begin + hours(1)]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_loses_answers_and_repeats_messages_changes_nothing() {
    let world = world();
    let begin = world.clock.now();
    live(&world, Duration::from_mins(90), |world| {
        world.bus.fail_next_publishes(3, FailureMode::EffectHappened);
        world.bus.duplicate_next_publishes(2);
    })
    .await;
    each_once(&world, &[begin, begin + hours(1)]);
}

#[tokio::test(start_paused = true)]
async fn two_app_managers_at_once_do_each_thing_once() {
    let world = world();
    let begin = world.clock.now();
    let (first, second) = (world.service(), world.service());
    let both = async { futures::join!(first.run(Lifecycle::new()), second.run(Lifecycle::new())) };
    drop(timeout(Duration::from_mins(3 * 60 + 40), both).await);
    each_once(&world, &[0, 1, 2, 3].map(|count| begin + hours(count)));
}

/// Numbers that look random, the same at every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[tokio::test(start_paused = true)]
async fn over_a_thousand_restarts_at_random_moments_each_start_and_each_end_comes_once() {
    let world = world();
    let begin = world.clock.now();
    let mut dice = Dice(7);
    for _ in 0..1000 {
        // Most lives are short; now and then one lasts, and sometimes nobody is there for a while.
        let span = match dice.roll(4) {
            0 => Duration::from_secs(60 + dice.roll(600)),
            _ => Duration::from_millis(dice.roll(20_000)),
        };
        let (fault, passing) = (dice.roll(8), dice.roll(3));
        live(&world, span, |world| {
            if let Some(fault) = FAULTS.get(usize::try_from(fault).unwrap()) {
                world.last_session().fail_commit_after(usize::try_from(passing).unwrap(), *fault);
            }
            if passing == 0 {
                world.bus.fail_next_publishes(1, FailureMode::EffectHappened);
            }
        })
        .await;
        sleep(Duration::from_secs(dice.roll(30))).await;
    }
    // To the middle of an hour, when nothing is under way.
    let into_hour = world.clock.now().duration_since(begin).as_secs() % 3600;
    let rest = u64::try_from(3600 + 2400 - into_hour).unwrap();
    live(&world, Duration::from_secs(rest), |_| {}).await;
    let passed = world.clock.now().duration_since(begin).as_hours();
    assert!(passed > 10, "{passed}");
    let windows: Vec<Timestamp> = (0..=passed).map(|count| begin + hours(count)).collect();
    each_once(&world, &windows);
}

#[tokio::test(start_paused = true)]
async fn clocks_that_jump_by_an_hour_start_nothing_again() {
    let world = world();
    let mut dice = Dice(11);
    for _ in 0..200 {
        live(&world, Duration::from_secs(60 + dice.roll(900)), |_| {}).await;
        match dice.roll(4) {
            0 => world.clock.advance(hours(1)),
            1 => world.clock.advance(hours(-1)),
            _ => {}
        }
    }
    world.clock.advance(hours(3));
    live(&world, Duration::from_mins(70), |_| {}).await;
    let asked = asked(&world);
    let (starts, ends) = (&asked["deploy app$shop"], &asked["stop app$shop"]);
    assert!(starts.len() > 3, "{starts:?}");
    let generation = world.instance("shop").generation.0;
    assert_eq!(generation, (starts.len() + ends.len()) as u64, "each has its effect once");
    assert!(starts.len() - ends.len() <= 1, "{} {}", starts.len(), ends.len());
}
