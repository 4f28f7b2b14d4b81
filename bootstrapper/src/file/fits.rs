//! What is right by itself and does not fit the rest of the file: addresses of machines and the ranges that apps may not
//! reach, addresses of Azure and its subnet, ports that are opened and the platform's own.

use std::net::{IpAddr, Ipv4Addr};

use common::port::machines::{Opening, Origin, Shape};
use rollout::parts::kept_inside;
use rollout::platform::{PlannedMachine, Platform};

use super::address::Range;
use super::edge::{self, address_of};
use super::section::{Entry, Section};

/// The port by which one signs in, which is let in already.
const SSH: u16 = 22;

/// Whether it does: all that does not is told. Only where everything is right by itself.
pub(super) fn fits(root: &Section<'_>, platform: &Platform, local: Option<Range>) -> Option<()> {
    let machines = root.optional("machines")?.list()?;
    let subnet = platform.azure.as_ref().and_then(|azure| azure.subnet_range.parse().ok());
    let mut is_right = edge::fits(root, platform, local).is_some();
    for (entry, machine) in machines.iter().zip(&platform.machines) {
        is_right &= in_azure(entry, machine, subnet).is_some();
        is_right &= keeps_inside(entry, machine, &kept_inside(platform)).is_some();
    }
    let denied = root.optional("network")?.section()?.optional("denied")?;
    let ranges: Vec<Range> =
        platform.denied_networks.iter().filter_map(|text| text.parse().ok()).collect();
    for machine in &platform.machines {
        is_right &= is_denied(&denied, machine, &ranges, (local, subnet)).is_some();
    }
    is_right.then_some(())
}

fn in_azure(entry: &Entry<'_>, machine: &PlannedMachine, subnet: Option<Range>) -> Option<()> {
    let Shape::Azure(shape) = &machine.shape else { return Some(()) };
    let section = entry.section()?;
    let mut is_right = true;
    if let (Some(address), Some(subnet)) = (shape.address, subnet)
        && !is_given_by_azure(subnet, address)
    {
        let hint = "write one of azure.subnet_range, from its fifth on; or none, for a free one";
        let message = format!("no machine can have {address} in {subnet}");
        is_right = section.optional("address")?.wrong(message, hint).unwrap_or(false);
    }
    if shape.opened.iter().any(|opened| (opened.first..=opened.last).contains(&SSH)) {
        let hint = "take it out: one signs in from azure.operators only";
        let message = format!("port {SSH} is let in already");
        is_right = section.optional("opened")?.wrong(message, hint).unwrap_or(false);
    }
    is_right.then_some(())
}

/// Whether nobody outside is let in to what is for the platform's machines alone.
fn keeps_inside(entry: &Entry<'_>, machine: &PlannedMachine, inside: &[u16]) -> Option<()> {
    let Shape::Azure(shape) = &machine.shape else { return Some(()) };
    let Some(opened) = entry.section()?.optional("opened") else { return Some(()) };
    let mut is_right = true;
    for (entry, opening) in opened.list()?.iter().zip(&shape.opened) {
        let range = opening.first..=opening.last;
        let held: Vec<u16> = inside.iter().copied().filter(|port| range.contains(port)).collect();
        if opening.from == Origin::Network || held.is_empty() {
            continue;
        }
        let hint = match around(*opening, &held) {
            rest if rest.is_empty() => "take it out".to_owned(),
            rest => format!("open what is around: {}", rest.join(", ")),
        };
        let ports: Vec<String> = held.iter().map(u16::to_string).collect();
        let message = format!("only the platform's machines may reach {}", ports.join(", "));
        is_right = entry.wrong(message, hint).unwrap_or(false);
    }
    is_right.then_some(())
}

/// What is left of a range without these ports of it, which are in order.
fn around(opening: Opening, held: &[u16]) -> Vec<String> {
    let ends = held.iter().map(|port| port.checked_sub(1)).chain([Some(opening.last)]);
    let begins =
        [Some(opening.first)].into_iter().chain(held.iter().map(|port| port.checked_add(1)));
    let rest = begins.zip(ends).filter_map(|(first, last)| Some((first?, last?)));
    let rest = rest.filter(|(first, last)| first <= last);
    let told = |(first, last): (u16, u16)| {
        if first == last { format!("{first}") } else { format!("{first} to {last}") }
    };
    rest.map(told).collect()
}

/// Azure keeps the first four, and the last one.
fn is_given_by_azure(subnet: Range, address: Ipv4Addr) -> bool {
    let fifth_before = u32::from(address).checked_sub(4).map(Ipv4Addr::from);
    subnet.admits(address) && fifth_before.is_some_and(|other| subnet.contains(other))
}

/// Whether apps are kept away from a machine.
fn is_denied(
    denied: &Entry<'_>,
    machine: &PlannedMachine,
    ranges: &[Range],
    (local, subnet): (Option<Range>, Option<Range>),
) -> Option<()> {
    let name = &machine.name;
    if let Some(IpAddr::V4(address)) = address_of(machine) {
        if ranges.iter().any(|range| range.contains(address)) {
            return Some(());
        }
        let hint = "add a range that it is in, as \"192.0.2.0/24\"";
        let message = format!("apps could reach {name} at {address}: no range here has it");
        return denied.wrong(message, hint);
    }
    let around = match &machine.shape {
        Shape::Local(_) => local,
        Shape::Azure(_) => subnet,
        Shape::Given => None,
    };
    let Some(around) = around else { return Some(()) };
    if ranges.iter().any(|range| range.has(around)) {
        return Some(());
    }
    let message =
        format!("apps could reach {name}, which will be in {around}: no range here has it");
    denied.wrong(message, format!("add {:?}", around.to_string()))
}
