//! Apps that nobody asks for have no replicas, and get one for who waits; and bounds at some hours.

use std::time::Duration;

use common::id::ReleaseNumber;
use common::record::path;
use common::record::scale::Scaling;
use jiff::SignedDuration;
use serde_json::{Value, json};
use testkit::edge::Health;

use crate::balance::{Platform, seconds};
use crate::world::{Api, name, until, wanted};

/// It rests after ten seconds.
const RESTS: Scaling =
    Scaling { idle_seconds: Some(10), cooldown_seconds: 1, ..Scaling::within(0, 4) };

/// An app with one replica that may rest.
async fn may_rest() -> Platform {
    let platform = Platform::of(Some(RESTS));
    platform.serves(1).await;
    platform
}

/// The deployment manager has the edge serve these replicas of an app that may rest.
async fn route(api: &Api, ports: &[u16]) {
    let mut route = wanted("shop", 1, ports);
    route.edge.held = true;
    assert_eq!(api.set(&route).await.port(), 2000);
}

/// The app's only replica is routed until nobody has asked for long enough, and goes.
async fn rests(platform: &Platform, api: &Api) {
    until("no replica is wanted", || platform.wanted() == Some(0)).await;
    platform.serves(0).await;
    route(api, &[]).await;
}

/// What the app's release says besides.
fn say(platform: &Platform, key: &str, what: Value) {
    let at = path::release(&"shop".parse().unwrap(), ReleaseNumber(1));
    let mut release = platform.world.value(&at).unwrap();
    release[key] = what;
    platform.world.write(&at, &release);
}

fn reasons(platform: &Platform) -> Vec<String> {
    let decisions = platform.decisions().into_iter();
    decisions.map(|one| one["reason"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn an_app_that_nobody_asks_for_rests_and_is_woken_by_the_first_request() {
    let platform = may_rest().await;
    let world = &platform.world;
    world
        .live(async |api| {
            route(&api, &[20000]).await;
            // Somebody asks every few seconds, and is answered.
            for _ in 0..6 {
                let (_, replica) = world.edge.begin_request(2000).unwrap();
                seconds(4).await;
                world.edge.end_request(replica);
                seconds(4).await;
            }
            assert_eq!(platform.wanted(), None);
            rests(&platform, &api).await;
            assert_eq!(world.told(1).await, ["done balance app$shop$0"]);
            seconds(60).await;
            assert_eq!(platform.wanted(), Some(0), "nobody asked");
            assert_eq!(world.edge.begin_request(2000), None, "it waits");
            let asked = tokio::time::Instant::now();
            until("a replica is wanted", || platform.wanted() == Some(1)).await;
            assert!(asked.elapsed() < Duration::from_millis(300), "{:?}", asked.elapsed());
            platform.serves(1).await;
            route(&api, &[20000]).await;
            assert!(world.edge.begin_request(2000).is_some());
            assert_eq!(platform.kinds(), ["rested", "woken"]);
            assert_eq!(
                reasons(&platform),
                ["nobody asked for 10 s", "a request waits for a replica"]
            );
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_edge_that_does_not_tell_lets_no_app_rest() {
    let platform = may_rest().await;
    let world = &platform.world;
    world
        .live(async |api| {
            route(&api, &[20000]).await;
            world.edge.set_health(Health::Down);
            seconds(120).await;
            assert_eq!(platform.wanted(), None);
            world.edge.set_health(Health::Answers);
            until("no replica is wanted", || platform.wanted() == Some(0)).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_while_no_load_balancer_is_there_is_seen_by_the_next_one() {
    let platform = may_rest().await;
    let world = &platform.world;
    world
        .live(async |api| {
            route(&api, &[20000]).await;
            rests(&platform, &api).await;
        })
        .await;
    assert_eq!(world.edge.begin_request(2000), None);
    seconds(30).await;
    assert_eq!(platform.wanted(), Some(0));
    world.live(async |_| until("a replica is wanted", || platform.wanted() == Some(1)).await).await;
}

#[tokio::test(start_paused = true)]
async fn an_app_whose_new_release_says_no_bounds_does_not_stay_at_rest() {
    let platform = Platform::of(None);
    platform.serves(0).await;
    let scale = json!({
        "schema": 1, "instance": "shop", "replicas": 0, "generation": 3, "deployment": 1,
        "request": uuid::Uuid::nil(),
    });
    platform.world.write(&path::scale(&name("shop")), &scale);
    let back = async || until("a replica is wanted", || platform.wanted() == Some(1)).await;
    platform.live_resting(back).await;
}

#[tokio::test(start_paused = true)]
async fn bounds_follow_the_hours_and_the_reason_says_which() {
    let platform = Platform::of(Some(Scaling::within(1, 5)));
    say(
        &platform,
        "hours",
        json!([{
            "days": ["thursday"], "from": "08:00:00", "to": "18:00:00", "zone": "UTC", "min": 3,
        }]),
    );
    platform.serves(1).await;
    let story = async || {
        platform.load(1, 5.0);
        seconds(10).await;
        assert_eq!(platform.wanted(), None, "it is not yet that late");
        platform.world.clock.advance(SignedDuration::from_hours(8));
        until("three are wanted", || platform.wanted() == Some(3)).await;
        let why = "schedule thursday 08:00–18:00 UTC asks for at least 3";
        assert_eq!(reasons(&platform), [why]);
    };
    platform.live(story).await;
}
