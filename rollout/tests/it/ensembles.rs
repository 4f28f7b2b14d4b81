//! Whose agents have a say in the end of a member of an ensemble.

use common::port::part::PartSpec;
use rollout::parts;
use rollout::platform::AGENT_PORT;

use crate::parts::{on, platform};

fn asked(spec: &PartSpec) -> Vec<String> {
    let ensemble = &spec.health.as_ref().unwrap().ensemble;
    ensemble.iter().map(|agent| format!("{} {}", agent.node, agent.address)).collect()
}

#[test]
fn a_member_of_three_names_the_agents_of_all_in_the_order_of_the_placement() {
    let all: Vec<String> =
        (1..=3).map(|number| format!("node-{number} 192.0.2.{number}:{AGENT_PORT}")).collect();
    for node in ["node-1", "node-3"] {
        assert_eq!(asked(&on(&platform(3), node, |site| parts::zookeeper(site).unwrap())), all);
        assert_eq!(asked(&on(&platform(3), node, |site| parts::kafka(site).unwrap())), all);
    }
}

#[test]
fn one_alone_asks_nobody_and_is_specified_as_before_there_was_anybody_to_ask() {
    for spec in [
        on(&platform(1), "node-1", |site| parts::zookeeper(site).unwrap()),
        on(&platform(1), "node-1", |site| parts::kafka(site).unwrap()),
    ] {
        assert!(asked(&spec).is_empty());
        assert!(!serde_json::to_string(&spec).unwrap().contains("ensemble"));
    }
}
