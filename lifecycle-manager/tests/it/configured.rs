//! Settings of services and receivers of alerts: what a lifecycle manager is given of them comes to one instance after
//! another.

use std::time::Duration;

use common::id::Generation;
use common::name::PartName;
use common::record::path;
use common::record::platform::{InstanceState, PlacedService, PlatformGoal, RunningService};
use common::service::ServiceName;
use rollout::parts::{Configured, Receiver, Setting};
use tokio::time::sleep;

use crate::world::{PLACED, World, name, placed, until};

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
    assert!(world.running().unwrap().backed_out.is_some());
}

#[tokio::test(start_paused = true)]
async fn another_receiver_of_alerts_comes_to_one_monitoring_after_the_other() {
    let world = World::new();
    let monitoring: PartName = "monitoring".parse().unwrap();
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
    let all_ready = || {
        let path = path::running_service(ServiceName::Monitoring);
        let running = world.read::<RunningService>(&path).map(|one| one.instances);
        running.is_some_and(|all| {
            all.len() == 2 && all.iter().all(|one| one.state == InstanceState::Ready)
        })
    };
    world
        .during(async {
            world.until_calm().await;
            until(async || all_ready()).await;
        })
        .await;
    let secrets = || {
        ["node-2", "node-3"].map(|node| {
            let told = world.parts.told(&name(node), &monitoring).unwrap();
            let secret = told.files.into_iter().find(|file| file.path.ends_with("/pager"));
            secret.map(|file| file.content)
        })
    };
    for (given, secret) in [(7, "first secret"), (8, "second secret")] {
        let before = secrets();
        let receiver = Receiver {
            name: "pager".to_owned(),
            url: "https://hooks.example.org/".to_owned(),
            secret: secret.to_owned(),
            internal: false,
        };
        let receivers = vec![receiver];
        world.credentials.say(given, Configured { receivers, ..Configured::default() });
        let new = Some(secret.to_owned());
        world
            .during(async {
                until(async || secrets().contains(&new)).await;
                assert!(secrets().contains(&before[0]), "one at a time");
                until(async || secrets() == [new.clone(), new.clone()]).await;
                until(async || all_ready()).await;
            })
            .await;
    }
    let shown = format!("{:?}", world.store.records(&path::folder("lifecycle")));
    assert!(!shown.contains("second secret"), "the store holds no secret");
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
    let calls = world.parts.calls().into_iter().map(|call| call.to_string());
    let mut made: Vec<String> = calls.filter(|call| call.starts_with("ensure ")).collect();
    made.sort();
    let expected = [
        "ensure lifecycle-manager on node-1",
        "ensure lifecycle-manager on node-2",
        "ensure platform-initializer on node-1",
        "ensure platform-initializer on node-2",
    ];
    assert_eq!(made, expected, "each once, and nothing else");
}
