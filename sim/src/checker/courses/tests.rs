//! What is held against a move: histories made by hand.

use common::digest::{Digest, ImageRef};
use common::id::{Epoch, SlotNumber};
use common::port::container::{ContainerSpec, Limits};
use common::port::{Containers as _, Edge as _};
use serde_json::json;

use super::*;
use crate::dice::Dice;
use crate::run::{Plan, world};

fn table(generation: u64, host_ports: &[u16]) -> Table {
    let upstream = |port: &u16| json!({ "ip": "192.0.2.1", "port": port, "slot": port % 100 + 1 });
    let upstreams: Vec<_> = host_ports.iter().map(upstream).collect();
    let row =
        json!({ "instance": "shop", "front_port": 2000, "host": "shop", "upstreams": upstreams });
    let routes = if host_ports.is_empty() { json!([]) } else { json!([row]) };
    serde_json::from_value(json!({ "epoch": 1, "generation": generation, "routes": routes }))
        .unwrap()
}

fn container(image: &ImageRef) -> ContainerSpec {
    ContainerSpec {
        instance: "shop".parse().unwrap(),
        slot: SlotNumber(2),
        generation: Generation(1),
        image: image.clone(),
        container_port: 8080,
        host_port: 20_001,
        environment: BTreeMap::new(),
        limits: Limits::default(),
        read_only: false,
        files: Vec::new(),
        health_path: None,
    }
}

/// Of two replicas at ports 20000 and 20001 one moves, and these are in the next table: whether that is held against the move.
async fn is_noticed(next: &[u16], second_runs: bool, closed: &[u16]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let world = world(&Plan::storm(0), folder.path(), Dice::new(0));
    if second_runs {
        let engine = world.truth.nodes.engine(&world.truth.agents[0].node);
        let image = ImageRef::new("registry.example.org/apps/shop", Digest::of(b"shop")).unwrap();
        engine.place_image(&image);
        engine.ensure_running(&container(&image), Epoch(1)).await.unwrap();
    }
    world.truth.edge.load(&table(1, &[20_000, 20_001])).await.unwrap();
    world.checker().observe(&world.truth, 0);
    let old = "6ba7b810-9dad-11d1-80b4-00c04fd430c8".parse().unwrap();
    let moving = Moving { old, generation: Generation(1), served: 2 };
    world.checker().courses.moves.insert("shop".parse().unwrap(), moving);
    world.checker().said_closed(closed.iter().copied().collect());
    world.truth.edge.load(&table(2, next)).await.unwrap();
    let found = world.checker().observe(&world.truth, 1);
    found.iter().any(|one| one.to_string().contains("a move left shop with"))
}

#[tokio::test(start_paused = true)]
async fn a_move_takes_nobody_away_who_runs() {
    assert!(is_noticed(&[20_000], true, &[]).await);
    assert!(is_noticed(&[], true, &[2001]).await, "it is not its door");
    assert!(!is_noticed(&[20_000], false, &[]).await, "it had ended, and goes for that");
    assert!(!is_noticed(&[], true, &[2000]).await, "another program has the app's door");
    assert!(!is_noticed(&[20_000, 20_001], true, &[]).await);
}
