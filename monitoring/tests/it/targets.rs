//! What is looked at, and what follows from it.

use std::time::Duration;

use common::digest::Digest;
use common::message::LifecycleCommand;
use common::port::Store as _;
use common::port::store::Op;
use common::record::path;
use common::service::ServiceName;
use common::topic::Topic;
use monitoring::config::Services;
use serde_json::{Value, json};
use testkit::probes::Service as Probed;
use testkit::routes::Health;
use tokio::time::{Instant, sleep};

use crate::world::{World, instance, seconds, until};

#[tokio::test(start_paused = true)]
async fn a_service_that_dies_is_told_and_restarted_after_fifteen_seconds_and_twice_as_many() {
    let world = World::with_everything();
    world
        .during(async {
            world.until_all_up().await;
            world.dies("load_balancer");
            let mut at = Vec::new();
            let began = Instant::now();
            for number in 1..=4 {
                until(async || world.restarted().len() == number).await;
                at.push(began.elapsed().as_secs());
            }
            assert!(at[0] <= 9, "{at:?}");
            let waits: Vec<u64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
            for (wait, least) in waits.iter().zip([15, 30, 60]) {
                assert!((least..least + 5).contains(wait), "{waits:?}");
            }
            world.comes_back("load_balancer");
            world.until_verdict("service", "load_balancer", "up").await;
            seconds(5).await;
            let told = |verdict: &str| {
                ("service".to_owned(), "load_balancer".to_owned(), verdict.to_owned())
            };
            assert_eq!(world.alerts(), [told("down"), told("up")]);
            seconds(600).await;
            assert_eq!(world.restarted().len(), 4);
        })
        .await;
    let ids: std::collections::BTreeSet<_> =
        world.restarts().into_iter().map(|(_, id)| id).collect();
    assert_eq!(ids.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn the_lifecycle_manager_hears_the_verdicts_as_json() {
    let world = World::with_everything();
    world
        .during(async {
            world.until_all_up().await;
            world.dies("node_manager");
            until(async || !world.restarted().is_empty()).await;
        })
        .await;
    let messages = world.bus.messages(Topic::LifecycleManager);
    let verdicts: Vec<Value> = messages
        .iter()
        .filter_map(|envelope| match LifecycleCommand::decode(&envelope.msg).unwrap() {
            LifecycleCommand::Verdict { json } => Some(serde_json::from_str(&json).unwrap()),
            LifecycleCommand::RestartService { .. }
            | LifecycleCommand::RestartNode { .. }
            | LifecycleCommand::RestartApp { .. }
            | LifecycleCommand::RestartModel { .. }
            | LifecycleCommand::NeedNode { .. } => None,
        })
        .collect();
    assert_eq!(verdicts.len(), 1);
    assert_eq!(verdicts[0]["kind"], "service");
    assert_eq!(verdicts[0]["name"], "node_manager");
    assert_eq!(verdicts[0]["verdict"], "down");
    assert!(verdicts[0]["text"].as_str().unwrap().contains("nobody answered"), "{verdicts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_short_pause_is_no_failure() {
    let world = World::with_everything();
    world
        .during(async {
            world.until_all_up().await;
            for _ in 0..20 {
                world.dies("load_balancer");
                sleep(Duration::from_millis(3500)).await;
                world.comes_back("load_balancer");
                seconds(10).await;
            }
            assert_eq!(world.verdict("service", "load_balancer").as_deref(), Some("up"));
        })
        .await;
    assert_eq!(world.restarted(), Vec::<String>::new());
    assert_eq!(world.alerts(), []);
}

#[tokio::test(start_paused = true)]
async fn what_hangs_answers_wrongly_or_says_that_it_is_ill_is_down() {
    for ill in [
        Probed::Hangs,
        Probed::Answers(503, "no".to_owned()),
        Probed::Answers(200, "no".to_owned()),
    ] {
        let world = World::with_everything();
        world
            .during(async {
                world.until_all_up().await;
                let address = world.service("deployment_manager");
                world.probes.put(&address, ill);
                world.until_verdict("service", "deployment_manager", "down").await;
                until(async || !world.restarted().is_empty()).await;
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_was_never_up_gets_its_time_to_start() {
    let world = World::with_everything();
    world
        .during(async {
            world.until_all_up().await;
            world.service("late_service");
            world.dies("late_service");
            let began = Instant::now();
            until(async || !world.restarted().is_empty()).await;
            assert!(began.elapsed().as_secs() >= 60, "{:?}", began.elapsed());
            assert_eq!(world.restarted(), ["restart service$late_service"]);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_leaves_the_registry_is_forgotten_and_its_incident_ends() {
    let world = World::with_everything();
    world
        .during(async {
            world.until_all_up().await;
            world.service("old_service");
            world.dies("old_service");
            world.until_verdict("service", "old_service", "down").await;
            until(async || world.alerts().len() == 1).await;
            let at = "/services/old_service/instance1".parse().unwrap();
            let version = world.store.get(&at).await.unwrap().unwrap().version;
            world.store.commit(vec![Op::Delete { path: at, version }]).await.unwrap();
            until(async || world.verdict("service", "old_service").is_none()).await;
            until(async || world.alerts().len() == 2).await;
            let asked = world.restarted().len();
            seconds(600).await;
            assert_eq!(world.restarted().len(), asked);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_node_is_as_the_node_manager_says_and_only_while_that_one_answers() {
    let world = World::with_everything();
    world.node("node-3", "live");
    world.node("node-4", "live");
    world
        .during(async {
            world.until_all_up().await;
            world.until_verdict("node", "node-2", "up").await;
            world.node("node-2", "suspect");
            seconds(60).await;
            assert_eq!(world.verdict("node", "node-2").as_deref(), Some("up"));
            world.node("node-2", "dead");
            until(async || !world.restarted().is_empty()).await;
            assert_eq!(world.restarted(), ["restart node$node-2"]);
            world.node("node-2", "live");
            world.until_verdict("node", "node-2", "up").await;
            // What a node manager said that is not there any more is old.
            world.dies("node_manager");
            world.until_verdict("service", "node_manager", "down").await;
            world.node("node-1", "dead");
            seconds(300).await;
            assert_eq!(world.verdict("node", "node-1").as_deref(), Some("up"));
        })
        .await;
    assert!(!world.restarted().contains(&"restart node$node-1".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_dismissed_or_is_being_emptied_is_no_failure() {
    let world = World::with_everything();
    world.node("node-3", "draining");
    let alive = serde_json::json!({
        "schema": 1, "node": "old", "verdict": "dead", "reason": "so", "since": "2026-01-01T00:00:00Z",
    });
    world.store.seed(&path::alive(&"old".parse().unwrap()), common::record::encode(&alive));
    world
        .during(async {
            world.until_verdict("node", "node-3", "up").await;
            seconds(120).await;
            assert_eq!(world.verdict("node", "old"), None);
        })
        .await;
    assert_eq!(world.alerts(), []);
}

#[tokio::test(start_paused = true)]
async fn an_app_is_asked_through_its_front_door_and_a_stopped_one_is_no_failure() {
    let world = World::with_everything();
    for app in ["shop", "blog", "wiki", "chat"] {
        world.app(app).await;
    }
    world
        .during(async {
            world.until_verdict("app", "shop", "up").await;
            // The app's own mistakes are its own.
            world.routes.set_answer(&instance("shop"), Some(500));
            seconds(120).await;
            assert_eq!(world.verdict("app", "shop").as_deref(), Some("up"));
            world.routes.set_answer(&instance("shop"), Some(502));
            until(async || !world.restarted().is_empty()).await;
            assert_eq!(world.restarted(), ["restart app$shop"]);
            let mut route: Value =
                serde_json::from_slice(&world.store.records(&path::route(&instance("blog")))[0].1)
                    .unwrap();
            route["goal"] = "removed".into();
            world.store.seed(&path::route(&instance("blog")), common::record::encode(&route));
            world.routes.set_answer(&instance("blog"), Some(503));
            until(async || world.verdict("app", "blog").is_none()).await;
            seconds(120).await;
            assert!(world.restarted().iter().all(|text| text == "restart app$shop"));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_model_is_asked_as_an_app_and_restarted_as_a_model() {
    let world = World::with_everything();
    for app in ["shop", "blog", "wiki"] {
        world.app(app).await;
    }
    world.model("rents").await;
    world
        .during(async {
            world.until_verdict("model", "rents", "up").await;
            world.routes.set_answer(&instance("rents"), Some(503));
            until(async || !world.restarted().is_empty()).await;
            assert_eq!(world.restarted(), ["restart model$rents"]);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_becomes_a_model_is_one_once_its_release_has_been_watched() {
    let world = World::with_everything();
    world.model("rents").await;
    let at = path::deployment(&instance("rents"));
    let serves = |release: u64| {
        let image = format!("registry:5000/apps/rents@{}", Digest::of(b"image"));
        json!({ "generation": 1, "release": release, "image": image })
    };
    world.change(&at, |deployment| deployment["serving"] = serves(2)).await;
    world
        .during(async {
            world.until_verdict("app", "rents", "up").await;
            world.change(&at, |deployment| deployment["serving"] = serves(1)).await;
            world.until_verdict("model", "rents", "up").await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_that_is_away_says_nothing_of_apps() {
    let world = World::with_everything();
    for app in ["shop", "blog", "wiki", "chat"] {
        world.app(app).await;
    }
    world
        .during(async {
            world.until_verdict("app", "shop", "up").await;
            world.routes.set_health(Health::Down);
            seconds(600).await;
            assert_eq!(world.verdict("app", "shop").as_deref(), Some("up"));
        })
        .await;
    assert_eq!(world.alerts(), []);
}

#[tokio::test(start_paused = true)]
async fn an_edge_that_is_away_is_an_alarm_and_restarts_no_app() {
    let world = World::with_everything();
    world.app("shop").await;
    world
        .during(async {
            world.until_verdict("app", "shop", "up").await;
            world.routes.set_answer(&instance("shop"), None);
            world.until_verdict("app", "shop", "down").await;
            seconds(600).await;
        })
        .await;
    let told = ("app".to_owned(), "shop".to_owned(), "down".to_owned());
    assert_eq!(world.alerts(), [told]);
    assert_eq!(world.restarted(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn who_takes_requests_and_answers_none_is_restarted_if_it_says_where_it_answers_in_time() {
    let world = World::with_everything();
    for app in ["slow", "blog", "wiki"] {
        world.app(app).await;
    }
    // It says a path for health.
    world.model("rents").await;
    world
        .during(async {
            world.until_verdict("app", "slow", "up").await;
            world.until_verdict("model", "rents", "up").await;
            world.routes.set_answer(&instance("slow"), Some(504));
            world.until_verdict("app", "slow", "down").await;
            seconds(120).await;
            assert_eq!(world.restarted(), Vec::<String>::new());
            world.routes.set_answer(&instance("slow"), Some(200));
            world.until_verdict("app", "slow", "up").await;
            world.routes.set_answer(&instance("rents"), Some(504));
            until(async || !world.restarted().is_empty()).await;
            assert_eq!(world.restarted(), ["restart model$rents"]);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn incidents_are_kept_for_a_week() {
    let world = World::with_everything();
    world
        .during(async {
            world.until_all_up().await;
            world.dies("load_balancer");
            world.until_verdict("service", "load_balancer", "down").await;
            seconds(5).await;
            world.comes_back("load_balancer");
            world.until_verdict("service", "load_balancer", "up").await;
            seconds(1200).await;
            assert_eq!(world.records("incidents").len(), 1);
            world.clock.advance(jiff::SignedDuration::from_hours(24 * 8));
            until(async || world.records("incidents").is_empty()).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_the_lifecycle_manager_runs_is_looked_at_inside_and_the_registry_is_not() {
    let mut world = World::new();
    world.services = Services::Running;
    world.node("node-1", "live");
    let running = [
        (ServiceName::AppManager, "192.0.2.11:9010"),
        (ServiceName::DeploymentManager, "192.0.2.11:9030"),
        (ServiceName::NodeManager, "192.0.2.11:9040"),
        (ServiceName::LoadBalancer, "192.0.2.11:9051"),
    ];
    for (service, address) in running {
        world.runs(service, address);
    }
    // Nobody answers there: it would be down.
    world.service("strange");
    world.dies("strange");
    world
        .during(async {
            world.until_verdict("service", "load_balancer", "up").await;
            world.probes.take_away("192.0.2.11:9051");
            until(async || !world.restarted().is_empty()).await;
        })
        .await;
    assert_eq!(world.restarted(), ["restart service$load_balancer"]);
}

#[tokio::test(start_paused = true)]
async fn the_front_door_of_a_service_is_no_app() {
    let world = World::with_everything();
    world.app("shop").await;
    world.app("application_manager").await;
    world.routes.set_answer(&instance("application_manager"), None);
    world
        .during(async {
            world.until_all_up().await;
            world.until_verdict("app", "shop", "up").await;
            seconds(600).await;
            assert_eq!(world.verdict("app", "application_manager"), None);
            // An app that somebody deployed under such a name is one.
            let deployed = path::deployment(&instance("application_manager"));
            world.store.seed(&deployed, common::record::encode(&"deployed"));
            world.until_verdict("app", "application_manager", "down").await;
        })
        .await;
}
