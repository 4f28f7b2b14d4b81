//! Settings of services and receivers of alerts: what a lifecycle manager is given of them comes to one instance after
//! another.

use std::time::Duration;

use common::digest::Digest;
use common::id::Generation;
use common::name::PartName;
use common::port::part::PartImage;
use common::record::path;
use common::record::platform::{InstanceState, PlacedService, PlatformGoal, RunningService};
use common::service::ServiceName;
use rollout::parts::{Configured, Receiver, Setting};
use tokio::time::sleep;

use crate::base::empty;
use crate::world::{PLACED, World, name, placed, until};

/// Long enough for the next look at all that was given.
const A_LOOK: Duration = Duration::from_mins(11);
const VARIABLE: &str = "AVISHKAR_NODE_MANAGER__PATIENCE_SECONDS";

/// A setting of each of these services.
fn settings(of: &[(ServiceName, &str, &str)]) -> Configured {
    let mut configured = Configured::default();
    for (service, key, value) in of {
        let value = Setting::Value((*value).to_owned());
        configured.settings.entry(*service).or_default().insert((*key).to_owned(), value);
    }
    configured
}

fn patience(seconds: &str) -> Configured {
    settings(&[(PLACED, "node_manager.patience_seconds", seconds)])
}

fn told(world: &World, node: &str) -> Option<String> {
    let told = world.parts.told(&name(node), &placed()).unwrap();
    told.environment.get(VARIABLE).cloned()
}

async fn standing() -> World {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            world.wish(&["node-2", "node-3"], None);
            world.until_ready_on(&["node-2", "node-3"]).await;
        })
        .await;
    world
}

fn both(world: &World) -> [Option<String>; 2] {
    ["node-2", "node-3"].map(|node| told(world, node))
}

#[tokio::test(start_paused = true)]
async fn other_settings_are_rolled_out_one_by_one_and_older_ones_never_again() {
    let world = standing().await;
    assert_eq!(both(&world), [None, None]);
    world.credentials.say(7, patience("20"));
    let new = Some("20".to_owned());
    world
        .during(async {
            until(async || both(&world).contains(&new)).await;
            assert!(both(&world).contains(&None), "one at a time");
            until(async || both(&world) == [new.clone(), new.clone()]).await;
            world.until_ready_on(&["node-2", "node-3"]).await;
            sleep(Duration::from_secs(30)).await;
        })
        .await;
    // Another one leads, whose machine was away when they were given.
    world.parts.forget_calls();
    world.credentials.say(6, patience("10"));
    world.during(sleep(Duration::from_mins(2))).await;
    assert_eq!(both(&world), [new.clone(), new]);
    let made = world.parts.calls().iter().any(|call| call.to_string().starts_with("ensure node-m"));
    assert!(!made, "nothing was touched");
    world.credentials.say(8, Configured::default());
    world.during(until(async || both(&world) == [None, None])).await;
}

#[tokio::test(start_paused = true)]
async fn settings_with_which_an_instance_is_never_ready_are_backed_out_of() {
    let world = standing().await;
    world.credentials.say(7, patience("20"));
    world.parts.set_healthy(&name("node-2"), &placed(), false);
    world
        .during(async {
            until(async || told(&world, "node-2").is_some()).await;
            until(async || told(&world, "node-2").is_none()).await;
            assert_eq!(told(&world, "node-3"), None, "the other one was never touched");
            world.parts.set_healthy(&name("node-2"), &placed(), true);
            world.until_ready_on(&["node-2", "node-3"]).await;
            sleep(Duration::from_mins(2)).await;
        })
        .await;
    assert_eq!(both(&world), [None, None]);
    let backed_out = world.running().unwrap().backed_out.unwrap();
    assert_eq!((backed_out.image, backed_out.settings), (None, true));
}

fn monitoring() -> PartName {
    ServiceName::Monitoring.as_str().parse().unwrap()
}

/// Two instances of monitoring, that tell nobody.
async fn monitored() -> World {
    let world = World::new();
    let wish = PlacedService {
        schema: 1,
        service: ServiceName::Monitoring,
        generation: Generation(1),
        goal: PlatformGoal::On,
        nodes: ["node-2", "node-3"].map(name).into(),
        image: None,
        instances: None,
    };
    world.write(&path::placed_service(ServiceName::Monitoring), &wish);
    world
        .during(async {
            world.until_calm().await;
            until(async || is_monitored(&world)).await;
        })
        .await;
    world
}

fn is_monitored(world: &World) -> bool {
    let path = path::running_service(ServiceName::Monitoring);
    let running = world.read::<RunningService>(&path).map(|one| one.instances);
    running.is_some_and(|all| {
        all.len() == 2 && all.iter().all(|one| one.state == InstanceState::Ready)
    })
}

