//! What apps ask of the edge, on its way from a wanted route to the table; what the edge says of its files.

use chassis::lifecycle::Lifecycle;
use chassis::service::Service as _;
use common::port::edge::Weight;
use load_balancer::LoadBalancer;

use crate::world::{World, name, until, wanted};

#[tokio::test(start_paused = true)]
async fn what_an_app_asks_of_the_edge_is_in_the_table_and_a_change_of_it_is_served_before_the_answer()
 {
    let world = World::new();
    world
        .live(async |api| {
            let mut shop = wanted("shop", 1, &[20000, 20001]);
            shop.upstreams[1].weight = Weight::try_from(9).unwrap();
            shop.edge.sticky = true;
            assert_eq!(api.set(&shop).await.status, 200);
            let row = world.edge.row(&name("shop")).unwrap();
            assert_eq!(
                (&row.options, row.upstreams[1].weight),
                (&shop.edge, shop.upstreams[1].weight)
            );
            shop.generation = shop.generation.next();
            shop.edge.requests_per_second = Some(10);
            assert_eq!(api.set(&shop).await.status, 200);
            assert_eq!(world.edge.row(&name("shop")).unwrap().options, shop.edge);
            shop.edge.connections = Some(0);
            let refused = api.set(&shop).await;
            assert_eq!((refused.status, refused.code()), (422, "ROUTE_INVALID"));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn two_apps_that_claim_one_host_name_are_told_apart_by_a_code_of_its_own() {
    let world = World::new();
    world
        .live(async |api| {
            let mut shop = wanted("shop", 1, &[20000]);
            shop.edge.hosts = vec!["www.example.org".parse().unwrap()];
            assert_eq!(api.set(&shop).await.status, 200);
            let mut bakery = wanted("bakery", 1, &[20001]);
            bakery.edge.hosts.clone_from(&shop.edge.hosts);
            let refused = api.set(&bakery).await;
            assert_eq!((refused.status, refused.code()), (409, "HOST_TAKEN"));
            assert_eq!(refused.body["detail"], "the host name www.example.org belongs to shop");
            bakery.edge.hosts = vec!["shop.example.org".parse().unwrap()];
            assert_eq!(api.set(&bakery).await.code(), "HOST_TAKEN");
            assert_eq!(world.edge.row(&name("bakery")), None);
            api.remove("shop", 1).await;
            assert_eq!(api.set(&bakery).await.status, 200);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn damage_that_the_edge_found_is_counted_once() {
    let world = World::new();
    world.edge.restart_with_damage("accepted.json cannot be read: not a JSON object");
    let service = LoadBalancer::new(world.ports(), world.config.clone());
    let counted = || {
        let metrics = service.metrics().gather();
        let found = metrics
            .iter()
            .find(|family| family.name() == "load_balancer_edge_damaged_files_total")
            .unwrap();
        found.get_metric()[0].get_counter().get_value()
    };
    let story = async {
        until("the damage is counted", || counted() > 0.0).await;
        world.edge.restart_with_damage("table.json cannot be read: half of it is missing");
        until("other damage is counted", || counted() > 1.0).await;
        until("a table is served", || world.edge.table().is_some()).await;
        assert!((counted() - 2.0).abs() < 0.1);
    };
    tokio::select! {
        biased;
        () = story => {}
        ended = service.run(Lifecycle::new()) => panic!("the service ended: {ended:?}"),
    }
}
