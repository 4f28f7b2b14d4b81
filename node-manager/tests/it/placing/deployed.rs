//! Requests for what a deployment's record says of them: which release, and whether it moves.

use common::digest::{Digest, ImageRef};
use common::failure::FailureCode;
use common::port::container::Limits;
use common::port::nodes::NodeUse;
use common::record::operation::Outcome;
use common::record::path;
use serde_json::{Value, json};

use super::{GIB, measured, operation};
use crate::world::{World, id, instance, name};

/// A deployment as the deployment manager writes it before it asks; without an instance of its own,
/// as after a message of some other program.
pub(super) fn deployed(
    world: &World,
    app: &str,
    serving: Option<u32>,
    release: u32,
    slots: &[(u128, u64)],
) {
    let image = ImageRef::new("x", Digest::of(b"x")).unwrap();
    let slots: Vec<Value> = (1..)
        .zip(slots)
        .map(|(number, (request, generation))| {
            json!({
                "number": number, "generation": generation, "placement_request": id(*request),
                "state": "asked", "since": "2026-01-01T00:00:00Z",
            })
        })
        .collect();
    let serving =
        serving.map(|release| json!({ "generation": 1, "release": release, "image": image }));
    let record = json!({
        "schema": 1, "instance": app, "app": app, "release": release, "generation": 2,
        "goal": "running", "state": "placing", "request": id(0), "serving": serving,
        "deadline": "2026-01-01T00:00:00Z", "slots": slots, "updated_at": "2026-01-01T00:00:00Z",
    });
    world.write(&path::deployment(&instance(app)), &record);
}

/// Somebody moves a replica: the new one is placed by this request.
fn moves(world: &World, app: &str, request: u128, to: &[&str]) {
    let at = path::deployment(&instance(app));
    let mut record: Value = world.read(&at).unwrap();
    record["moving"] = json!({
        "new": id(request), "old": id(99), "to": to, "since": "2026-01-01T00:00:00Z",
        "reason": "it is crowded",
    });
    world.write(&at, &record);
}

#[tokio::test(start_paused = true)]
async fn what_moves_goes_where_it_is_better_off_and_nowhere_else() {
    let world = World::with_nodes(3);
    let busy = NodeUse { cpu_percent: 80.0, ..measured() };
    world.nodes.set_use(&name("node-3"), busy);
    deployed(&world, "shop", Some(1), 1, &[(1, 1), (2, 1), (3, 1)]);
    moves(&world, "shop", 1, &["node-3"]);
    world
        .during(async {
            world.ask(1, "shop").await;
            assert_eq!(world.choice(1).await.name, name("node-3"), "others are less busy");
            let full = NodeUse { memory_total_bytes: 1, ..busy };
            world.nodes.set_use(&name("node-3"), full);
            tokio::time::sleep(std::time::Duration::from_secs(3)).await;
            moves(&world, "shop", 2, &["node-3"]);
            world.ask(2, "shop").await;
            assert_eq!(world.answer(2).await.node, Err(FailureCode::NoNodeFits));
            world.ask(3, "shop").await;
            assert_ne!(world.choice(3).await.name, name("node-3"), "it does not move");
        })
        .await;
    let Some(Outcome::Failed { failure, .. }) = operation(&world, 2).outcome else {
        panic!("the request has failed");
    };
    let expected = "no node takes the container: 1 without enough memory left to promise, \
        2 where what moves is no better off";
    assert_eq!(failure.message, expected);
}

#[tokio::test(start_paused = true)]
async fn what_was_stopped_a_moment_ago_is_no_replica_to_stay_away_from() {
    let world = World::with_nodes(2);
    world.nodes.set_use(&name("node-1"), NodeUse { cpu_percent: 80.0, ..measured() });
    world.nodes.set_use(&name("node-2"), measured());
    world
        .during(async {
            deployed(&world, "shop", None, 1, &[(1, 1)]);
            world.ask(1, "shop").await;
            assert_eq!(world.choice(1).await.name, name("node-2"));
            // Its lease is still there.
            deployed(&world, "shop", None, 1, &[(2, 2), (3, 2)]);
            world.nodes.set_use(&name("node-1"), measured());
            tokio::time::sleep(std::time::Duration::from_secs(3)).await;
            world.ask(2, "shop").await;
            let first = world.choice(2).await.name;
            world.ask(3, "shop").await;
            assert_ne!(world.choice(3).await.name, first);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_a_container_may_use_is_what_its_deployment_runs() {
    let world = World::with_nodes(1);
    let limits = |memory_bytes| Limits { memory_bytes, ..Limits::default() };
    world.nodes.set_use(&name("node-1"), NodeUse { memory_total_bytes: GIB, ..measured() });
    world.release("blog", 1, limits(GIB / 8));
    world.release("blog", 2, limits(2 * GIB));
    deployed(&world, "blog", Some(1), 2, &[(1, 2), (2, 1)]);
    world
        .during(async {
            world.ask(1, "blog").await;
            assert_eq!(world.answer(1).await.node, Err(FailureCode::NoNodeFits));
            world.ask(2, "blog").await;
            world.choice(2).await;
        })
        .await;
}
