//! Replicas that leave are drained before anybody is told that they are gone.

use std::time::Duration;

use common::record::deployment::{Goal, State};
use testkit::edge::Health;
use tokio::time::Instant;

use crate::world::{DRAIN_WITHIN, World, name, replica, wanted};

#[tokio::test(start_paused = true)]
async fn a_replica_that_leaves_gets_no_new_request_and_keeps_those_under_way() {
    let world = World::new();
    world
        .live(async |api| {
            api.set(&wanted("shop", 1, &[20000])).await;
            world.edge.begin_request(2000).unwrap();
            let changed = wanted("shop", 2, &[20001]);
            let started = Instant::now();
            let finishes = async {
                tokio::time::sleep(Duration::from_secs(4)).await;
                assert_eq!(world.edge.begin_request(2000).unwrap().1, replica(20001));
                assert_eq!(world.routes()[0].leaving[0].port, 20000);
                world.edge.end_request(replica(20000));
            };
            let (answer, ()) = futures::join!(api.set(&changed), finishes);
            assert_eq!(answer.port(), 2000);
            let took = started.elapsed();
            assert!((Duration::from_secs(4)..Duration::from_secs(6)).contains(&took), "{took:?}");
            assert_eq!(world.routes()[0].leaving, []);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_end_is_waited_for_until_the_deadline() {
    let world = World::new();
    world
        .live(async |api| {
            api.set(&wanted("shop", 1, &[20000])).await;
            world.edge.begin_request(2000).unwrap();
            let started = Instant::now();
            assert_eq!(api.remove("shop", 1).await.status, 200);
            assert!(started.elapsed() >= DRAIN_WITHIN);
            assert!(started.elapsed() < DRAIN_WITHIN + Duration::from_secs(3));
            assert_eq!(world.routes(), []);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_goes_on_after_a_crash() {
    let world = World::new();
    world
        .live(async |api| {
            api.set(&wanted("shop", 1, &[20000, 20001])).await;
            // Whichever replica got it, the request stays under way.
            let (_, busy) = world.edge.begin_request(2000).unwrap();
            let left = wanted("shop", 2, &[if busy == replica(20000) { 20001 } else { 20000 }]);
            let call = tokio::time::timeout(Duration::from_secs(3), api.set(&left)).await;
            assert!(call.is_err(), "the request is still under way");
            assert_eq!(world.routes()[0].leaving[0].address(), busy);
        })
        .await;
    let route = world.routes()[0].clone();
    let busy = route.leaving[0].address();
    world
        .live(async |api| {
            let same = wanted("shop", 2, &[route.upstreams[0].port]);
            let waits = tokio::time::timeout(Duration::from_secs(3), api.set(&same)).await;
            assert!(waits.is_err(), "the request is still under way");
            world.edge.end_request(busy);
            assert_eq!(api.set(&same).await.status, 200);
            assert_eq!(world.routes()[0].leaving, []);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_route_that_is_wanted_again_while_it_goes_stays() {
    let world = World::new();
    world
        .live(async |api| {
            api.set(&wanted("shop", 1, &[20000])).await;
            world.edge.begin_request(2000).unwrap();
            let wanted_again = async {
                tokio::time::sleep(Duration::from_secs(2)).await;
                api.set(&wanted("shop", 2, &[20000])).await
            };
            let (removed, set) = futures::join!(api.remove("shop", 1), wanted_again);
            assert_eq!((removed.status, removed.code()), (409, "STALE_GENERATION"));
            assert_eq!(set.port(), 2000);
            assert_eq!(world.edge.row(&name("shop")).unwrap().upstreams.len(), 1);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_route_without_replicas_can_be_removed() {
    let world = World::new();
    world
        .live(async |api| {
            assert_eq!(api.set(&wanted("shop", 1, &[])).await.port(), 2000);
            assert_eq!(api.probe("shop", "/").await.body["status"], 503);
            assert_eq!(api.remove("shop", 1).await.status, 200);
            assert_eq!(world.edge.row(&name("shop")), None);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_to_be_gone_while_the_edge_may_still_serve_it() {
    let world = World::new();
    world
        .live(async |api| {
            api.set(&wanted("shop", 1, &[20000])).await;
            api.set(&wanted("blog", 1, &[20001])).await;
            world.edge.set_load_takes(Duration::from_secs(3));
            let moved = async {
                assert_eq!(api.set(&wanted("shop", 2, &[20002])).await.status, 200);
                assert_eq!(world.edge.begin_request(2000).unwrap().1, replica(20002));
            };
            let removed = async {
                assert_eq!(api.remove("blog", 1).await.status, 200);
                assert_eq!(world.edge.begin_request(2001), None);
            };
            let looks = async {
                tokio::time::sleep(Duration::from_secs(2)).await;
                assert!(world.routes().iter().all(|route| route.leaving.len() == 1));
            };
            futures::join!(moved, removed, looks);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_the_edge_cannot_be_told_is_not_gone() {
    let world = World::new();
    world
        .live(async |api| {
            api.set(&wanted("shop", 1, &[20000])).await;
            world.edge.set_health(Health::Down);
            let answer = api.remove("shop", 1).await;
            assert_eq!((answer.status, answer.code()), (503, "ROUTE_FAILED"));
            assert_eq!(world.leases()[0].1.released_at, None);
            world.edge.set_health(Health::Answers);
            assert_eq!(api.remove("shop", 1).await.status, 200);
            assert_eq!(world.edge.begin_request(2000), None);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_wish_that_arrives_after_what_took_its_place_brings_no_route_back() {
    let world = World::new();
    world
        .live(async |api| {
            world.deploy_again(2, "shop", Goal::Running, State::Routing);
            api.set(&wanted("shop", 2, &[20000])).await;
            world.deploy_again(3, "shop", Goal::Stopped, State::Stopping);
            assert_eq!(api.remove("shop", 3).await.status, 200);
            let late = api.set(&wanted("shop", 2, &[20000])).await;
            assert_eq!((late.status, late.code()), (409, "STALE_GENERATION"));
            world.deploy_again(4, "shop", Goal::Running, State::Failed);
            let given_up = api.set(&wanted("shop", 4, &[20001])).await;
            assert_eq!((given_up.status, given_up.code()), (409, "STALE_GENERATION"));
            world.deploy_again(5, "shop", Goal::Running, State::Running);
            let gone = api.set(&wanted("shop", 5, &[29999])).await;
            assert_eq!((gone.status, gone.code()), (409, "STALE_GENERATION"), "no such replica");
            assert_eq!(api.set(&wanted("shop", 5, &[20000])).await.status, 200);
            let late = api.remove("shop", 5).await;
            assert_eq!((late.status, late.code()), (409, "STALE_GENERATION"), "it is served");
            assert_eq!(world.routes().len(), 1);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_route_that_is_just_being_recorded_does_not_outlive_its_removal() {
    for yields in 0..60 {
        let world = World::new();
        world
            .live(async |api| {
                world.deploy_again(2, "shop", Goal::Running, State::Routing);
                let late = wanted("shop", 2, &[20000]);
                let stop = async {
                    for _ in 0..yields {
                        tokio::task::yield_now().await;
                    }
                    world.deploy_again(3, "shop", Goal::Stopped, State::Stopping);
                    api.remove("shop", 3).await
                };
                let (_, removed) = futures::join!(api.set(&late), stop);
                assert_eq!(removed.status, 200);
                assert!(world.routes().is_empty(), "after {yields}: {:?}", world.routes());
            })
            .await;
    }
}
