//! What a release asks of the edge, on its way to the load balancer.

use common::id::ReleaseNumber;
use common::port::edge::EdgeOptions;
use common::record::path;
use common::record::release::Release;
use serde_json::json;

use crate::world::{World, name};

impl World {
    fn ask_of_the_edge(&self, release: u32, asked: &EdgeOptions) {
        let at = path::release(&"shop".parse().unwrap(), ReleaseNumber(release));
        let mut release: Release = self.record(&at).unwrap();
        release.edge.clone_from(asked);
        self.write(&at, &json!(release));
    }

    fn asked_of_the_edge(&self) -> EdgeOptions {
        self.routes.wanted(&name("shop")).unwrap().edge
    }
}

#[tokio::test(start_paused = true)]
async fn a_route_asks_for_what_the_release_says_that_it_leads_to() {
    let world = World::new();
    let sticky = EdgeOptions { sticky: true, ..EdgeOptions::default() };
    world.write_instance("shop", 1, 1);
    world.ask_of_the_edge(1, &sticky);
    world
        .live(async {
            world.deployed(1, "shop").await;
            assert_eq!(world.asked_of_the_edge(), sticky);
            world.write_instance("shop", 2, 1);
            world.deployed(2, "shop").await;
            assert_eq!(world.asked_of_the_edge(), EdgeOptions::default());
        })
        .await;
}
