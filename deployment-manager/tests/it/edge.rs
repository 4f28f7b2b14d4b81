//! What a release asks of the edge, on its way to the load balancer.

use common::id::ReleaseNumber;
use common::name::HostName;
use common::port::edge::EdgeOptions;
use common::record::path;
use common::record::release::Release;
use serde_json::json;

use crate::builds::write_bundle;
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

#[tokio::test(start_paused = true)]
async fn a_host_name_of_another_instance_is_refused_before_anything_is_built() {
    let host = |text: &str| -> HostName { text.parse().unwrap() };
    for (asked, refused) in [
        ("www.example.org", true),
        ("bakery.example.org", true),
        ("shop.example.org", false),
        ("old.example.org", false),
    ] {
        let world = World::new();
        write_bundle(&world, "shop", 1, &["python3", "main.py"]).await;
        world.write_instance("shop", 1, 1);
        let hosts = vec![host(asked)];
        world.ask_of_the_edge(1, &EdgeOptions { hosts, ..EdgeOptions::default() });
        for (owner, label, hosts, goal) in [
            ("bakery", "bakery", ["www.example.org"], "served"),
            ("gone", "gone", ["old.example.org"], "removed"),
        ] {
            let route = json!({
                "schema": 1, "instance": owner, "front_port": 2001, "host": label,
                "upstreams": [], "goal": goal, "generation": 1, "image": "", "container_port": 80,
                "container_ids": [], "edge": { "hosts": hosts },
            });
            world.write(&path::route(&name(owner)), &route);
        }
        let told = world
            .live(async {
                world.deploy(1, "shop");
                world.told(1).await
            })
            .await;
        let built = world.builds.lock().unwrap().len();
        if refused {
            let why = format!("HOST_TAKEN: the host name {asked} belongs to bakery");
            assert_eq!(told, format!("App shop not deployed. Error - {why}"));
            assert_eq!((built, world.deployment("shop")), (0, None));
        } else {
            assert!(told.starts_with("done shop deploy"), "{asked}: {told}");
        }
    }
}
