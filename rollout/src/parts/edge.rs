//! The edge: nginx, beside the load balancer whose table it serves.

use std::collections::BTreeMap;

use common::port::part::{PartHealth, PartSpec, PartVolume, VolumeSource};

use super::site::{Incomplete, Site, part_name, turn};
use crate::platform::{Component, Platform};

/// Where it listens for host names, where nothing else is said.
const HOST_PORT: u16 = 8088;
/// And over TLS.
const TLS_PORT: u16 = 8443;
/// Ports of its pool that parts beside it may take later: ZooKeeper's between its servers.
const RESERVED: &str = "2888";
/// A request for a name that no app can have: whatever is answered, it is there.
const ANYTHING: &[u8] = b"GET / HTTP/1.0\r\nHost: _\r\n\r\n";

pub fn edge(site: &Site<'_>) -> Result<PartSpec, Incomplete> {
    let platform = site.platform;
    let number = site.number("edge", &platform.placement.edge)?;
    let image = site.named(Component::Edge)?;
    Ok(PartSpec {
        environment: environment(platform),
        volumes: shared(),
        health: Some(PartHealth {
            says: ANYTHING.to_vec(),
            turn: turn(number),
            ..PartHealth::listens(host_port(platform))
        }),
        ..site.part("edge", image, 512)
    })
}

pub(super) fn host_port(platform: &Platform) -> u16 {
    platform.edge.host_port.unwrap_or(HOST_PORT)
}

pub(super) fn tls_port(platform: &Platform) -> u16 {
    platform.edge.tls_port.unwrap_or(TLS_PORT)
}

/// What is not said stays the edge's own to say.
fn environment(platform: &Platform) -> BTreeMap<String, String> {
    let said = &platform.edge;
    let number = |number: Option<u16>| number.map(|number| number.to_string());
    let words = [
        ("EDGE_BIND", Some(platform.edge_bind.to_string())),
        ("EDGE_RESERVED", Some(RESERVED.to_owned())),
        ("EDGE_HOST_PORT", number(said.host_port)),
        ("EDGE_TLS_PORT", number(said.tls_port)),
        ("EDGE_TLS_ANNOUNCED", number(said.tls_announced)),
        ("EDGE_REQUESTS_PER_ADDRESS", number(said.requests_per_address)),
    ];
    words.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

/// What the edge and the load balancer have in common: the table, and the control socket with the access log.
pub(super) fn shared() -> Vec<PartVolume> {
    let table = VolumeSource::Shared(part_name("edge-table"));
    let run = VolumeSource::Memory(part_name("edge-run"));
    let volume = |from, path: &str| PartVolume { from, path: path.to_owned(), read_only: false };
    vec![volume(table, "/var/lib/avishkar/edge"), volume(run, "/run/avishkar/edge")]
}
