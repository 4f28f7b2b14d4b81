//! A release beside the one that is served: its share, what becomes of it, and what is told.

use std::time::Duration;

use common::failure::FailureCode;
use common::name::ContainerName;
use common::port::bus::Delivery;
use common::port::edge::Upstream;
use common::port::routes::{ReplicaShare, RouteTraffic};
use common::record::course::DecisionKind;
use common::record::deployment::{Deployment, Slot, SlotState, State};
use common::record::path;
use common::topic::Topic;
use jiff::SignedDuration;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{World, name, until};

impl World {
    /// As if the instance's owner had asked for something of a release with this request.
    fn write_way(&self, release: u32, way: &str, share: Option<u32>, request: u128) {
        self.write_instance("shop", release, 2);
        let path = path::instance(&name("shop"));
        let mut record: Value = self.record(&path).unwrap();
        record["way"] = json!(way);
        record["canary"] = json!(share);
        record["request"] = json!(Uuid::from_u128(request));
        self.write(&path, &record);
    }

    async fn asked(&self, request: u128) -> String {
        self.deploy(request, "shop");
        let told = self.told(request).await;
        self.settled("shop").await;
        told
    }

    /// Release 1 with two replicas, and release 2 beside it with a quarter of the requests.
    async fn with_canary(&self) {
        self.write_instance("shop", 1, 2);
        self.deployed(1, "shop").await;
        self.write_way(2, "canary", Some(25), 2);
        assert_eq!(self.asked(2).await, "done shop deploy - 192.0.2.10:2000");
    }

    fn shop(&self) -> Deployment {
        self.deployment("shop").unwrap()
    }

