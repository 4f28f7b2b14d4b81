//! Candidates: `leaders/<service>/candidate-<number>`, ephemeral; of a service's candidates the one with
//! the lowest number leads.

use serde::{Deserialize, Serialize};

/// How others find an instance of a service. Two instances never have the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advertised {
    /// `ip:port` or `host:port` of the plain listener.
    pub plain: String,
    /// The same of the mutual-TLS listener, where there is one.
    pub internal: Option<String>,
}

/// An instance that leads its service, or would if those before it were gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateRecord {
    pub schema: u32,
    #[serde(flatten)]
    pub advertised: Advertised,
}

impl Advertised {
    /// An instance without a mutual-TLS listener.
    pub fn plain(address: impl Into<String>) -> Self {
        Advertised { plain: address.into(), internal: None }
    }
}

/// The candidate that leads, of the names in a service's folder: the lowest number; what has none stands last.
pub fn first(names: &[String]) -> Option<&String> {
    let number = |name: &String| {
        let digits = name.rsplit_once('-').map_or(name.as_str(), |(_, digits)| digits);
        digits.parse().unwrap_or(u64::MAX)
    };
    names.iter().min_by_key(|name| number(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_number_leads_whatever_the_order_of_names() {
        let names = ["candidate-10", "candidate-9", "stranger"].map(str::to_owned);
        assert_eq!(first(&names).unwrap(), "candidate-9");
        assert_eq!(first(&[]), None);
    }
}
