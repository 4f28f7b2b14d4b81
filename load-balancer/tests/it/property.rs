//! No interleaving of calls, crashes and faults leads one app's front door to another app.

use std::collections::BTreeMap;
use std::time::Duration;

use common::name::LegacyName;
use futures::future::join_all;
use proptest::prelude::*;
use testkit::edge::Health;
use testkit::store::Fault;
use tokio::time::Instant;

use crate::world::{Answer, Api, World, wanted};

/// So few ports that they are given out again and again.
const PORTS: u16 = 6;
const APPS: u16 = 8;
const QUARANTINE: Duration = Duration::from_mins(1);

#[derive(Debug, Clone)]
enum Step {
    Together(Vec<Call>),
    /// The calls begin, and the service crashes after so many polls.
    Crash(Vec<Call>, u32),
    Pass(u64),
    EdgeDown(u64),
    EdgeForgets,
    WriteFails(usize, Fault),
}

#[derive(Debug, Clone, Copy)]
enum Call {
    Set { app: u16, replica: u16 },
    Remove { app: u16 },
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        3 => (0..APPS, 0..3_u16).prop_map(|(app, replica)| Call::Set { app, replica }),
        2 => (0..APPS).prop_map(|app| Call::Remove { app }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let fault =
        prop_oneof![Just(Fault::Unavailable), Just(Fault::RequestLost), Just(Fault::AnswerLost)];
    let calls = || prop::collection::vec(call(), 1..5);
    prop_oneof![
        6 => calls().prop_map(Step::Together),
        3 => (calls(), 0..60_u32).prop_map(|(calls, polls)| Step::Crash(calls, polls)),
        2 => (1..90_u64).prop_map(Step::Pass),
        1 => (1..20_u64).prop_map(Step::EdgeDown),
        1 => Just(Step::EdgeForgets),
        2 => (0..4_usize, fault).prop_map(|(passing, fault)| Step::WriteFails(passing, fault)),
    ]
}

/// Replicas of different apps never share an address, so the address tells whose a request is.
fn port_of(app: u16, replica: u16) -> u16 {
    20000 + app * 10 + replica
}

async fn run(api: &Api, call: Call) -> Answer {
    match call {
        Call::Set { app, replica } => {
            api.set(&wanted(&format!("app-{app}"), 1, &[port_of(app, replica)])).await
        }
        Call::Remove { app } => api.remove(&format!("app-{app}"), 1).await,
    }
}

/// Looks at the world after each step, and remembers whose each front port was.
#[derive(Default)]
struct Watcher {
    seen_tables: usize,
    /// Whose a front port was last, and until when at least.
    owners: BTreeMap<u16, (LegacyName, Instant)>,
}

impl Watcher {
    fn look(&mut self, world: &World) {
        let mut ports = BTreeMap::new();
        for route in world.routes() {
            let other = ports.insert(route.front_port, route.instance.clone());
            assert_eq!(other, None, "two routes have port {}", route.front_port);
            let lease = world.leases().into_iter().find(|(port, _)| *port == route.front_port);
            assert_eq!(lease.unwrap().1.instance, route.instance);
            self.owned(route.front_port, &route.instance);
        }
        let tables = world.edge.taken();
        for table in tables.iter().skip(self.seen_tables) {
            for row in &table.routes {
                for upstream in &row.upstreams {
                    let app = (upstream.port - 20000) / 10;
                    assert_eq!(row.instance.as_str(), format!("app-{app}"));
                }
            }
        }
        self.seen_tables = tables.len();
    }

    fn owned(&mut self, port: u16, instance: &LegacyName) {
        let now = Instant::now();
        if let Some((owner, until)) = self.owners.get(&port)
            && owner != instance
        {
            assert!(
                now - *until >= QUARANTINE,
                "port {port} went from {owner} to {instance} at once"
            );
        }
        self.owners.insert(port, (instance.clone(), now));
    }
}

async fn play(steps: Vec<Step>) {
    let mut world = World::new();
    world.config.last_port = 2000 + PORTS - 1;
    let watcher = std::cell::RefCell::new(Watcher::default());
    let mut steps = steps.into_iter();
    let mut lives_on = true;
    while lives_on {
        let crash = world
            .live(async |api| {
                for step in steps.by_ref() {
                    if let Step::Crash(calls, polls) = step {
                        return Some((calls, polls));
                    }
                    one(&world, &api, step).await;
                    watcher.borrow_mut().look(&world);
                }
                None
            })
            .await;
        lives_on = crash.is_some();
        if let Some((calls, polls)) = crash {
            let story = async |api: Api| {
                join_all(calls.iter().map(|call| run(&api, *call))).await;
            };
            world.live_for(polls, story).await;
            watcher.borrow_mut().look(&world);
        }
    }
    converge(&world).await;
}

async fn one(world: &World, api: &Api, step: Step) {
    match step {
        Step::Together(calls) => {
            join_all(calls.iter().map(|call| run(api, *call))).await;
        }
        Step::Pass(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
        Step::EdgeDown(seconds) => {
            world.edge.set_health(Health::Down);
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            world.edge.set_health(Health::Answers);
        }
        Step::EdgeForgets => world.edge.restart_without_disk(),
        Step::WriteFails(passing, fault) => world.store.fail_commit_after(passing, fault),
        Step::Crash(..) => unreachable!("a crash ends the life"),
    }
}

/// A fault may still be on its way; then the call succeeds a moment later.
async fn insist(api: &Api, call: Call) {
    for attempt in 1.. {
        let answer = run(api, call).await;
        if answer.status == 200 {
            return;
        }
        assert!(attempt < 10, "{answer:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// After all is quiet: the edge serves exactly the routes, and nothing is left of what was removed.
async fn converge(world: &World) {
    world
        .live(async |api| {
            for app in 0..APPS {
                insist(&api, Call::Remove { app }).await;
            }
            tokio::time::sleep(QUARANTINE * 2).await;
            assert_eq!(world.routes(), []);
            assert_eq!(world.leases(), []);
            assert_eq!(world.edge.table().unwrap().routes, []);
            let set = (0..PORTS).map(|app| insist(&api, Call::Set { app, replica: 0 }));
            join_all(set).await;
        })
        .await;
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_interleaving_leads_to_another_app(steps in prop::collection::vec(step(), 1..25)) {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(play(steps));
    }
}