/// A receiver of alerts whose requests are signed with this.
fn pager(secret: &str) -> Configured {
    let receiver = Receiver {
        name: "pager".to_owned(),
        url: "https://hooks.example.org/".to_owned(),
        secret: secret.to_owned(),
        internal: false,
    };
    Configured { receivers: vec![receiver], ..Configured::default() }
}

/// With what each monitoring signs, where it tells somebody.
fn secrets(world: &World) -> [Option<String>; 2] {
    ["node-2", "node-3"].map(|node| {
        let told = world.parts.told(&name(node), &monitoring())?;
        let secret = told.files.into_iter().find(|file| file.path.ends_with("/pager"));
        secret.map(|file| file.content)
    })
}

/// What agents were asked to make.
fn made(world: &World) -> Vec<String> {
    let calls = world.parts.calls().into_iter().map(|call| call.to_string());
    calls.filter(|call| call.starts_with("ensure ")).collect()
}

#[tokio::test(start_paused = true)]
async fn another_receiver_of_alerts_comes_to_one_monitoring_after_the_other() {
    let world = monitored().await;
    for (given, secret) in [(7, "first secret"), (8, "second secret")] {
        let before = secrets(&world);
        world.credentials.say(given, pager(secret));
        let new = Some(secret.to_owned());
        world
            .during(async {
                until(async || secrets(&world).contains(&new)).await;
                assert!(secrets(&world).contains(&before[0]), "one at a time");
                until(async || secrets(&world) == [new.clone(), new.clone()]).await;
                until(async || is_monitored(&world)).await;
            })
            .await;
    }
    let shown = format!("{:?}", world.store.records(&path::folder("lifecycle")));
    assert!(!shown.contains("second secret"), "the store holds no secret");
}

#[tokio::test(start_paused = true)]
async fn monitoring_that_one_who_was_away_has_made_anew_gets_the_receivers_of_today() {
    // Whether the one who was away looks at what it made, and whether it is itself given today's then.
    for (looks, given) in [(true, 7), (true, 8), (false, 7), (false, 8)] {
        let world = monitored().await;
        let new = Some("a secret".to_owned());
        let all_sign = || secrets(&world) == [new.clone(), new.clone()] && is_monitored(&world);
        world.credentials.say(7, pager("a secret"));
        world.during(until(async || all_sign())).await;
        let first = name("node-2");
        let has_one = || world.parts.told(&first, &monitoring()).is_some();
        world.credentials.say(6, Configured::default());
        world
            .during(async {
                empty(&world, &first, &monitoring()).await;
                until(async || has_one() && is_monitored(&world)).await;
                sleep(if looks { A_LOOK } else { Duration::ZERO }).await;
            })
            .await;
        assert_eq!(secrets(&world), [None, new.clone()]);
        world.parts.forget_calls();
        world.credentials.say(given, pager("a secret"));
        world
            .during(async {
                until(async || all_sign()).await;
                sleep(A_LOOK * 3).await;
            })
            .await;
        assert_eq!(made(&world), ["ensure monitoring on node-2"], "once, and nothing else");
    }
}

#[tokio::test(start_paused = true)]
async fn receivers_come_to_all_also_where_the_settings_beside_them_are_backed_out_of() {
    let world = monitored().await;
    world.credentials.say(7, pager("first secret"));
    let signs = |secret: &str| {
        let all = Some(secret.to_owned());
        secrets(&world) == [all.clone(), all] && is_monitored(&world)
    };
    world.during(until(async || signs("first secret"))).await;
    let first = name("node-2");
    let is_tried = || {
        let told = world.parts.told(&first, &monitoring()).unwrap();
        told.environment.contains_key("AVISHKAR_WATCH__EVERY_SECONDS")
    };
    let said = settings(&[(ServiceName::Monitoring, "watch.every_seconds", "0")]);
    world.credentials.say(8, Configured { settings: said.settings, ..pager("second secret") });
    world.parts.set_healthy(&first, &monitoring(), false);
    world
        .during(async {
            until(async || is_tried()).await;
            until(async || !is_tried()).await;
            world.parts.set_healthy(&first, &monitoring(), true);
            until(async || signs("second secret")).await;
            world.parts.forget_calls();
            sleep(A_LOOK * 3).await;
        })
        .await;
    assert!(made(&world).is_empty(), "{:?}", made(&world));
    assert!(!is_tried());
}

