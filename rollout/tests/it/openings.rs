//! What machines let in from one another.

use std::collections::BTreeSet;
use std::sync::Arc;

use common::port::machines::{AzureShape, Opening, Origin, Shape};
use common::port::part::PartSpec;
use common::service::ServiceName;
use rollout::machine::Goal;
use rollout::parts::{self, APP_PORTS, BasePart, FRONT_PORTS, listeners, openings};
use rollout::platform::{AGENT_PORT, EdgeSettings, Platform};

use crate::parts::{on, platform, service};
use crate::world::{Notes, World, ensure};

fn is_open(openings: &[Opening], port: u16) -> bool {
    openings.iter().any(|opening| opening.first <= port && port <= opening.last)
}

/// Every part that there may be on the machines of a platform.
fn all_parts(platform: &Platform) -> Vec<PartSpec> {
    let mut specs: Vec<PartSpec> = ServiceName::ALL
        .into_iter()
        .filter(|name| *name != ServiceName::NodeAgent)
        .map(|name| service(platform, "node-4", name))
        .collect();
    for node in ["node-1", "node-2", "node-3"] {
        specs.push(on(platform, node, |site| parts::zookeeper(site).unwrap()));
        specs.push(on(platform, node, |site| parts::kafka(site).unwrap()));
    }
    specs.push(on(platform, "node-1", |site| parts::registry(site).unwrap()));
    specs.push(on(platform, "node-4", |site| parts::edge(site).unwrap()));
    specs
}

/// The ports at which a part is told that it, or another one, is found on the machines' network.
fn named_in(spec: &PartSpec) -> BTreeSet<u16> {
    let texts = spec.environment.values().chain(spec.files.iter().map(|file| &file.content));
    let mut ports = BTreeSet::new();
    for text in texts {
        for found in text.split("192.0.2.").skip(1) {
            let word = found.split(|other: char| !other.is_ascii_digit() && other != ':').next();
            let numbers = word.unwrap_or_default().split(':').skip(1);
            ports.extend(numbers.filter_map(|number| number.parse::<u16>().ok()));
        }
    }
    ports
}

#[test]
fn whatever_a_part_is_told_of_another_machine_is_let_in_there() {
    let platform = platform(3);
    let open = openings(&platform);
    let specs = all_parts(&platform);
    let mut told = BTreeSet::new();
    for spec in &specs {
        // Where people find a service is said to other services, which do not go there.
        let plain = ServiceName::ALL.into_iter().filter_map(listeners).map(|own| own.plain);
        let plain: BTreeSet<u16> = plain.collect();
        for port in named_in(spec).difference(&plain) {
            assert!(is_open(&open, *port), "{}: {port} is not in {open:?}", spec.name);
            told.insert(*port);
        }
    }
    assert!(told.is_superset(&[2181, 2888, 3888, 5000, 9080, 9092, 9094].into()), "{told:?}");
}

#[test]
fn every_part_the_agent_every_service_and_the_pools_of_apps_are_let_in_from_the_network_alone() {
    let platform = platform(3);
    let open = openings(&platform);
    assert!(open.iter().all(|opening| opening.from == Origin::Network), "{open:?}");
    let services = ServiceName::ALL.into_iter().filter_map(listeners);
    let inside: Vec<u16> = services.clone().map(|own| own.mutual_tls).collect();
    let plain: Vec<u16> = services.map(|own| own.plain).collect();
    let of_parts = BasePart::ALL.into_iter().flat_map(|part| part.ports(&platform));
    let of_parts = of_parts.filter(|port| !plain.contains(port));
    for port in [AGENT_PORT].into_iter().chain(inside).chain(of_parts) {
        assert!(is_open(&open, port), "{port} is not in {open:?}");
    }
    for port in plain.into_iter().chain([22, 80, 443, 8089]) {
        assert!(!is_open(&open, port), "{port} is in {open:?}");
    }
}

#[test]
fn the_pools_are_those_that_are_given_out() {
    let said = |config: &str, key: &str| {
        let line = config.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
        line.unwrap().parse::<u16>().unwrap()
    };
    let nodes = include_str!("../../../config/node-manager.toml");
    assert_eq!((said(nodes, "first_port"), said(nodes, "last_port")), APP_PORTS);
    let edge = include_str!("../../../config/load-balancer.toml");
    assert_eq!((said(edge, "first_port"), said(edge, "last_port")), FRONT_PORTS);
    let entry = include_str!("../../../docker/edge/entry.sh");
    assert!(entry.contains("EDGE_FRONT_PORTS:-2000-2999"), "the edge opens others");
}

#[test]
fn ports_that_are_said_otherwise_are_let_in_and_the_door_only_where_it_is_one() {
    let door = listeners(ServiceName::AppManager).unwrap().plain;
    let mut platform = platform(1);
    assert!(!is_open(&openings(&platform), door));
    platform.door = "0.0.0.0".parse().unwrap();
    platform.edge =
        EdgeSettings { host_port: Some(8888), tls_port: Some(8889), ..EdgeSettings::default() };
    let open = openings(&platform);
    assert!([door, 8888, 8889].into_iter().all(|port| is_open(&open, port)), "{open:?}");
    assert!(!is_open(&open, 8088), "{open:?}");
    let in_order = open.windows(2).all(|pair| pair[0].last + 1 < pair[1].first);
    assert!(in_order, "none twice: {open:?}");
}

#[tokio::test(start_paused = true)]
async fn a_machine_whose_shape_says_what_it_lets_in_is_made_with_what_the_platform_needs() {
    let mut world = World::new();
    world.ports.backends.insert("azure", Arc::new(world.machines.clone()));
    let visitors = Opening { first: 80, last: 80, from: Origin::Anywhere };
    let described = Shape::Azure(AzureShape { opened: vec![visitors], ..AzureShape::default() });
    let wanted = openings(&platform(3));
    let mut goal = Goal { openings: wanted.clone(), ..World::local() };
    goal.machine.shape = described.clone();
    let made = Notes::ending_at(2);
    ensure(&world.ports, &goal, &made).await.unwrap_err();
    let [spec] = &world.machines.specs()[..] else { panic!("one machine is made") };
    let Shape::Azure(shape) = &spec.shape else { panic!("{spec:?}") };
    let all: Vec<Opening> = wanted.into_iter().chain([visitors]).collect();
    assert_eq!(shape.opened, all);
    assert_eq!(made.known().unwrap().shape, described, "what was described stays as it is");
}
