//! Setting and removing routes.

use std::time::Duration;

use futures::future::join_all;
use jiff::SignedDuration;
use serde_json::json;
use testkit::edge::Health;

use crate::world::{World, name, replica, until, wanted};

#[tokio::test(start_paused = true)]
async fn a_route_gets_the_lowest_front_port_and_is_served() {
    let world = World::new();
    world
        .live(async |api| {
            let answer = api.set(&wanted("shop", 1, &[20000, 20001])).await;
            assert_eq!(answer.status, 200);
            assert_eq!(
                answer.body,
                json!({ "front_port": 2000, "host": "shop", "endpoint": "192.0.2.10:2000" })
            );
            let (instance, upstream) = world.edge.begin_request(2000).unwrap();
            assert_eq!((instance, upstream), (name("shop"), replica(20000)));
            assert_eq!(api.set(&wanted("blog", 1, &[20002])).await.port(), 2001);
            assert_eq!(api.probe("shop", "/").await.body, json!({ "status": 200 }));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_repeat_changes_nothing() {
    let world = World::new();
    world
        .live(async |api| {
            let first = api.set(&wanted("shop", 1, &[20000])).await;
            let tables = world.edge.taken().len();
            assert_eq!(api.set(&wanted("shop", 1, &[20000])).await, first);
            assert_eq!(world.edge.taken().len(), tables);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_lower_generation_is_refused() {
    let world = World::new();
    world
        .live(async |api| {
            api.set(&wanted("shop", 5, &[20000])).await;
            for answer in [api.set(&wanted("shop", 4, &[20001])).await, api.remove("shop", 4).await]
            {
                assert_eq!((answer.status, answer.code()), (409, "STALE_GENERATION"));
                assert_eq!(answer.body["generation"], 5);
            }
            assert_eq!(world.edge.row(&name("shop")).unwrap().upstreams[0].port, 20000);
            assert_eq!(api.remove("shop", 5).await.status, 200);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn routes_set_at_once_get_ports_of_their_own() {
    let world = World::new();
    world.edge.set_load_takes(Duration::from_millis(50));
    world
        .live(async |api| {
            let routes: Vec<_> =
                (0..60).map(|n| wanted(&format!("app-{n}"), 1, &[20000 + n])).collect();
            let answers = join_all(routes.iter().map(|route| api.set(route))).await;
            let mut ports: Vec<u16> = answers.iter().map(crate::world::Answer::port).collect();
            ports.sort_unstable();
            assert_eq!(ports, (2000..2060).collect::<Vec<_>>());
            // Writes of the table coalesce.
            assert!(world.edge.taken().len() < 5, "{}", world.edge.taken().len());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_removed_route_is_gone_and_its_port_is_kept_back_for_a_minute() {
    let world = World::new();
    world
        .live(async |api| {
            api.set(&wanted("shop", 1, &[20000])).await;
            assert_eq!(api.remove("shop", 1).await.status, 200);
            assert_eq!(world.edge.row(&name("shop")), None);
            assert_eq!(world.routes(), []);
            assert_eq!(api.remove("shop", 1).await.status, 200);
            assert_eq!(api.set(&wanted("blog", 1, &[20001])).await.port(), 2001);
            // The same instance gets its own port back.
            assert_eq!(api.set(&wanted("shop", 2, &[20002])).await.port(), 2000);
            api.remove("shop", 2).await;
            tokio::time::sleep(Duration::from_secs(61)).await;
            assert_eq!(api.set(&wanted("cafe", 1, &[20003])).await.port(), 2000);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_forgotten_after_its_quarantine() {
    let world = World::new();
    world
        .live(async |api| {
            api.set(&wanted("shop", 1, &[20000])).await;
            api.remove("shop", 1).await;
            assert_eq!(world.leases().len(), 1);
            tokio::time::sleep(Duration::from_secs(59)).await;
            assert_eq!(world.leases().len(), 1);
            until("the lease is forgotten", || world.leases().is_empty()).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn reserved_and_busy_ports_are_passed_over() {
    let world = World::new();
    world.edge.restart_with_port_taken(2000);
    world.edge.restart_with_port_taken(2001);
    world
        .live(async |api| {
            assert_eq!(api.set(&wanted("shop", 1, &[20000])).await.port(), 2002);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_port_that_the_edge_lost_is_replaced_at_the_next_set() {
    let world = World::new();
    world
        .live(async |api| {
            api.set(&wanted("shop", 1, &[20000])).await;
            api.set(&wanted("blog", 1, &[20001])).await;
        })
        .await;
    world.edge.restart_with_port_taken(2000);
    world
        .live(async |api| {
            assert_eq!(api.set(&wanted("shop", 1, &[20000])).await.port(), 2002);
            assert_eq!(world.edge.begin_request(2001).unwrap().0, name("blog"));
            let released = world.leases().into_iter().find(|(port, _)| *port == 2000).unwrap().1;
            assert!(released.released_at.is_some());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn without_a_free_port_the_reason_is_said() {
    let mut world = World::new();
    world.config.last_port = 2001;
    world
        .live(async |api| {
            api.set(&wanted("a", 1, &[20000])).await;
            api.set(&wanted("b", 1, &[20001])).await;
            let answer = api.set(&wanted("c", 1, &[20002])).await;
            assert_eq!((answer.status, answer.code()), (503, "FRONT_PORTS_EXHAUSTED"));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_would_lead_to_another_app_is_refused() {
    let world = World::new();
    world
        .live(async |api| {
            api.set(&wanted("shop-1", 1, &[20000])).await;
            let same_host = api.set(&wanted("shop_1", 1, &[20001])).await;
            assert_eq!((same_host.status, same_host.code()), (409, "HOST_TAKEN"));
            assert_eq!(same_host.body["detail"], "the host name shop-1 belongs to shop-1");
            let same_replica = api.set(&wanted("blog", 1, &[20000])).await;
            assert_eq!(
                same_replica.body["detail"],
                "the replica 192.0.2.1:20000 belongs to shop-1"
            );
            let twice = api.set(&wanted("blog", 1, &[20001, 20001])).await;
            assert_eq!((twice.status, twice.code()), (422, "ROUTE_INVALID"));
            assert_eq!(world.leases().len(), 1);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn while_the_edge_is_down_nothing_is_said_to_be_routed() {
    let world = World::new();
    world
        .live(async |api| {
            let port = api.set(&wanted("shop", 1, &[20000])).await.port();
            world.edge.set_health(Health::Down);
            let answer = api.set(&wanted("shop", 2, &[20001])).await;
            assert_eq!((answer.status, answer.code()), (503, "ROUTE_FAILED"));
            world.edge.set_health(Health::Answers);
            assert_eq!(api.set(&wanted("shop", 2, &[20001])).await.port(), port);
            assert_eq!(world.edge.begin_request(port).unwrap().1, replica(20001));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_edge_that_comes_later_is_waited_for() {
    let world = World::new();
    world.edge.set_health(Health::Down);
    world
        .live(async |api| {
            let wanted = wanted("shop", 1, &[20000]);
            let set = api.set(&wanted);
            let comes = async {
                tokio::time::sleep(Duration::from_secs(5)).await;
                world.edge.set_health(Health::Answers);
            };
            let (answer, ()) = futures::join!(set, comes);
            assert_eq!(answer.port(), 2000);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_edge_that_lost_its_table_gets_it_again() {
    let world = World::new();
    world
        .live(async |api| {
            api.set(&wanted("shop", 1, &[20000])).await;
            world.edge.restart_without_disk();
            assert_eq!(world.edge.begin_request(2000), None);
            until("the route is served again", || world.edge.begin_request(2000).is_some()).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn answers_that_get_lost_do_no_harm() {
    let world = World::new();
    world
        .live(async |api| {
            api.set(&wanted("shop", 1, &[20000])).await;
            world.edge.set_health(Health::LosesAnswers);
            assert_eq!(api.set(&wanted("shop", 2, &[20001])).await.code(), "ROUTE_FAILED");
            world.edge.set_health(Health::Answers);
            assert_eq!(api.set(&wanted("shop", 2, &[20001])).await.port(), 2000);
            let table = world.edge.table().unwrap();
            assert_eq!(table.routes[0].upstreams[0].port, 20001);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_rebuilds_the_same_table_in_a_new_epoch() {
    let world = World::new();
    world
        .live(async |api| {
            api.set(&wanted("shop", 1, &[20000])).await;
            api.set(&wanted("blog", 1, &[20001])).await;
        })
        .await;
    let before = world.edge.table().unwrap();
    world
        .live(async |_| {
            until("a new epoch is served", || world.edge.table().unwrap().epoch > before.epoch)
                .await;
        })
        .await;
    assert_eq!(world.edge.table().unwrap().routes, before.routes);
}

#[tokio::test(start_paused = true)]
async fn a_second_load_balancer_ends_the_first() {
    let world = World::new();
    let first = load_balancer::LoadBalancer::new(world.ports(), world.config.clone());
    let lifecycle = chassis::lifecycle::Lifecycle::new();
    let run = chassis::service::Service::run(&first, lifecycle);
    let second = async {
        until("the first leads and serves", || world.edge.table().is_some()).await;
        world
            .live(async |api| {
                api.set(&wanted("shop", 1, &[20000])).await;
                std::future::pending::<()>().await;
            })
            .await;
    };
    let ended = tokio::select! {
        ended = run => ended,
        () = second => unreachable!(),
    };
    let why = ended.unwrap_err().to_string();
    assert!(why.contains("another"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn readiness_says_what_is_wrong_with_the_edge() {
    let world = World::new();
    let service = load_balancer::LoadBalancer::new(world.ports(), world.config.clone());
    let lifecycle = chassis::lifecycle::Lifecycle::new();
    let run = chassis::service::Service::run(&service, lifecycle.clone());
    let story = async {
        until("it is ready", || lifecycle.is_ready()).await;
        world.edge.set_health(Health::Down);
        until("it is not ready", || !lifecycle.is_ready()).await;
        let why = lifecycle.readiness().remove("edge").unwrap().unwrap_err();
        assert_eq!(why, "the edge does not take the table: the edge cannot be reached");
        assert!(lifecycle.silent_loops().is_empty());
        world.edge.set_health(Health::Answers);
        until("it is ready again", || lifecycle.is_ready()).await;
        lifecycle.stop();
    };
    let (ended, ()) = futures::join!(run, story);
    ended.unwrap();
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_down_changes_are_refused_and_requests_go_on() {
    let world = World::new();
    world
        .live(async |api| {
            api.set(&wanted("shop", 1, &[20000])).await;
            world.store.go_down();
            let answer = api.set(&wanted("blog", 1, &[20001])).await;
            assert_eq!((answer.status, answer.code()), (503, "STORE_UNAVAILABLE"));
            assert!(world.edge.begin_request(2000).is_some());
            world.store.come_back();
            assert_eq!(api.set(&wanted("blog", 1, &[20001])).await.port(), 2001);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_back_keeps_a_port_back_longer_and_breaks_nothing() {
    let world = World::new();
    world
        .live(async |api| {
            api.set(&wanted("shop", 1, &[20000])).await;
            api.remove("shop", 1).await;
            world.clock.advance(SignedDuration::from_hours(-1));
            tokio::time::sleep(Duration::from_mins(2)).await;
            assert_eq!(api.set(&wanted("blog", 1, &[20001])).await.port(), 2001);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_route_cannot_be_probed() {
    let world = World::new();
    world
        .live(async |api| {
            let answer = api.probe("shop", "/").await;
            assert_eq!((answer.status, answer.code()), (404, "UNKNOWN_INSTANCE"));
            api.set(&wanted("shop", 1, &[20000])).await;
            world.edge.set_answer(replica(20000), Some(500));
            assert_eq!(api.probe("shop", "/health").await.body, json!({ "status": 500 }));
            let no_path = api.probe("shop", "health").await;
            assert_eq!((no_path.status, no_path.code()), (422, "ROUTE_INVALID"));
        })
        .await;
}
