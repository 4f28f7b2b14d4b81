use chassis::leader::Lost;
use chassis::leading::{HeldNodes, Refused};
use chassis::lifecycle::Lifecycle;
use common::id::Epoch;
use testkit::MemoryStore;

use super::{Instance, SERVICE, node, overtake, until};

fn told(lifecycle: &Lifecycle) -> Option<Result<(), String>> {
    lifecycle.readiness().remove("nodes")
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_led_from_another_store_is_held_and_named() {
    let tree = MemoryStore::new();
    let first = Instance::working(&tree, 1).await;
    let (held, lifecycle) = (HeldNodes::default(), Lifecycle::new());
    let looking = async {
        until("none is held", || told(&lifecycle) == Some(Ok(()))).await;
        assert_eq!(held.refused(&first.seat, &node("node-2"), Epoch(8)).await, Refused::Held);
        assert_eq!(held.refused(&first.seat, &node("node-1"), Epoch(9)).await, Refused::Held);
        assert_eq!(held.refused(&first.seat, &node("node-2"), Epoch(8)).await, Refused::Held);
        let is_named = || {
            let why = told(&lifecycle).and_then(Result::err).unwrap_or_default();
            why.starts_with("node-1, node-2: led from another store")
        };
        until("both are named", is_named).await;
        lifecycle.stop();
    };
    futures::join!(looking, held.tell(&lifecycle));
    assert!(first.worker.is_at_work(), "the others are led on");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_because_another_leads_ends_the_run() {
    let tree = MemoryStore::new();
    let mut first = Instance::working(&tree, 1).await;
    overtake(&tree, Epoch(1)).await;
    let held = HeldNodes::default();
    assert_eq!(held.refused(&first.seat, &node("node-1"), Epoch(2)).await, Refused::Deposed);
    assert_eq!(first.ends().await, Some(Err(Lost::Deposed(SERVICE))));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_while_nobody_knows_who_leads_ends_the_run() {
    let tree = MemoryStore::new();
    let mut first = Instance::working(&tree, 1).await;
    tree.go_down();
    let held = HeldNodes::default();
    assert_eq!(held.refused(&first.seat, &node("node-1"), Epoch(2)).await, Refused::Deposed);
    assert_eq!(first.ends().await, Some(Err(Lost::Deposed(SERVICE))));
}