    /// The slots and weights that the load balancer was told.
    fn weights(&self) -> Vec<(u32, u16)> {
        let weight = |upstream: &Upstream| (upstream.slot.0, u16::from(upstream.weight));
        self.routes.upstreams(&name("shop")).iter().map(weight).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn it_gets_its_share_keeps_it_over_a_restart_and_a_scale_and_is_promoted() {
    let world = World::new();
    world.live(world.with_canary()).await;
    assert_eq!(world.weights(), [(1, 3), (2, 3), (3, 2)]);
    let deployment = world.shop();
    assert_eq!((deployment.state, deployment.serving.unwrap().release.0), (State::Running, 1));
    world.assert_exact("shop", 3, "beside what is served");
    world
        .live(async {
            world.scale("shop", 4);
            until("the share is told anew", || world.weights().len() == 5).await;
            world.settled("shop").await;
            assert_eq!(world.weights(), [(1, 3), (2, 3), (3, 4), (4, 3), (5, 3)]);
            world.write_way(2, "promoted", None, 3);
            assert_eq!(world.asked(3).await, "done shop deploy - 192.0.2.10:2000");
        })
        .await;
    let deployment = world.shop();
    assert_eq!(deployment.serving.unwrap().release.0, 2);
    assert_eq!(deployment.canary, None);
    world.assert_exact("shop", 4, "promoted");
    let slots = world.shop().slots;
    let alike: Vec<(u32, u16)> = slots.iter().map(|slot| (slot.number.0, 1)).collect();
    assert_eq!((alike.len(), world.weights()), (4, alike));
}

#[tokio::test(start_paused = true)]
async fn going_back_takes_it_away_and_builds_and_starts_nothing() {
    let world = World::new();
    world
        .live(async {
            world.with_canary().await;
            let before = world.shop().placements;
            world.write_way(1, "rolled_back", None, 3);
            assert_eq!(world.asked(3).await, "done shop deploy - 192.0.2.10:2000");
            assert_eq!(world.shop().placements, before);
        })
        .await;
    assert_eq!((world.shop().canary, world.shop().release.0), (None, 1));
    world.assert_exact("shop", 2, "taken away");
}

#[tokio::test(start_paused = true)]
async fn without_what_it_needs_a_canary_or_its_promotion_is_refused() {
    let world = World::new();
    world
        .live(async {
            world.write_way(1, "canary", Some(10), 1);
            let told = world.asked(1).await;
            assert!(told.contains("Error - UNKNOWN_INSTANCE"), "{told}");
            world.write_instance("shop", 1, 2);
            world.deployed(2, "shop").await;
            world.write_way(1, "promoted", None, 3);
            let told = world.asked(3).await;
            assert!(told.contains("Error - NO_CANARY"), "{told}");
            // Another program only wants what is wanted: that runs.
            assert_eq!(world.asked(4).await, "done shop deploy - 192.0.2.10:2000");
        })
        .await;
    world.assert_exact("shop", 2, "as before");
}

impl World {
    fn watching(mut self) -> Self {
        self.config.patience.watch = SignedDuration::from_secs(5);
        self
    }

    /// What the replicas of the release that was served first got, and those of the other.
    fn visitors(&self, served: (u64, u64), other: (u64, u64)) {
        self.visited(served, other, true);
    }

    /// The same, and whether the load balancer has heard yet that the other is served.
    fn visited(&self, served: (u64, u64), other: (u64, u64), is_heard: bool) {
        let deployment = self.shop();
        let share = |slot: &Slot| {
            let place = slot.place.clone()?;
            let is_first = slot.generation.0 == 1;
            let (requests, errors) = if is_first { served } else { other };
            let is_served = is_first || is_heard;
            Some(ReplicaShare { ip: place.ip, port: place.host_port, is_served, requests, errors })
        };
        let replicas = deployment.slots.iter().filter_map(share).collect();
        self.routes.set_traffic(&name("shop"), RouteTraffic { window_seconds: 60, replicas });
    }

    /// Release 1 with two replicas, and release 2, which has just taken over; one replica of that.
    async fn taking_over(&self) -> Slot {
        self.write_instance("shop", 1, 2);
        self.deployed(1, "shop").await;
        self.write_instance("shop", 2, 2);
        self.deploy(2, "shop");
        let routed = || {
            let mut slots = self.shop().slots.into_iter();
            slots.find(|slot| slot.generation.0 == 2 && slot.state == SlotState::Routed)
        };
        until("it has taken over", || routed().is_some()).await;
        routed().unwrap()
    }

    /// The request for release 2 failed once, for this reason, and release 1 is served as before.
    fn assert_gone_back(&self, why: &str) {
        let told: Vec<String> = self.ends(2).into_iter().map(|(_, text)| text).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains(&format!("Error - {why}")), "{told:?}");
        assert_eq!(self.shop().serving.unwrap().release.0, 1);
        assert!(self.backed_out().is_some());
        self.assert_exact("shop", 2, "gone back");
    }

    fn backed_out(&self) -> Option<String> {
        let last = self.shop().decisions.pop()?;
        (last.kind == DecisionKind::BackedOut).then_some(last.reason)
    }
}

#[tokio::test(start_paused = true)]
async fn a_canary_whose_requests_fail_goes_by_itself_and_it_is_told_why_once() {
    let world = World::new().watching();
    world
        .live(async {
            world.with_canary().await;
            world.visitors((100, 1), (49, 49));
            tokio::time::sleep(Duration::from_secs(20)).await;
            assert!(world.shop().canary.is_some(), "too little is known");
            world.visitors((100, 1), (60, 20));
            until("it is gone", || world.shop().canary.is_none()).await;
            world.settled("shop").await;
        })
        .await;
    world.assert_exact("shop", 2, "gone back");
    let failure = world.shop().failure.unwrap();
    assert_eq!(failure.code, FailureCode::ErrorsRose);
    assert!(failure.message.starts_with("release 2: 20 of its 60 requests failed"), "{failure}");
    assert!(world.backed_out().unwrap().contains("20 of its 60"));
    let first = world.ends(2).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
    assert_eq!(first, ["done shop deploy - 192.0.2.10:2000"], "the request had ended");
    let records = world.bus.records(Topic::FirstTopic);
    let says =
        |one: &&Delivery| String::from_utf8_lossy(&one.record.payload).contains("ERRORS_ROSE");
    let told: Vec<&Delivery> = records.iter().filter(says).collect();
    assert_eq!(told.len(), 1);
    let details = told[0].record.header("details").unwrap();
    let details: Value = serde_json::from_slice(details).unwrap();
    let gone: Vec<&Value> =
        details["replicas"].as_array().unwrap().iter().map(|one| &one["slot"]).collect();
    assert_eq!((&details["release"], gone), (&json!(2), vec![&json!(3)]), "what failed");
    let shop = world.shop();
    let serving = shop.serving.unwrap();
    assert_eq!((shop.release, &shop.image), (serving.release, &Some(serving.image)));
}

#[tokio::test(start_paused = true)]
async fn what_the_one_before_it_at_its_address_was_asked_is_not_held_against_a_canary() {
    let world = World::new().watching();
    world
        .live(async {
            world.with_canary().await;
            world.visited((100, 1), (60, 60), false);
            tokio::time::sleep(Duration::from_secs(20)).await;
            assert!(world.shop().canary.is_some(), "those who left failed");
            world.visited((100, 1), (60, 60), true);
            until("it is gone", || world.shop().canary.is_none()).await;
            world.settled("shop").await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_release_whose_requests_fail_as_it_takes_over_gives_all_back_and_its_request_fails() {
    let world = World::new().watching();
    world
        .live(async {
            world.taking_over().await;
            world.visitors((200, 0), (30, 10));
            world.told(2).await;
            world.settled("shop").await;
        })
        .await;
    world.assert_gone_back("ERRORS_ROSE: release 2: 20 of its 60");
}

#[tokio::test(start_paused = true)]
async fn a_release_that_dies_in_its_first_moments_gives_all_back() {
    let world = World::new().watching();
    world
        .live(async {
            let slot = world.taking_over().await;
            let instance = "shop".parse().unwrap();
            let container = ContainerName::new(&instance, slot.number);
            world.nodes.engine(&slot.place.unwrap().node).exit(&container, 3);
            world.told(2).await;
            world.settled("shop").await;
        })
        .await;
    world.assert_gone_back("APP_EXITED: it ended with code 3");
}

impl World {
    /// A canary that has got its share for an hour.
    async fn with_old_canary(&self) {
        self.live(self.with_canary()).await;
        self.clock.advance(SignedDuration::from_hours(1));
    }

    /// The canary's container ends, and runs again at once.
    async fn end_canary(&self) {
        let slot = self.shop().slots.into_iter().find(|slot| slot.generation.0 == 2).unwrap();
        let node = slot.place.unwrap().node;
        let container = ContainerName::new(&"shop".parse().unwrap(), slot.number);
        self.clock.advance(SignedDuration::from_secs(1));
        self.nodes.engine(&node).exit(&container, 255);
        self.nodes.restart_ended(&node).await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_has_run_for_long_survives_one_end_and_goes_at_the_second() {
    let world = World::new().watching();
    world.with_old_canary().await;
    world
        .live(async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            world.end_canary().await;
            tokio::time::sleep(Duration::from_mins(1)).await;
            assert!(world.shop().canary.is_some(), "its node was only away: {:?}", world.shop());
            world.clock.advance(SignedDuration::from_hours(24));
            world.end_canary().await;
            tokio::time::sleep(Duration::from_mins(1)).await;
            assert!(world.shop().canary.is_some(), "a day later");
            world.end_canary().await;
            until("it is gone", || world.shop().canary.is_none()).await;
        })
        .await;
    let why = world.backed_out().unwrap();
    assert!(why.contains("it ended twice within ten minutes"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_front_door_that_is_away_for_a_moment_fails_no_share_change_of_one_that_has_run_for_long()
{
    let world = World::new();
    world.with_old_canary().await;
    world.routes.set_answer(&name("shop"), Some(503));
    world.write_way(2, "canary", Some(50), 3);
    world
        .live(async {
            world.deploy(3, "shop");
            until("it is told", || world.weights() == [(1, 1), (2, 1), (3, 2)]).await;
            tokio::time::sleep(Duration::from_secs(5)).await;
            assert_eq!(world.shop().state, State::Routing, "{:?}", world.shop());
            world.routes.set_answer(&name("shop"), Some(200));
            assert_eq!(world.told(3).await, "done shop deploy - 192.0.2.10:2000");
        })
        .await;
    assert_eq!(world.shop().canary.unwrap().share.percent(), 50);
}
