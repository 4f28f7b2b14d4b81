//! What machines must let in from one another. No backend knows these ports by itself.

use std::collections::BTreeSet;

use common::port::machines::{Opening, Origin};
use common::service::ServiceName;

use super::base::BasePart;
use super::service::listeners;
use crate::platform::{AGENT_PORT, Platform};

/// The host ports of apps' containers, as node managers give them out.
pub const APP_PORTS: (u16, u16) = (20000, 29999);
/// The front ports of apps, as the edge opens them.
pub const FRONT_PORTS: (u16, u16) = (2000, 2999);

/// From the machines' own network, and on every machine the same: services are moved, and parts of the base are made
/// again elsewhere. In order, and none twice.
pub fn openings(platform: &Platform) -> Vec<Opening> {
    let mut ranges: Vec<(u16, u16)> = own(platform).map(|port| (port, port)).collect();
    ranges.extend(the_door(platform).map(|port| (port, port)));
    ranges.extend([APP_PORTS, FRONT_PORTS]);
    let joined = joined(ranges).into_iter();
    joined.map(|(first, last)| Opening { first, last, from: Origin::Network }).collect()
}

/// The platform's own ports that nobody but its machines has business with, in order: of all but the edge, the door and apps.
pub fn kept_inside(platform: &Platform) -> Vec<u16> {
    let of_edge = BasePart::Edge.ports(platform);
    let inside: BTreeSet<u16> = own(platform).filter(|port| !of_edge.contains(port)).collect();
    inside.into_iter().collect()
}

/// Of the agent, the base and services, as far as other machines reach them.
fn own(platform: &Platform) -> impl Iterator<Item = u16> {
    let of_base = BasePart::ALL.into_iter().flat_map(move |part| part.ports(platform));
    let of_services = ServiceName::ALL.into_iter().filter_map(listeners).map(|own| own.mutual_tls);
    let all = [AGENT_PORT].into_iter().chain(of_base).chain(of_services);
    all.filter(move |port| !is_on_loopback(platform, *port))
}

/// The app manager's for people, where other machines reach it: who comes through the edge is sent there.
fn the_door(platform: &Platform) -> Option<u16> {
    let own = listeners(ServiceName::AppManager).filter(|_| !platform.door.is_loopback());
    own.map(|own| own.plain)
}

/// Whether only its own machine finds somebody there.
fn is_on_loopback(platform: &Platform, port: u16) -> bool {
    let mut plain = ServiceName::ALL.into_iter().filter_map(listeners).map(|own| own.plain);
    plain.any(|plain| plain == port) && the_door(platform) != Some(port)
}

/// Ranges that overlap or touch become one.
fn joined(mut ranges: Vec<(u16, u16)>) -> Vec<(u16, u16)> {
    ranges.sort_unstable();
    let mut joined: Vec<(u16, u16)> = Vec::new();
    for (first, last) in ranges {
        match joined.last_mut() {
            Some((_, before)) if first <= before.saturating_add(1) => *before = last.max(*before),
            Some(_) | None => joined.push((first, last)),
        }
    }
    joined
}
