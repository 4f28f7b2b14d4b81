//! An app of which the edge takes nothing new stays as it was, and stops no other.

use std::time::Duration;

use crate::world::{World, name, replica, wanted};

#[tokio::test(start_paused = true)]
async fn an_app_that_the_edge_does_not_take_is_told_so_and_all_others_are_served() {
    let world = World::new();
    world
        .live(async |api| {
            world.edge.refuse_changes_of(&name("shop"));
            let refused = api.set(&wanted("shop", 1, &[20000])).await;
            assert_eq!((refused.status, refused.code()), (409, "LB_CONF_REJECTED"));
            let port = api.set(&wanted("blog", 1, &[20001])).await.port();
            assert_eq!(world.edge.begin_request(port).unwrap().1, replica(20001));
            assert_eq!(world.edge.row(&name("shop")), None);
            world.edge.refuse_nothing();
            let taken = || world.edge.row(&name("shop")).is_some();
            crate::world::until("it is tried again", taken).await;
            let port = api.set(&wanted("shop", 1, &[20000])).await.port();
            assert_eq!(world.edge.begin_request(port).unwrap().1, replica(20000));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_the_edge_did_not_let_go_is_waited_for() {
    let world = World::new();
    world
        .live(async |api| {
            let port = api.set(&wanted("shop", 1, &[20000])).await.port();
            world.edge.refuse_changes_of(&name("shop"));
            let refused = api.set(&wanted("shop", 2, &[20001])).await;
            assert_eq!((refused.status, refused.code()), (409, "LB_CONF_REJECTED"));
            tokio::time::sleep(Duration::from_mins(2)).await;
            assert_eq!(world.edge.begin_request(port).unwrap().1, replica(20000));
            world.edge.end_request(replica(20000));
            assert_eq!(world.routes()[0].leaving[0].port, 20000, "visitors are sent there");
            world.edge.refuse_nothing();
            assert_eq!(api.set(&wanted("shop", 2, &[20001])).await.port(), port);
            assert_eq!(world.routes()[0].leaving, []);
        })
        .await;
}
