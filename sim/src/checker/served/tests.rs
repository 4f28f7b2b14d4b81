//! Who may be missing in a table: histories made by hand.

use common::port::Edge as _;
use common::record;
use serde_json::json;

use super::*;
use crate::dice::Dice;
use crate::run::{Plan, world};

const AT: &str = "2026-01-01T00:00:00Z";

fn deployment() -> Deployment {
    let record = json!({
        "schema": 1, "instance": "shop", "app": "shop", "release": 1, "generation": 1, "goal": "running",
        "state": "running", "request": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "deadline": AT, "updated_at": AT,
        "serving": {
            "generation": 1, "release": 1, "image": format!("registry.example.org/apps/shop@sha256:{:064}", 1),
        },
        "slots": [],
    });
    serde_json::from_value(record).unwrap()
}

fn table(generation: u64, ports: &[u16]) -> Table {
    let row = |port: &u16| {
        json!({
            "instance": "shop", "front_port": port, "host": "shop",
            "upstreams": [{ "ip": "192.0.2.1", "port": 20_000, "slot": 1 }],
        })
    };
    let routes: Vec<_> = ports.iter().map(row).collect();
    serde_json::from_value(json!({ "epoch": 1, "generation": generation, "routes": routes }))
        .unwrap()
}

/// Whether it is noticed that an app at front port 2000 is not in the next table. These ports were said to be another
/// program's, and those are.
async fn is_noticed(said: &[u16], closed: &[u16]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let world = world(&Plan::storm(0), folder.path(), Dice::new(0));
    let deployment = deployment();
    world.truth.store.seed(&path::deployment(&deployment.instance), record::encode(&deployment));
    world.truth.edge.load(&table(1, &[2000])).await.unwrap();
    world.checker().observe(&world.truth, 0);
    for port in closed {
        world.truth.edge.restart_with_port_taken(*port);
    }
    world.checker().said_closed(said.iter().copied().collect());
    world.truth.edge.load(&table(2, &[])).await.unwrap();
    let found = world.checker().observe(&world.truth, 1);
    found.iter().any(|one| one.to_string() == "I6KeepServing: shop is not served any more")
}

#[tokio::test(start_paused = true)]
async fn who_is_served_is_in_the_next_table_unless_the_door_is_anothers_or_was_just_said_to_be() {
    assert!(is_noticed(&[], &[]).await);
    assert!(is_noticed(&[2001], &[2001]).await, "it is not its door");
    assert!(!is_noticed(&[], &[2000]).await, "another program has it");
    assert!(!is_noticed(&[2000], &[]).await, "it was given back meanwhile");
}
