//! Ranges of addresses, as Azure writes them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A range of addresses, written as `192.0.2.0/24`. No bit behind its length is set, and it is not everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    first: IpAddr,
    length: u8,
}

/// The text is not a range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a range is an address and a length from 1, as 192.0.2.0/24, with no bit behind its length"
)]
pub struct NotAPrefix;

impl Prefix {
    /// Whether all addresses of `other` are among these.
    pub(super) fn contains(self, other: Prefix) -> bool {
        self.first.is_ipv4() == other.first.is_ipv4()
            && other.length >= self.length
            && masked(other.first, self.length) == masked(self.first, self.length)
    }

    pub(super) fn is_v4(self) -> bool {
        self.first.is_ipv4()
    }
}

/// The bits of an address up to a length; IPv4 stands in the upper ones.
fn masked(address: IpAddr, length: u8) -> u128 {
    let bits = match address {
        IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
        IpAddr::V6(address) => u128::from(address),
    };
    bits & u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or_default()
}

impl FromStr for Prefix {
    type Err = NotAPrefix;

    fn from_str(text: &str) -> Result<Self, NotAPrefix> {
        let (address, length) = text.split_once('/').ok_or(NotAPrefix)?;
        let first: IpAddr = address.parse().map_err(|_| NotAPrefix)?;
        let length: u8 = length.parse().map_err(|_| NotAPrefix)?;
        let longest = if first.is_ipv4() { 32 } else { 128 };
        let fits = (1..=longest).contains(&length);
        if fits && masked(first, length) == masked(first, longest) {
            Ok(Prefix { first, length })
        } else {
            Err(NotAPrefix)
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_and_written_and_knows_what_is_in_it() {
        let network: Prefix = "10.0.0.0/16".parse().unwrap();
        assert_eq!(network.to_string(), "10.0.0.0/16");
        for inside in ["10.0.0.0/24", "10.0.255.0/24", "10.0.0.0/16", "10.0.7.9/32"] {
            assert!(network.contains(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["10.1.0.0/24", "10.0.0.0/8", "2001:db8::/32"] {
            assert!(!network.contains(outside.parse().unwrap()), "{outside}");
        }
        let six: Prefix = "2001:db8::/32".parse().unwrap();
        assert!(six.contains("2001:db8:7::1/128".parse().unwrap()));
    }

    #[test]
    fn everybody_is_no_range_and_neither_is_anything_else() {
        for text in ["", "10.0.0.0", "0.0.0.0/0", "::/0", "10.0.0.1/24", "10.0.0.0/33", "x/8"] {
            assert_eq!(text.parse::<Prefix>(), Err(NotAPrefix), "{text}");
        }
    }
}
