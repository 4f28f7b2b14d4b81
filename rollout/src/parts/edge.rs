//! The edge: nginx, beside the load balancer whose table it serves.

use common::port::part::{PartHealth, PartSpec, PartVolume, VolumeSource};

use super::site::{Incomplete, Site, part_name};
use crate::platform::Component;

/// Where it listens for host names.
pub(super) const HOST_PORT: u16 = 8088;
/// Ports of its pool that parts beside it may take later: ZooKeeper's between its servers.
const RESERVED: &str = "2888";
/// A request for a name that no app can have: whatever is answered, it is there.
const ANYTHING: &[u8] = b"GET / HTTP/1.0\r\nHost: _\r\n\r\n";

pub fn edge(site: &Site<'_>) -> Result<PartSpec, Incomplete> {
    site.number("edge", std::slice::from_ref(&site.platform.placement.edge))?;
    let image = site.named(Component::Edge)?;
    Ok(PartSpec {
        environment: [
            ("EDGE_BIND".to_owned(), site.platform.edge_bind.to_string()),
            ("EDGE_RESERVED".to_owned(), RESERVED.to_owned()),
        ]
        .into(),
        volumes: shared(),
        health: Some(PartHealth { says: ANYTHING.to_vec(), ..PartHealth::listens(HOST_PORT) }),
        ..site.part("edge", image, 512)
    })
}

/// What the edge and the load balancer have in common: the table, and the control socket with the access log.
pub(super) fn shared() -> Vec<PartVolume> {
    let table = VolumeSource::Shared(part_name("edge-table"));
    let run = VolumeSource::Memory(part_name("edge-run"));
    let volume = |from, path: &str| PartVolume { from, path: path.to_owned(), read_only: false };
    vec![volume(table, "/var/lib/avishkar/edge"), volume(run, "/run/avishkar/edge")]
}
