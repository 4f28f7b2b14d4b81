//! An app that is deployed for the first time: the edge knows of it before its first replica serves.

use common::id::ReleaseNumber;
use common::port::container::Limits;
use common::record::deployment::{Goal, State};
use common::record::path;
use common::record::route::RouteGoal;
use serde_json::json;

use crate::world::{World, name, replica, until, wanted};

/// A platform where a release of the app stands.
fn world() -> World {
    let world = World::new();
    let release = json!({
        "schema": 1,
        "app": "shop",
        "number": 1,
        "created_at": "2026-01-01T00:00:00Z",
        "source": {
            "kind": "image",
            "image": format!("registry.example.org/apps/shop@sha256:{:064}", 1),
        },
        "port": 8080,
        "health_path": null,
        "environment": {},
        "limits": Limits::default(),
        "read_only": false,
        "edge": { "hosts": ["shop.example.org"] },
    });
    world.write(&path::release(&"shop".parse().unwrap(), ReleaseNumber(1)), &release);
    world
}

/// Waits until the edge has the app's row, or has none.
async fn until_known(world: &World, known: bool) {
    until("the edge learns of the app", || world.edge.row(&name("shop")).is_some() == known).await;
}

#[tokio::test(start_paused = true)]
async fn an_app_on_its_way_is_known_to_the_edge_and_keeps_its_front_port() {
    let world = world();
    world
        .live(async |api| {
            until("the edge has a table", || world.edge.table().is_some()).await;
            world.deploy("shop", Goal::Running, State::Accepted);
            until_known(&world, true).await;
            let row = world.edge.row(&name("shop")).unwrap();
            assert_eq!((row.front_port, row.upstreams.len()), (2000, 0));
            assert_eq!(row.options.hosts[0].as_str(), "shop.example.org");
            assert_eq!(api.set(&wanted("shop", 1, &[20000])).await.port(), 2000);
            let (_, served) = world.edge.begin_request(2000).unwrap();
            assert_eq!(served, replica(20000));
            assert_eq!(world.routes()[0].goal, RouteGoal::Served);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_before_a_replica_served_is_forgotten_by_the_edge() {
    for (goal, state) in [
        (Goal::Running, State::Undoing),
        (Goal::Running, State::Failed),
        (Goal::Stopped, State::Stopping),
    ] {
        let world = world();
        world
            .live(async |_| {
                until("the edge has a table", || world.edge.table().is_some()).await;
                world.deploy("shop", Goal::Running, State::Starting);
                until_known(&world, true).await;
                world.deploy("shop", goal, state);
                until_known(&world, false).await;
                until("the record is gone", || world.routes().is_empty()).await;
                let released = world.leases()[0].1.released_at;
                assert!(released.is_some(), "{state:?}");
                // Asked for once more, it is on its way again.
                world.deploy_again(2, "shop", Goal::Running, State::Accepted);
                until_known(&world, true).await;
                assert_eq!(world.edge.row(&name("shop")).unwrap().front_port, 2000);
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_takes_over_finds_what_was_announced_and_ends_it() {
    let world = world();
    world
        .live(async |_| {
            until("the edge has a table", || world.edge.table().is_some()).await;
            world.deploy("shop", Goal::Running, State::Placing);
            until_known(&world, true).await;
        })
        .await;
    world.deploy("shop", Goal::Running, State::Failed);
    world.live(async |_| until_known(&world, false).await).await;
}

#[tokio::test(start_paused = true)]
async fn an_app_whose_name_is_taken_is_not_announced_and_takes_nothing() {
    let world = world();
    world
        .live(async |api| {
            let mut other = wanted("blog", 1, &[20009]);
            other.edge.hosts = vec!["shop.example.org".parse().unwrap()];
            api.set(&other).await.port();
            world.deploy("shop", Goal::Running, State::Accepted);
            // A later change of the table shows that this one was looked at.
            world.deploy("shop", Goal::Running, State::Placing);
            api.set(&wanted("news", 1, &[20008])).await.port();
            assert_eq!(world.edge.row(&name("shop")), None);
            assert_eq!(world.leases().len(), 2);
        })
        .await;
}
