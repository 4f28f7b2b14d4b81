//! A truth that is as it should be, and every way in which it can be broken.

use serde_json::{Value, json};

use super::*;
use crate::truth::edge::{Door, Edge, Served};
use crate::truth::nodes::Container;
use crate::truth::parts::Part;

const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
const REQUEST: &str = "018f0000-0000-7000-8000-000000000001";

fn address(app: &str, slot: u32) -> (String, u16) {
    let port = if app == "shop" { 20_000 } else { 20_010 };
    (format!("192.0.2.{slot}"), port)
}

fn container(app: &str, slot: u32) -> Container {
    let (ip, port) = address(app, slot);
    Container {
        node: format!("node-{slot}"),
        name: format!("{app}_instance_{slot}"),
        id: format!("{app}{slot}"),
        instance: app.to_owned(),
        slot,
        generation: 3,
        host_port: port,
        address: format!("{ip}:{port}"),
        inner: "198.51.100.2:8080".to_owned(),
        running: true,
    }
}

fn upstreams(app: &str) -> Value {
    let upstream = |slot| {
        let (ip, port) = address(app, slot);
        json!({ "ip": ip, "port": port, "slot": slot })
    };
    json!([upstream(1), upstream(2)])
}

/// Two apps with a replica on each of two nodes.
fn sound() -> Truth {
    let mut truth = Truth { epoch: 5, networks: 4, ..Truth::default() };
    let mut routes = Vec::new();
    for (app, front) in [("shop", 2000_u16), ("blog", 2001)] {
        let mut slots = Vec::new();
        for slot in [1, 2] {
            let (ip, port) = address(app, slot);
            let node = format!("node-{slot}");
            truth.containers.insert(container(app, slot));
            truth.listeners.push((node.clone(), port));
            truth.registry.insert((app.to_owned(), slot), format!("{ip}:{port}"));
            let lease = json!({ "schema": 1, "instance": app, "request": REQUEST, "leased_at": "2026-01-01T00:00:00Z" });
            truth.leases.insert((node.clone(), port), serde_json::from_value(lease).unwrap());
            slots.push(json!({
                "number": slot, "generation": 3, "placement_request": REQUEST, "state": "routed",
                "since": "2026-01-01T00:00:00Z", "container_id": format!("{app}{slot}"),
                "place": { "node": node, "ip": ip, "host_port": port },
            }));
        }
        let image = format!("registry:5000/apps/x@{DIGEST}");
        let deployment = json!({
            "schema": 1, "instance": app, "app": app, "release": 1, "generation": 3, "goal": "running",
            "state": "running", "request": REQUEST, "deadline": "2026-01-01T00:00:00Z", "slots": slots,
            "serving": { "generation": 3, "release": 1, "image": image },
            "updated_at": "2026-01-01T00:00:00Z",
        });
        truth.deployments.insert(app.to_owned(), serde_json::from_value(deployment).unwrap());
        let instance = json!({
            "schema": 1, "name": app, "app": app, "release": 1, "owner": "ann", "replicas": 2,
            "created_at": "2026-01-01T00:00:00Z", "generation": 1, "state": "deployed",
            "request": REQUEST, "url": format!("http://192.0.2.9:{front}"),
            "updated_at": "2026-01-01T00:00:00Z",
        });
        truth.instances.insert(app.to_owned(), serde_json::from_value(instance).unwrap());
        let route = json!({
            "schema": 1, "instance": app, "front_port": front, "host": app, "upstreams": upstreams(app),
            "generation": 3, "image": "x", "container_port": 8080, "container_ids": [],
        });
        truth.recorded.insert(app.to_owned(), serde_json::from_value(route).unwrap());
        routes.push(json!({ "instance": app, "front_port": front, "host": app, "upstreams": upstreams(app) }));
        truth.front_ports.insert(app.to_owned(), front);
        truth.front_leases.insert(front, app.to_owned());
        truth.routes.insert(app.to_owned(), BTreeSet::new());
        let door = Door { status: 200, instance: Some(app.to_owned()) };
        truth.doors.insert(app.to_owned(), door);
    }
    truth.listeners.sort_unstable();
    let table = json!({ "epoch": 5, "generation": 9, "routes": routes });
    truth.table = Some(serde_json::from_value(table).unwrap());
    truth.served = Served { epoch: 5, generation: 9, routes: 2 };
    truth
}

#[test]
fn what_is_as_it_should_be_is_consistent() {
    sound().is_consistent().unwrap();
    let mut pair = sound();
    let mut other = other_edge(&pair);
    other.table.as_mut().unwrap().generation.0 = 4;
    other.served.generation = 4;
    pair.other_edges.push(other);
    pair.is_consistent().unwrap();
    Truth { served: Served { epoch: -1, generation: -1, routes: 0 }, ..Truth::default() }
        .is_consistent()
        .unwrap();
}

/// The replica of `shop` 1 is a newer generation's, and its container with it; `share` is what it gets.
fn newer(truth: &mut Truth, share: &Value) {
    changed(truth, |one| one.generation = 4);
    let shop = truth.deployments.get_mut("shop").unwrap();
    shop.generation.0 = 4;
    shop.slots[0].generation.0 = 4;
    shop.canary = serde_json::from_value(share.clone()).unwrap();
}

#[test]
fn a_canary_runs_beside_what_is_served_and_nothing_else_does() {
    let mut truth = sound();
    newer(&mut truth, &json!({ "share": 20, "since": "2026-01-01T00:00:00Z", "told": true }));
    truth.is_consistent().unwrap();
    let mut truth = sound();
    newer(&mut truth, &Value::Null);
    let found = truth.is_consistent().unwrap_err();
    assert!(found.to_string().starts_with("I2,"), "{found:#}");
}

