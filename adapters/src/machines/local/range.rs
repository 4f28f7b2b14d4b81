//! The addresses of local machines: one range, of which the first address is the gateway's.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// A range of addresses, written as `172.30.8.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    first: u32,
    prefix: u32,
}

/// The text is not a range that machines can live in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a range for machines is an IPv4 address and a prefix from 16 to 29, as 172.30.8.0/24")]
pub struct NotARange;

impl Range {
    /// Whether a machine may have this address.
    pub(super) fn admits(self, address: Ipv4Addr) -> bool {
        self.machines().any(|admitted| admitted == address)
    }

    /// The lowest address that is not taken.
    pub(super) fn free(self, taken: &BTreeSet<Ipv4Addr>) -> Option<Ipv4Addr> {
        self.machines().find(|address| !taken.contains(address))
    }

    /// All but the network's own, the gateway's and the one for everybody.
    fn machines(self) -> impl Iterator<Item = Ipv4Addr> {
        let size = 1_u32 << (32 - self.prefix);
        (2..size - 1).map(move |number| Ipv4Addr::from(self.first + number))
    }
}

impl FromStr for Range {
    type Err = NotARange;

    fn from_str(text: &str) -> Result<Self, NotARange> {
        let (address, prefix) = text.split_once('/').ok_or(NotARange)?;
        let first = u32::from(address.parse::<Ipv4Addr>().map_err(|_| NotARange)?);
        let prefix = prefix.parse::<u32>().map_err(|_| NotARange)?;
        let host_bits_are_zero = (16..=29).contains(&prefix) && first << prefix == 0;
        if host_bits_are_zero { Ok(Range { first, prefix }) } else { Err(NotARange) }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.first), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_address_is_given_until_there_is_none() {
        let range: Range = "192.0.2.8/29".parse().unwrap();
        let mut taken = BTreeSet::new();
        while let Some(address) = range.free(&taken) {
            assert!(range.admits(address));
            taken.insert(address);
        }
        let last: Vec<u8> = taken.iter().map(|address| address.octets()[3]).collect();
        assert_eq!(last, [10, 11, 12, 13, 14]);
        assert_eq!(range.to_string(), "192.0.2.8/29");
        for outside in ["192.0.2.8", "192.0.2.9", "192.0.2.15", "192.0.2.16"] {
            assert!(!range.admits(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "192.0.2.0", "192.0.2.0/30", "192.0.2.1/24", "10.0.0.0/8", "::/64"] {
            assert_eq!(text.parse::<Range>(), Err(NotARange), "{text}");
        }
    }
}
