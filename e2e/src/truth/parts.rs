//! The platform's own services as parts on its nodes: what stands, what is placed, what is said of it, and how
//! it is found.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use common::record::platform::{InstanceState, PlacedService, PlatformGoal, RunningService};
use common::record::route::Route;
use common::service::ServiceName;

use super::tree::Tree;

/// One container of the platform itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    pub node: String,
    pub name: String,
    pub running: bool,
}

/// All parts, and the records of those that are placed.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    pub standing: Vec<Part>,
    placed: BTreeMap<String, PlacedService>,
    running: BTreeMap<String, RunningService>,
    /// `ip:port` of every entry of a service in document 001's registry, by the name that it has there.
    registered: BTreeMap<String, Vec<String>>,
}

impl Parts {
    pub(super) fn new(standing: Vec<Part>, tree: &Tree) -> anyhow::Result<Self> {
        let mut registered: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (path, value) in tree.below("/services") {
            let service = path.split('/').next().unwrap_or(path).to_owned();
            registered.entry(service).or_default().push(String::from_utf8(value.to_vec())?);
        }
        let placed = tree.records("/avishkar/platform/services")?;
        let running = tree.records("/avishkar/running")?;
        Ok(Parts { standing, placed, running, registered })
    }

    /// Whether a route has this name because a service of the platform has it.
    pub(super) fn have_route(&self, name: &str) -> bool {
        let mut services = self.placed.values().map(|placed| placed.service);
        services.any(|service| service.registry_name() == name)
    }

    /// Each placed service runs where it is said to, on so many nodes as it should, and on each once; where a machine was
    /// lost another one has it. All of it is said to be ready.
    pub(super) fn each_is_once(&self) -> anyhow::Result<()> {
        for part in &self.standing {
            ensure!(part.running, "it does not run: {part:?}");
        }
        for (service, placed) in &self.placed {
            let wanted = match placed.goal {
                PlatformGoal::On => placed.nodes.len(),
                PlatformGoal::Off => 0,
            };
            let stands = self.standing.iter().filter(|part| part.name == *service);
            let stands = sorted(stands.map(|part| part.node.clone()).collect());
            let distinct: BTreeSet<&String> = stands.iter().collect();
            let is_once = stands.len() == wanted && distinct.len() == wanted;
            ensure!(is_once, "{service} stands on {stands:?}, and should on {wanted} nodes");
            let said = self.running.get(service);
            let said = said.iter().flat_map(|running| &running.instances);
            let ready = said.clone().filter(|one| one.state == InstanceState::Ready);
            let ready = sorted(ready.map(|one| one.node.to_string()).collect());
            let all = said.count();
            ensure!(
                ready == stands && all == wanted,
                "{service} stands on {stands:?}, and of {all} those on {ready:?} are said to be ready"
            );
        }
        Ok(())
    }

    /// The registry has one entry of each service that is on, and it leads there, or to its front port, which leads there.
    pub(super) fn each_is_found(&self, routes: &BTreeMap<String, Route>) -> anyhow::Result<()> {
        for (service, placed) in &self.placed {
            let name = placed.service.registry_name();
            let entries = self.registered.get(name).map(Vec::as_slice).unwrap_or_default();
            let route = routes.get(name);
            if placed.goal == PlatformGoal::Off {
                let is_gone = entries.is_empty() && route.is_none();
                ensure!(is_gone, "{service} is off, and found at {entries:?}, {route:?}");
                continue;
            }
            let running = self.running.get(service).context("nothing is said of a service")?;
            let addresses = running.instances.iter().map(|one| one.address.to_string());
            let addresses: BTreeSet<String> = addresses.collect();
            let [entry] = entries else { anyhow::bail!("{service} is found at {entries:?}") };
            let Some(route) = route else {
                ensure!(
                    addresses.contains(entry),
                    "{service}, on {addresses:?}, is found at {entry}"
                );
                continue;
            };
            let door = format!(":{}", route.front_port);
            ensure!(entry.ends_with(&door), "{service}, at {door}, is found at {entry}");
            let led_to = route.upstreams.iter().map(|upstream| upstream.address().to_string());
            let led_to: BTreeSet<String> = led_to.collect();
            ensure!(led_to == addresses, "{service}, on {addresses:?}, has a route to {led_to:?}");
        }
        let known = |name: &String| ServiceName::ALL.iter().any(|one| one.registry_name() == name);
        let strange = self.registered.keys().find(|name| !known(name));
        ensure!(strange.is_none(), "the registry has {strange:?}");
        Ok(())
    }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NODES: [&str; 2] = ["node-1", "node-2"];

