//! The address that moves between two edges: keepalived, beside each.

use common::port::part::{PartRight, PartSpec};

use super::edge::host_port;
use super::site::{Incomplete, Site};
use crate::platform::Component;

/// The name of the part.
pub(super) const NAME: &str = "address";

pub fn address(site: &Site<'_>) -> Result<PartSpec, Incomplete> {
    let platform = site.platform;
    let edges = &platform.placement.edge;
    site.number(NAME, edges)?;
    let not_placed = || Incomplete::NotPlaced { part: NAME, node: site.node.clone() };
    let moved = platform.edge.address.ok_or_else(not_placed)?;
    let peer = edges.iter().find(|edge| *edge != site.node).ok_or_else(not_placed)?;
    let image = site.named(Component::Address)?;
    // Others of its network know the pair by a number from 1 to 255.
    let [.., last] = moved.octets();
    let environment = [
        ("ADDRESS", moved.to_string()),
        ("ADDRESS_OWN", site.address()?.to_string()),
        ("ADDRESS_PEER", site.address_of(peer)?.to_string()),
        ("ADDRESS_ID", last.max(1).to_string()),
        ("EDGE_HOST_PORT", host_port(platform).to_string()),
    ];
    Ok(PartSpec {
        environment: environment.map(|(key, value)| (key.to_owned(), value)).into(),
        // Addresses are the machine's, and root's to change.
        user: 0,
        rights: vec![PartRight::NetworkAdmin, PartRight::RawNetwork, PartRight::SetGroups],
        ..site.part(NAME, image, 64)
    })
}