#[tokio::test(start_paused = true)]
async fn settings_of_the_base_do_not_go_back_with_one_who_was_away() {
    let world = standing().await;
    let initializer: PartName = "platform-initializer".parse().unwrap();
    let say = |given, instances: &str| {
        let said = [(ServiceName::PlatformInitializer, "platform.instances", instances)];
        world.credentials.say(given, settings(&said));
    };
    let has = |node: &str, instances: &str| {
        let told = world.parts.told(&name(node), &initializer);
        let told =
            told.and_then(|told| told.environment.get("AVISHKAR_PLATFORM__INSTANCES").cloned());
        told.as_deref() == Some(instances)
    };
    let both = |instances| ["node-1", "node-2"].into_iter().all(|node| has(node, instances));
    say(7, "3");
    world
        .during(async {
            until(async || both("3")).await;
            sleep(A_LOOK).await;
        })
        .await;
    world.parts.forget_calls();
    for (given, instances) in [(6, "2"), (7, "3"), (6, "2")] {
        say(given, instances);
        world.during(sleep(A_LOOK * 2)).await;
    }
    assert!(made(&world).is_empty(), "{:?}", made(&world));
    // What one who was away makes anew has the older ones, until it is given today's.
    world
        .during(async {
            empty(&world, &name("node-1"), &initializer).await;
            until(async || has("node-1", "2")).await;
            sleep(A_LOOK).await;
        })
        .await;
    assert!(has("node-2", "3"));
    say(8, "3");
    world.during(until(async || both("3"))).await;
}

#[tokio::test(start_paused = true)]
async fn services_of_the_base_get_other_settings_too_one_after_another() {
    let world = standing().await;
    world.parts.forget_calls();
    let said = [
        (ServiceName::LifecycleManager, "lifecycle.brake_percent", "40"),
        (ServiceName::PlatformInitializer, "platform.instances", "3"),
    ];
    world.credentials.say(7, settings(&said));
    let has = |node: &str, part: &str, variable: &str| {
        let told = world.parts.told(&name(node), &part.parse().unwrap()).unwrap();
        told.environment.contains_key(variable)
    };
    let all = || {
        ["node-1", "node-2"].into_iter().all(|node| {
            has(node, "lifecycle-manager", "AVISHKAR_LIFECYCLE__BRAKE_PERCENT")
                && has(node, "platform-initializer", "AVISHKAR_PLATFORM__INSTANCES")
        })
    };
    world
        .during(async {
            until(async || all()).await;
            sleep(Duration::from_mins(30)).await;
        })
        .await;
    let mut made = made(&world);
    made.sort();
    let expected = [
        "ensure lifecycle-manager on node-1",
        "ensure lifecycle-manager on node-2",
        "ensure platform-initializer on node-1",
        "ensure platform-initializer on node-2",
    ];
    assert_eq!(made, expected, "each once, and nothing else");
}

const BASE: [(&str, &str); 4] = [
    ("node-1", "lifecycle-manager"),
    ("node-1", "platform-initializer"),
    ("node-2", "lifecycle-manager"),
    ("node-2", "platform-initializer"),
];

#[tokio::test(start_paused = true)]
async fn another_image_of_the_base_comes_to_one_after_another_and_is_taken_back_from_one_that_is_ill()
 {
    let world = standing().await;
    world.during(sleep(A_LOOK)).await;
    let next = PartImage::Id(Digest::of(b"another version"));
    for node in ["node-1", "node-2"] {
        world.parts.place_image(&name(node), &next);
    }
    let say = |given, is_next: bool| {
        let base = is_next.then(|| Digest::of(b"another version"));
        world.credentials.say(given, Configured { base, ..Configured::default() });
    };
    let from_next = || {
        let is_next = |(node, part): &(&str, &str)| {
            world.parts.told(&name(node), &part.parse().unwrap()).unwrap().image == next
        };
        BASE.into_iter().filter(is_next).collect::<Vec<_>>()
    };
    let (node, part) = BASE[0];
    world.parts.set_healthy(&name(node), &part.parse().unwrap(), false);
    say(7, true);
    world
        .during(async {
            until(async || !from_next().is_empty()).await;
            sleep(A_LOOK * 3).await;
        })
        .await;
    assert_eq!(from_next(), [BASE[0]], "no other one while it is ill");
    world.parts.forget_calls();
    say(8, false);
    world
        .during(async {
            until(async || from_next().is_empty()).await;
            world.parts.set_healthy(&name(node), &part.parse().unwrap(), true);
            sleep(A_LOOK * 3).await;
        })
        .await;
    assert_eq!(made(&world), [format!("ensure {part} on {node}")], "no other one");
    world.parts.forget_calls();
    say(9, true);
    world
        .during(async {
            until(async || from_next() == BASE).await;
            sleep(A_LOOK * 3).await;
        })
        .await;
    assert_eq!(made(&world).len(), BASE.len(), "{:?}", made(&world));
}
