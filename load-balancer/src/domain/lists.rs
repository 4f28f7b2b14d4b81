//! Document 001's four lists, built from records: field for field as its programs wrote them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use common::name::LegacyName;
use common::port::edge::Upstream;
use common::port::nodes::{ContainerUse, Sample};
use common::record::node::Node;
use common::record::route::{Route, RouteGoal};
use serde::Serialize;

/// Above these a container is called unhealthy.
const RAM_LIMIT: f64 = 75.0;
const CPU_LIMIT: f64 = 80.0;

/// A row of `VmDetails.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct VmRow {
    vm_name: String,
    vm_ip: String,
    /// There is no way in by name and key: nodes are told through their agents.
    vm_username: String,
    vm_key_path: String,
    vm_service_path: String,
    #[serde(rename = "latestAvailablePort")]
    latest_available_port: u16,
    hosted_apps: Vec<LegacyName>,
}

/// A row of `AppDetails.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AppRow {
    app_name: LegacyName,
    image_name: String,
    host_vm: String,
    instances: usize,
    container_port: u16,
    host_ports: Vec<u16>,
    nginx_port: u16,
    container_ids: Vec<String>,
    endpoint: String,
}

/// A row of `AppHealth.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HealthRow {
    app_name: LegacyName,
    stats: Vec<String>,
}

/// The row of `NginxPort.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PortRow {
    id: &'static str,
    latest_available_port: u16,
}

/// A machine, and its next free host port.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) node: Node,
    pub(crate) next_port: u16,
}

pub(crate) fn vm_rows(machines: &[Machine], routes: &[Route]) -> Vec<VmRow> {
    let row = |machine: &Machine| {
        let here = |upstream: &Upstream| upstream.ip == machine.node.ip;
        let hosted = served(routes).filter(|route| route.upstreams.iter().any(here));
        VmRow {
            vm_name: machine.node.name.to_string(),
            vm_ip: machine.node.ip.to_string(),
            vm_username: String::new(),
            vm_key_path: String::new(),
            vm_service_path: String::new(),
            latest_available_port: machine.next_port,
            hosted_apps: hosted.map(|route| route.instance.clone()).collect(),
        }
    };
    machines.iter().map(row).collect()
}

pub(crate) fn app_rows(machines: &[Machine], routes: &[Route], front: IpAddr) -> Vec<AppRow> {
    let host = |route: &Route| {
        let first = route.upstreams.first()?;
        let machine = machines.iter().find(|machine| machine.node.ip == first.ip)?;
        Some(machine.node.name.to_string())
    };
    let row = |route: &Route| AppRow {
        app_name: route.instance.clone(),
        image_name: route.image.clone(),
        host_vm: host(route).unwrap_or_default(),
        instances: route.upstreams.len(),
        container_port: route.container_port,
        host_ports: route.upstreams.iter().map(|upstream| upstream.port).collect(),
        nginx_port: route.front_port,
        container_ids: route.container_ids.clone(),
        endpoint: format!("http://{}", SocketAddr::new(front, route.front_port)),
    };
    served(routes).map(row).collect()
}

/// Containers are found by the host port of their replica on their node.
pub(crate) fn health_rows(
    machines: &[Machine],
    routes: &[Route],
    samples: &BTreeMap<common::name::NodeName, Sample>,
) -> Vec<HealthRow> {
    let use_of = |upstream: &Upstream| {
        let machine = machines.iter().find(|machine| machine.node.ip == upstream.ip)?;
        let sample = samples.get(&machine.node.name)?;
        sample.containers.iter().find(|found| found.running && found.host_port == upstream.port)
    };
    let row = |route: &Route| HealthRow {
        app_name: route.instance.clone(),
        stats: route
            .upstreams
            .iter()
            .filter_map(use_of)
            .map(|found| health_line(&route.instance, found))
            .collect(),
    };
    served(routes).map(row).collect()
}

pub(crate) fn port_row(next: Option<u16>) -> Vec<PortRow> {
    vec![PortRow { id: "default", latest_available_port: next.unwrap_or_default() }]
}

fn served(routes: &[Route]) -> impl Iterator<Item = &Route> {
    routes.iter().filter(|route| route.goal == RouteGoal::Served)
}

fn health_line(instance: &LegacyName, found: &ContainerUse) -> String {
    let over = found.memory_percent > RAM_LIMIT || found.cpu_percent > CPU_LIMIT;
    let verdict = if over || found.healthy == Some(false) { "unhealthy" } else { "healthy" };
    format!(
        "{instance}, container - {} is {verdict}; RAM utilization = {:.2}% ; CPU utilization = {:.2}%",
        found.id, found.memory_percent, found.cpu_percent
    )
}

#[cfg(test)]
mod tests;
