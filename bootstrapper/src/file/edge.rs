//! `[edge]`: the address that moves between two edges, the ports of host names, and the bound of one visitor.

use std::net::{IpAddr, Ipv4Addr};

use common::port::machines::Shape;
use rollout::platform::{EdgeSettings, PlannedMachine, Platform};

use super::address::{self, Range};
use super::section::{Entry, Section};

const KEYS: [&str; 5] =
    ["address", "host_port", "tls_port", "tls_announced", "requests_per_address"];
/// What no process of the edge's may listen on: it is nobody's administrator.
const UNPRIVILEGED: u16 = 1024;
/// Apps' own, of which each has one.
const FRONT_PORTS: std::ops::RangeInclusive<u16> = 2000..=2999;
/// Replicas' own, as config/node-manager.toml gives them out.
const REPLICA_PORTS: std::ops::RangeInclusive<u16> = 20000..=29999;
const HOST_PORT: u16 = 8088;
const TLS_PORT: u16 = 8443;
/// Of what stands beside the edge on its machine, or may: agents, services, registry, Kafka and Docker.
const TAKEN: [u16; 21] = [
    5000, 7443, 8010, 8030, 8040, 8050, 8070, 8080, 9010, 9030, 9040, 9050, 9051, 9070, 9080, 9092,
    9093, 10050, 3888, 2888, 2181,
];

/// What the section says by itself.
pub(super) fn read(root: &Section<'_>) -> Option<EdgeSettings> {
    let Some(entry) = root.optional("edge") else { return Some(EdgeSettings::default()) };
    let section = entry.section()?;
    section.only(&KEYS);
    let address = optional(&section, "address", address::of_machine);
    let own = |key| optional(&section, key, own_port);
    let (host_port, tls_port) = (own("host_port"), own("tls_port"));
    let tls_announced = optional(&section, "tls_announced", Entry::port);
    let requests_per_address = optional(&section, "requests_per_address", number);
    let (host_port, tls_port) = (host_port.ok()?, tls_port.ok()?);
    if host_port.unwrap_or(HOST_PORT) == tls_port.unwrap_or(TLS_PORT) {
        let entry = section.present(&["tls_port", "host_port"]).into_iter().next()?;
        let hint = "write two ports: one without and one with TLS";
        return entry.wrong("host names would have one port with and without TLS", hint);
    }
    let (address, tls_announced) = (address.ok()?, tls_announced.ok()?);
    let requests_per_address = requests_per_address.ok()?;
    Some(EdgeSettings { address, host_port, tls_port, tls_announced, requests_per_address })
}

/// Whether there is an address that moves.
pub(super) fn moves(edge: Option<&EdgeSettings>) -> bool {
    edge.is_some_and(|edge| edge.address.is_some())
}

/// What is wrong has been told.
struct Told;

fn optional<'a, T>(
    section: &Section<'a>,
    key: &str,
    read: impl FnOnce(&Entry<'a>) -> Option<T>,
) -> Result<Option<T>, Told> {
    match section.optional(key) {
        None => Ok(None),
        Some(entry) => read(&entry).map(Some).ok_or(Told),
    }
}

fn number(entry: &Entry<'_>) -> Option<u16> {
    u16::try_from(entry.whole(0..=i64::from(u16::MAX))?).ok()
}

fn own_port(entry: &Entry<'_>) -> Option<u16> {
    let port = entry.port()?;
    if port < UNPRIVILEGED {
        let hint = "write one from 1024 on, send the other to it before it reaches the machine, and say tls_announced";
        return entry.wrong(format!("the edge may not listen on {port}"), hint);
    }
    if FRONT_PORTS.contains(&port) {
        let message = format!("{port} is a front port, which apps are given");
        return entry.wrong(message, "write one that is not from 2000 to 2999");
    }
    if REPLICA_PORTS.contains(&port) {
        let message = format!("{port} is a port that replicas are given");
        return entry.wrong(message, "write one that is not from 20000 to 29999");
    }
    if TAKEN.contains(&port) {
        return entry
            .wrong(format!("a part of the platform listens on {port}"), "write another one");
    }
    Some(port)
}

/// Whether what it says fits the machines of the edges, as far as both are right. `local` are the addresses of local
/// machines.
pub(super) fn fits(root: &Section<'_>, platform: &Platform, local: Option<Range>) -> Option<()> {
    let address = root.optional("edge").and_then(|entry| entry.section()?.optional("address"));
    let entry = match (address, platform.placement.edge.len()) {
        (None, 2..) if platform.edge_advertised.is_none() => {
            let hint = "write [edge] with address = \"192.0.2.10\", which one of the two has; or network.edge_advertised, \
                where something else finds them";
            let edges = root.optional("placement")?.section()?.optional("edge")?;
            return edges.wrong("nobody could find the second of two edges", hint);
        }
        (None, _) => return Some(()),
        (Some(entry), _) => entry,
    };
    let moved = platform.edge.address?;
    if platform.placement.edge.len() < 2 {
        let hint = "write two machines as placement.edge, or take the address away";
        return entry.wrong("there is no other edge for it to move to", hint);
    }
    if !platform.edge_bind.is_unspecified() {
        let hint = "write network.edge = \"0.0.0.0\"";
        return entry.wrong(format!("the edge listens on {} only", platform.edge_bind), hint);
    }
    for machine in &platform.machines {
        if address_of(machine) == Some(IpAddr::V4(moved)) {
            let hint = "write an address that nobody has";
            return entry.wrong(format!("it is the address of {}", machine.name), hint);
        }
    }
    for name in &platform.placement.edge {
        beside(&entry, platform.machine(name)?, (moved, platform), local)?;
    }
    Some(())
}

/// Whether the address can be one of this machine's.
fn beside(
    entry: &Entry<'_>,
    machine: &PlannedMachine,
    (moved, platform): (Ipv4Addr, &Platform),
    local: Option<Range>,
) -> Option<()> {
    let name = &machine.name;
    let inside = "write an address of the network of both machines";
    match (&machine.shape, local) {
        (Shape::Azure(_), _) => {
            let hint =
                "take it away, and write network.edge_advertised for what stands before both edges";
            entry.wrong(format!("{name} is in Azure, where no address moves by itself"), hint)
        }
        (Shape::Local(_), Some(range)) if !range.admits(moved) => entry
            .wrong(format!("{name} has no address of that kind: {range} is local.range"), inside),
        (Shape::Local(_), _) => Some(()),
        (Shape::Given, _) => {
            let Some(IpAddr::V4(own)) = address_of(machine) else { return Some(()) };
            let ranges =
                platform.denied_networks.iter().filter_map(|text| text.parse::<Range>().ok());
            let mut around = ranges.filter(|range| range.contains(own)).peekable();
            if around.peek().is_some() && around.any(|range| range.admits(moved)) {
                return Some(());
            }
            let message =
                format!("no network of network.denied has it and {own}, which {name} has");
            entry.wrong(message, inside)
        }
    }
}

/// Where other machines reach it, as far as the file says.
pub(super) fn address_of(machine: &PlannedMachine) -> Option<IpAddr> {
    let of_shape = match &machine.shape {
        Shape::Local(shape) => shape.address,
        Shape::Azure(shape) => shape.address,
        Shape::Given => None,
    };
    machine.reached_at().or_else(|| of_shape.map(IpAddr::V4))
}
