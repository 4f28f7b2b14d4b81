//! Addresses and ranges of addresses, as the file writes them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use super::section::Entry;

/// A range of IPv4 addresses, written as `192.0.2.0/24`; no bit behind its length is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    first: u32,
    length: u32,
}

/// The text is no range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no range of IPv4 addresses")]
pub(super) struct NotARange;

impl Range {
    pub(super) fn contains(self, address: Ipv4Addr) -> bool {
        let mask = u32::MAX.checked_shl(32 - self.length).unwrap_or_default();
        u32::from(address) & mask == self.first
    }

    /// Whether all of another one is in it.
    pub(super) fn has(self, other: Range) -> bool {
        self.length <= other.length && self.contains(Ipv4Addr::from(other.first))
    }

    /// Whether a machine may have this address: not the network's own, the gateway's, nor everybody's.
    pub(super) fn admits(self, address: Ipv4Addr) -> bool {
        let size = 1_u64 << (32 - self.length);
        let number = u64::from(u32::from(address).wrapping_sub(self.first));
        self.contains(address) && (2..size.saturating_sub(1)).contains(&number)
    }

    /// Whether local machines can live in it.
    pub(super) fn has_room(self) -> bool {
        (16..=29).contains(&self.length)
    }
}

impl FromStr for Range {
    type Err = NotARange;

    fn from_str(text: &str) -> Result<Self, NotARange> {
        let (address, length) = text.split_once('/').ok_or(NotARange)?;
        let first = u32::from(address.parse::<Ipv4Addr>().map_err(|_| NotARange)?);
        let length = length.parse::<u32>().map_err(|_| NotARange)?;
        let host_bits = first.checked_shl(length).unwrap_or_default();
        if (1..=32).contains(&length) && host_bits == 0 {
            Ok(Range { first, length })
        } else {
            Err(NotARange)
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.first), self.length)
    }
}

/// An address at which one machine can reach another.
pub(super) fn of_machine(entry: &Entry<'_>) -> Option<Ipv4Addr> {
    let address: Ipv4Addr = entry.parsed("write an IPv4 address, as 192.0.2.11")?;
    match unreachable(address) {
        None => Some(address),
        Some(why) => entry.wrong(
            format!("no other machine reaches this one at {address}: {why}"),
            "write the address that the machine has in the network of all machines",
        ),
    }
}

/// Why nobody else can be reached at an address.
pub(super) fn unreachable(address: Ipv4Addr) -> Option<&'static str> {
    if address.is_loopback() {
        Some("it means the computer itself")
    } else if address.is_unspecified() {
        Some("it means all addresses")
    } else if address.is_multicast() || address.is_broadcast() {
        Some("it means many machines")
    } else {
        None
    }
}

/// An address to listen on: one of the machine's, or all.
pub(super) fn to_listen_on(entry: &Entry<'_>) -> Option<IpAddr> {
    let hint = "write 127.0.0.1, 0.0.0.0 or an address of the machine";
    let address: Ipv4Addr = entry.parsed(hint)?;
    if address.is_multicast() || address.is_broadcast() {
        return entry.wrong(format!("nobody can listen on {address}"), hint);
    }
    Some(address.into())
}

pub(super) fn range(entry: &Entry<'_>) -> Option<Range> {
    entry.parsed("write a range with no bit behind its length, as 192.0.2.0/24")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_knows_what_is_in_it_and_what_machines_may_have() {
        let range: Range = "192.0.2.0/28".parse().unwrap();
        let last = |number| Ipv4Addr::new(192, 0, 2, number);
        assert!(range.contains(last(0)) && range.contains(last(15)) && !range.contains(last(16)));
        assert!(range.admits(last(2)) && range.admits(last(14)));
        for kept in [0, 1, 15, 16] {
            assert!(!range.admits(last(kept)), "{kept}");
        }
        let has = |text: &str| range.has(text.parse().unwrap());
        assert!(has("192.0.2.0/28") && has("192.0.2.8/29"));
        assert!(!has("192.0.2.0/27") && !has("192.0.2.16/29"));
        for text in ["", "192.0.2.0", "192.0.2.1/24", "192.0.2.0/33", "0.0.0.0/0", "::/64"] {
            assert!(text.parse::<Range>().is_err(), "{text}");
        }
        assert_eq!(range.to_string(), "192.0.2.0/28");
    }
}