/// Replaces the container of `shop` 1 by what `change` makes of it.
fn changed(truth: &mut Truth, change: impl Fn(&mut Container)) {
    let mut one = container("shop", 1);
    assert!(truth.containers.remove(&one));
    change(&mut one);
    truth.containers.insert(one);
}

/// One that serves what the first one serves.
fn other_edge(truth: &Truth) -> Edge {
    let (table, doors) = (truth.table.clone(), truth.doors.clone());
    Edge { name: "node-2".to_owned(), table, served: truth.served, doors }
}

type Break = fn(&mut Truth);

fn swap_upstreams(truth: &mut Truth) {
    let routes = &mut truth.table.as_mut().unwrap().routes;
    let [shop, blog] = routes.as_mut_slice() else { panic!("there are two") };
    std::mem::swap(&mut shop.upstreams, &mut blog.upstreams);
}

/// The law that is broken, in which way, and how.
const WAYS: [(&str, &str, Break); 30] = [
    ("I4", "swapped upstreams", swap_upstreams),
    ("I2", "a dead container", |truth| changed(truth, |one| one.running = false)),
    ("I2", "an old generation", |truth| changed(truth, |one| one.generation = 2)),
    ("I2", "another container", |truth| changed(truth, |one| one.id = "x".to_owned())),
    ("I2", "another node", |truth| changed(truth, |one| one.node = "node-2".to_owned())),
    ("I2", "a second container", |truth| {
        let second = Container { id: "second".to_owned(), ..container("shop", 1) };
        truth.containers.insert(second);
    }),
    ("I2", "an orphan", |truth| {
        truth.containers.insert(container("gone", 1));
    }),
    ("I2", "a slot without a container", |truth| {
        truth.containers.remove(&container("shop", 1));
    }),
    ("I2", "a slot that is not served", |truth| {
        truth.deployments.get_mut("shop").unwrap().slots[0].generation.0 = 4;
    }),
    ("I2", "a part that does not run", |truth| {
        let (node, name) = ("node-1".to_owned(), "monitoring".to_owned());
        truth.parts.standing.push(Part { node, name, running: false });
    }),
    ("I3", "a lease of another app", |truth| {
        let lease = truth.leases.get_mut(&("node-1".to_owned(), 20_000)).unwrap();
        lease.instance = "blog".parse().unwrap();
    }),
    ("I3", "a lease of another request", |truth| {
        let lease = truth.leases.get_mut(&("node-1".to_owned(), 20_000)).unwrap();
        lease.request = lease.request.derive("another");
    }),
    ("I3", "a lease of nobody", |truth| {
        let lease = truth.leases[&("node-1".to_owned(), 20_000)].clone();
        truth.leases.insert(("node-1".to_owned(), 20_500), lease);
    }),
    ("I3", "a stranger listens", |truth| {
        truth.listeners.push(("node-2".to_owned(), 29_000));
    }),
    ("I3", "two listeners on one port", |truth| {
        truth.listeners.insert(0, ("node-1".to_owned(), 20_000));
    }),
    ("I3", "a front port of nobody", |truth| {
        truth.front_leases.insert(2002, "gone".to_owned());
    }),
    ("I3", "a front port twice", |truth| {
        truth.front_ports.insert("blog".to_owned(), 2000);
    }),
    ("I4", "a registry entry elsewhere", |truth| {
        truth.registry.insert(("shop".to_owned(), 1), "192.0.2.77:20000".to_owned());
    }),
    ("I4", "a registry entry of nobody", |truth| {
        truth.registry.insert(("gone".to_owned(), 1), "192.0.2.77:20000".to_owned());
    }),
    ("I4", "another app answers", |truth| {
        truth.doors.get_mut("shop").unwrap().instance = Some("blog".to_owned());
    }),
    ("I5", "a staged file", |truth| {
        truth.staged.insert("upload".to_owned());
    }),
    ("I5", "a build's container", |truth| {
        truth.unlabelled.insert("node-1:busy".to_owned());
    }),
    ("I5", "a scale of nobody", |truth| {
        truth.scales.insert("gone".to_owned());
    }),
    ("I5", "a network too many", |truth| truth.networks = 15),
    ("I10", "the edge lags", |truth| truth.served.generation = 8),
    ("I10", "the other edge lags", |truth| {
        let served = Served { generation: 8, ..truth.served };
        truth.other_edges.push(Edge { served, ..other_edge(truth) });
    }),
    ("I10", "the other edge has another table", |truth| {
        truth.other_edges.push(Edge { table: None, ..other_edge(truth) });
    }),
    ("I10", "the other edge does not answer", |truth| {
        truth.other_edges.push(Edge { doors: BTreeMap::new(), ..other_edge(truth) });
    }),
    ("I10", "the app does not answer", |truth| {
        truth.doors.get_mut("shop").unwrap().status = 502;
    }),
    ("I10", "users wait for ever", |truth| {
        truth.instances.get_mut("shop").unwrap().state = instance::State::Deploying;
    }),
];

#[test]
fn every_broken_law_is_named() {
    for (law, what, break_it) in WAYS {
        let mut truth = sound();
        break_it(&mut truth);
        let found = truth.is_consistent().expect_err(what);
        assert!(found.to_string().starts_with(&format!("{law},")), "{what}: {found:#}");
    }
}