    /// Two services on two nodes each, of which the app manager has a front door.
    fn sound() -> (Parts, BTreeMap<String, Route>) {
        let mut parts = Parts::default();
        for (service, port) in [("app-manager", 8010), ("monitoring", 8070)] {
            for node in NODES {
                let name = service.to_owned();
                parts.standing.push(Part { node: node.to_owned(), name, running: true });
            }
            let placed = json!({ "schema": 1, "service": service, "generation": 1, "goal": "on", "nodes": NODES });
            parts.placed.insert(service.to_owned(), serde_json::from_value(placed).unwrap());
            let instance = |slot: usize| {
                json!({
                    "part": service, "node": NODES[slot], "address": format!("192.0.2.{slot}:{port}"),
                    "state": "ready", "since": "2026-01-01T00:00:00Z",
                })
            };
            let instances = [instance(0), instance(1)];
            let running =
                json!({ "schema": 1, "service": service, "generation": 1, "instances": instances });
            parts.running.insert(service.to_owned(), serde_json::from_value(running).unwrap());
        }
        let entries = [("application_manager", "192.0.2.9:2001"), ("monitoring", "192.0.2.1:8070")];
        for (name, at) in entries {
            parts.registered.insert(name.to_owned(), vec![at.to_owned()]);
        }
        let upstream =
            |slot| json!({ "ip": format!("192.0.2.{slot}"), "port": 8010, "slot": slot });
        let route: Value = json!({
            "schema": 1, "instance": "application_manager", "front_port": 2001, "host": "application-manager",
            "upstreams": [upstream(0), upstream(1)], "generation": 1, "image": "app-manager",
            "container_port": 8010, "container_ids": [],
        });
        let route = serde_json::from_value(route).unwrap();
        (parts, [("application_manager".to_owned(), route)].into())
    }

    #[test]
    fn what_is_placed_and_stands_is_right() {
        let (parts, routes) = sound();
        parts.each_is_once().unwrap();
        parts.each_is_found(&routes).unwrap();
        assert!(parts.have_route("application_manager") && !parts.have_route("shop"));
    }

    #[test]
    fn a_part_that_is_missing_stopped_or_elsewhere_is_found() {
        type Change = fn(&mut Parts);
        let changes: [Change; 6] = [
            |parts| drop(parts.standing.pop()),
            |parts| parts.standing[0].running = false,
            |parts| parts.standing[0].node = "node-3".to_owned(),
            |parts| {
                let of_another = Part { node: "node-3".to_owned(), ..parts.standing[0].clone() };
                parts.standing.push(of_another);
            },
            |parts| drop(parts.running.get_mut("monitoring").unwrap().instances.pop()),
            |parts| {
                let monitoring = parts.running.get_mut("monitoring").unwrap();
                monitoring.instances[0].state = InstanceState::Silent;
            },
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let (mut parts, _) = sound();
            change(&mut parts);
            assert!(parts.each_is_once().is_err(), "change {number}");
        }
        let (mut parts, routes) = sound();
        parts.placed.get_mut("monitoring").unwrap().goal = PlatformGoal::Off;
        assert!(parts.each_is_once().is_err(), "what is off runs");
        assert!(parts.each_is_found(&routes).is_err(), "what is off is found");
    }

    #[test]
    fn an_entry_that_is_missing_twice_there_or_leads_elsewhere_is_found() {
        let entries: [(&str, &[&str]); 5] = [
            ("monitoring", &[]),
            ("monitoring", &["192.0.2.1:8070", "192.0.2.0:8070"]),
            ("monitoring", &["192.0.2.7:8070"]),
            ("application_manager", &["192.0.2.9:2002"]),
            ("ghost", &["192.0.2.1:8070"]),
        ];
        for (name, at) in entries {
            let (mut parts, routes) = sound();
            let at = at.iter().map(|one| (*one).to_owned()).collect();
            parts.registered.insert(name.to_owned(), at);
            assert!(parts.each_is_found(&routes).is_err(), "{name}");
        }
        let (parts, mut routes) = sound();
        routes.get_mut("application_manager").unwrap().upstreams.pop();
        assert!(parts.each_is_found(&routes).is_err(), "a route misses an instance");
    }
}
