//! A node comes back: replicas are brought to it, one in each interval, and then nothing moves any more.

use std::time::Duration;

use common::port::Store as _;
use common::port::store::Op;
use common::record::course::DecisionKind;
use common::record::deployment::SlotState;
use common::record::node::Verdict;
use common::record::path;
use common::topic::Topic;
use serde_json::json;

use crate::node_manager::Placement;
use crate::world::{World, name, node, until};

const INTERVAL: Duration = Duration::from_mins(1);

impl World {
    /// Two replicas on node 1, as node 2 is away.
    async fn crowded() -> Self {
        let mut world = World::new();
        world.config.rebalance_every = Some(INTERVAL);
        world.set_verdict("node-2", Verdict::Dead);
        world.write_instance("shop", 1, 2);
        world.live(world.deployed(1, "shop")).await;
        assert_eq!(world.homes(), ["node-1", "node-1"]);
        world.set_verdict("node-2", Verdict::Live);
        world
    }

    /// What the node manager says of apps that do not say where their replicas go; none: nothing.
    async fn set_usual_placement(&self, strategy: Option<&str>) {
        let path = path::usual_placement();
        if let Some(strategy) = strategy {
            return self.write(&path, &json!({ "schema": 1, "strategy": strategy }));
        }
        let version = self.store.get(&path).await.unwrap().unwrap().version;
        self.store.commit(vec![Op::Delete { path, version }]).await.unwrap();
    }

    /// The nodes of the replicas that are served.
    fn homes(&self) -> Vec<String> {
        let routed = self.slots("shop").into_iter().filter(|slot| slot.state == SlotState::Routed);
        let mut homes: Vec<String> =
            routed.map(|slot| slot.place.unwrap().node.to_string()).collect();
        homes.sort();
        homes
    }

    fn decided(&self) -> Vec<DecisionKind> {
        self.deployment("shop").unwrap().decisions.into_iter().map(|one| one.kind).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_back_gets_one_replica_of_two_and_never_is_one_too_few_served() {
    let world = World::crowded().await;
    world
        .live(async {
            let even = || {
                assert!(world.routes.upstreams(&name("shop")).len() >= 2);
                world.homes() == ["node-1", "node-2"]
            };
            until("each node has one", even).await;
            world.settled("shop").await;
            let before = world.deployment("shop").unwrap().placements;
            tokio::time::sleep(10 * INTERVAL).await;
            assert_eq!(world.deployment("shop").unwrap().placements, before, "it is even");
        })
        .await;
    assert_eq!(world.decided(), [DecisionKind::Moving, DecisionKind::Moved]);
    world.assert_exact("shop", 2, "moved");
}

#[tokio::test(start_paused = true)]
async fn a_move_that_no_node_takes_is_forgotten_and_asks_for_no_machine() {
    let world = World::crowded().await;
    world.set_placement(Placement::Full);
    world
        .live(async {
            let forgotten = || world.decided().contains(&DecisionKind::NotMoved);
            until("it is forgotten", forgotten).await;
            world.settled("shop").await;
        })
        .await;
    assert_eq!(world.homes(), ["node-1", "node-1"]);
    assert_eq!(world.deployment("shop").unwrap().failure, None);
    let machines = world.bus.messages(Topic::LifecycleManager);
    assert!(machines.is_empty(), "{machines:?}");
    world.assert_exact("shop", 2, "as before");
}

#[tokio::test(start_paused = true)]
async fn a_move_ends_when_its_node_dies_during_a_restart_and_another_one_begins_when_it_is_back() {
    let world = World::crowded().await;
    let begun = || world.deployment("shop").unwrap().moving.is_some();
    // The service ends while the node manager thinks.
    world.set_placement(Placement::Silent);
    world.live(until("it has begun", begun)).await;
    world.set_placement(Placement::Spread);
    world.set_verdict("node-2", Verdict::Dead);
    world
        .live(async {
            until("it is over", || !begun()).await;
            until("nothing else is left", || world.is_settled("shop")).await;
        })
        .await;
    assert_eq!(world.homes(), ["node-1", "node-1"]);
    world.set_verdict("node-2", Verdict::Live);
    let even = || world.homes() == ["node-1", "node-2"] && world.is_settled("shop");
    world.live(until("each node has one", even)).await;
    assert!(world.nodes.containers(&node("node-2")).len() == 1);
    assert_eq!(world.deployment("shop").unwrap().failure, None);
}

#[tokio::test(start_paused = true)]
async fn nothing_moves_where_it_is_switched_off_or_a_node_is_not_sure() {
    let mut world = World::crowded().await;
    world.set_verdict("node-2", Verdict::Suspect);
    world.live(tokio::time::sleep(5 * INTERVAL)).await;
    assert!(world.decided().is_empty());
    world.set_verdict("node-2", Verdict::Live);
    world.config.rebalance_every = None;
    world.live(tokio::time::sleep(5 * INTERVAL)).await;
    assert!(world.decided().is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_cannot_move_keeps_nobody_else_from_it_and_is_tried_less_and_less() {
    let world = World::crowded().await;
    world.set_usual_placement(Some("same-node")).await;
    world.live(tokio::time::sleep(5 * INTERVAL)).await;
    assert!(world.decided().is_empty(), "the node manager keeps replicas together");
    world.set_usual_placement(None).await;
    world.live(tokio::time::sleep(5 * INTERVAL)).await;
    assert!(world.decided().is_empty(), "the node manager has not said what it does");
    world.set_usual_placement(Some("spread")).await;
    world.set_placement(Placement::Full);
    world
        .live(async {
            let moves = || world.deployment("shop").unwrap().placements;
            let before = moves();
            // After 1, 6, 16 and 36 minutes: every five they would be nine.
            tokio::time::sleep(42 * INTERVAL).await;
            assert!((1..=4).contains(&(moves() - before)), "{} moves", moves() - before);
        })
        .await;
    // Another life knows what was in vain: the next move is after 76 minutes, and then after 156.
    let placed = || world.deployment("shop").unwrap().placements;
    let before = placed();
    for _ in 0..3 {
        world.live(tokio::time::sleep(10 * INTERVAL)).await;
    }
    assert_eq!(placed(), before, "it is left alone");
    let given_up = || placed() > before && world.decided().last() == Some(&DecisionKind::NotMoved);
    world.live(until("it is asked for again", given_up)).await;
    assert_eq!(world.decided(), [DecisionKind::Moving, DecisionKind::NotMoved]);
}
