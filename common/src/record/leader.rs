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
