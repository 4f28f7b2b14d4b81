//! What may be leased and be nobody's.

use serde_json::json;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + seconds).unwrap()
}

fn deployment(decisions: &[(i64, &str)]) -> Deployment {
    let decision = |(seconds, kind): &(i64, &str)| json!({ "at": at(*seconds), "kind": kind, "reason": "it is so" });
    let decisions: Vec<_> = decisions.iter().map(decision).collect();
    let record = json!({
        "schema": 1, "instance": "shop", "app": "shop", "release": 1, "generation": 1, "since": 1, "goal": "running",
        "state": "running", "request": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "origin": { "way": "deployed" },
        "deadline": at(0), "decisions": decisions, "releases": [], "slots": [], "placements": 0,
        "updated_at": at(0), "owed": [],
    });
    serde_json::from_value(record).unwrap()
}

fn lease(instance: &str) -> PortLease {
    PortLease {
        schema: 1,
        instance: instance.parse().unwrap(),
        request: "6ba7b811-9dad-11d1-80b4-00c04fd430c8".parse().unwrap(),
        leased_at: at(0),
        released_at: None,
    }
}

#[test]
fn a_lease_of_a_move_that_came_to_nothing_is_nobodys_only_until_it_is_given_back() {
    let may = |instance: &str, decisions: &[(i64, &str)], now| {
        is_of_vain_move(&lease(instance), &[deployment(decisions)], Some(at(now)))
    };
    let in_vain = [(0, "moving"), (1, "not_moved")];
    assert!(may("shop", &in_vain, 19));
    assert!(!may("shop", &in_vain, 20), "it leaked");
    assert!(!may("other", &in_vain, 1), "nothing of it was to move");
    assert!(!may("shop", &[(0, "moving"), (1, "moved")], 1), "it is the replica's, or it leaked");
    assert!(!may("shop", &[], 1));
}
