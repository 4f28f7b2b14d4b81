//! Who may be silent while the number of replicas follows the load: histories made by hand.

use std::sync::Arc;

use common::port::Edge as _;
use common::port::edge::Table;
use common::record;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::dice::Dice;
use crate::run::{Plan, world};
use crate::world::World;

const SECOND: u64 = 1_000_000;
/// When something is decided.
const DECIDED: u64 = 20 * SECOND;
const REQUEST: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
const AT: &str = "2026-01-01T00:00:00Z";

/// An app with two replicas that are served, on the first two of three nodes, and one of a later generation on the third;
/// all of them are in the edge's table, and there is much to do.
struct History {
    world: Arc<World>,
    _folder: TempDir,
}

/// What the replica of the later generation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    Canary,
    /// It was one, and is about to go.
    Leftover,
}

impl History {
    async fn of(beside: Beside) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = world(&Plan::storm(0), folder.path(), Dice::new(0));
        let ips: Vec<_> = world.truth.agents.iter().map(|agent| agent.address.ip()).collect();
        let slot = |number: usize, generation: u32| {
            json!({
                "number": number, "generation": generation, "placement_request": REQUEST,
                "state": "routed", "since": AT,
                "place": { "node": format!("node-{number}"), "ip": ips[number - 1], "host_port": 20_000 + number },
            })
        };
        let canary = json!({ "share": 24, "since": AT, "told": true });
        let image = format!("registry.example.org/apps/shop@sha256:{:064}", 1);
        let deployment = json!({
            "schema": 1, "instance": "shop", "app": "shop", "release": 2, "generation": 3, "goal": "running",
            "state": "running", "request": REQUEST, "deadline": AT, "updated_at": AT,
            "serving": { "generation": 2, "release": 1, "image": image },
            "canary": (beside == Beside::Canary).then_some(canary),
            "slots": [slot(1, 2), slot(2, 2), slot(3, 3)],
        });
        let deployment: Deployment = serde_json::from_value(deployment).unwrap();
        let path = path::deployment(&deployment.instance);
        world.truth.store.seed(&path, record::encode(&deployment));
        let upstream = |number: usize| json!({ "ip": ips[number - 1], "port": 20_000 + number, "slot": number });
        let table = json!({
            "epoch": 1, "generation": 1,
            "routes": [{
                "instance": "shop", "front_port": 2000, "host": "shop",
                "upstreams": [upstream(1), upstream(2), upstream(3)],
            }],
        });
        let table: Table = serde_json::from_value(table).unwrap();
        world.truth.edge.load(&table).await.unwrap();
        world.checker().load_is(Load::Busy, 0);
        History { world, _folder: folder }
    }

    fn node_is(&self, node: &str, is_heard: bool, at: u64) {
        self.world.checker().node_is(&node.parse().unwrap(), is_heard, at);
    }

    /// What is said of a decision to have another number of replicas.
    fn decides(&self, from: u32, to: u32, kind: &str) -> Vec<String> {
        let decision =
            json!({ "at": AT, "from": from, "to": to, "kind": kind, "reason": "it is so" });
        let scale = json!({
            "schema": 1, "instance": "shop", "replicas": to, "generation": 1, "request": REQUEST,
            "decisions": [decision],
        });
        let scale: Scale = serde_json::from_value(scale).unwrap();
        let committed = Committed {
            path: path::scale(&scale.instance),
            before: None,
            after: Some(record::encode(&scale)),
            by: 0,
        };
        let mut checker = self.world.checker();
        checker.check_scale(&committed, &self.world.truth, DECIDED);
        std::mem::take(&mut checker.violations).into_iter().map(|one| one.to_string()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn while_all_are_heard_of_a_replica_is_added() {
    let history = History::of(Beside::Canary).await;
    assert_eq!(history.decides(2, 3, "processor"), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn while_one_that_is_served_is_silent_nothing_is_added_or_taken() {
    for (kind, to) in [("processor", 3), ("idle", 1)] {
        let history = History::of(Beside::Canary).await;
        history.node_is("node-2", false, 10 * SECOND);
        let said = history.decides(2, to, kind);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("I10HonestStatus: shop went from 2"), "{said:?}");
        assert!(said[0].ends_with("though a replica of it is not heard of"), "{said:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_counts_after_a_while_and_until_it_ends() {
    let history = History::of(Beside::Canary).await;
    history.node_is("node-2", false, DECIDED - UNHEARD.as_secs() * SECOND);
    assert_eq!(history.decides(2, 3, "processor"), Vec::<String>::new(), "it may be late");
    let history = History::of(Beside::Canary).await;
    history.node_is("node-2", false, 10 * SECOND);
    history.node_is("node-2", true, 15 * SECOND);
    assert_eq!(history.decides(2, 3, "processor"), Vec::<String>::new(), "it is back");
}

#[tokio::test(start_paused = true)]
async fn a_canary_may_be_silent_and_what_is_no_canary_may_not() {
    let history = History::of(Beside::Canary).await;
    history.node_is("node-3", false, 10 * SECOND);
    assert_eq!(history.decides(2, 3, "processor"), Vec::<String>::new());
    let history = History::of(Beside::Leftover).await;
    history.node_is("node-3", false, 10 * SECOND);
    assert_eq!(history.decides(2, 3, "processor").len(), 1);
}
