//! The addresses of apps' networks: one range, cut into networks of 32 addresses each.
//!
//! The engine's own pools hold about thirty networks; a node may have many more apps than that.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// The prefix length of one app's network: 29 containers and the gateway.
const NETWORK_PREFIX: u32 = 27;

/// A range of addresses, written as `10.210.0.0/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnets {
    first: u32,
    prefix: u32,
}

/// The text is not a range that networks can be cut from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a range for networks is an IPv4 address and a prefix from 8 to 24, as 10.210.0.0/16")]
pub struct NotSubnets;

impl Subnets {
    /// How many networks fit.
    pub fn count(self) -> u32 {
        1 << (NETWORK_PREFIX - self.prefix)
    }

    /// The subnet of a network, if its number is below [`Subnets::count`].
    pub(super) fn subnet(self, number: u32) -> Option<String> {
        if number >= self.count() {
            return None;
        }
        let size = 1_u32 << (32 - NETWORK_PREFIX);
        let address = Ipv4Addr::from(self.first + number * size);
        Some(format!("{address}/{NETWORK_PREFIX}"))
    }
}

impl FromStr for Subnets {
    type Err = NotSubnets;

    fn from_str(text: &str) -> Result<Self, NotSubnets> {
        let (address, prefix) = text.split_once('/').ok_or(NotSubnets)?;
        let first = u32::from(address.parse::<Ipv4Addr>().map_err(|_| NotSubnets)?);
        let prefix = prefix.parse::<u32>().map_err(|_| NotSubnets)?;
        let host_bits_are_zero = (8..=24).contains(&prefix) && first << prefix == 0;
        if host_bits_are_zero { Ok(Subnets { first, prefix }) } else { Err(NotSubnets) }
    }
}

impl fmt::Display for Subnets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.first), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_into_networks() {
        let subnets: Subnets = "10.210.0.0/16".parse().unwrap();
        assert_eq!(subnets.count(), 2048);
        assert_eq!(subnets.subnet(0).as_deref(), Some("10.210.0.0/27"));
        assert_eq!(subnets.subnet(2047).as_deref(), Some("10.210.255.224/27"));
        assert_eq!(subnets.subnet(2048), None);
        assert_eq!(subnets.to_string(), "10.210.0.0/16");
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "10.0.0.0", "10.0.0.0/7", "10.0.0.0/25", "10.0.0.1/16", "::/16", "x/16"] {
            assert_eq!(text.parse::<Subnets>(), Err(NotSubnets), "{text}");
        }
    }
}
