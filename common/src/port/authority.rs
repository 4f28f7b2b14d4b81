//! The platform's certificate authority: who a service or a node is, on paper.

use std::fmt::{self, Debug};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Cause;
use crate::service::ServiceName;

/// A certificate and its private key, both PEM.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Papers {
    pub certificate: String,
    pub key: String,
}

/// Never shows the key.
impl Debug for Papers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Papers({} bytes)", self.certificate.len())
    }
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the authority's own certificate and key cannot be used")]
    Unusable(#[source] Cause),
    #[error("no certificate can be made in the name of {service}")]
    Failed {
        service: ServiceName,
        #[source]
        source: Cause,
    },
}

/// An authority whose key is at hand.
pub trait Authority: Debug + Send + Sync {
    /// Its own certificate, PEM: whom everybody of the platform trusts.
    fn certificate(&self) -> &str;

    /// A certificate in the name of a service, valid for `names` too: host names and addresses. Whoever holds the
    /// same authority gets the same papers for the same names, until it is time to renew them.
    fn issue(&self, service: ServiceName, names: &[String]) -> Result<Papers, Error>;
}

/// Makes authorities, and opens them again.
pub trait Authorities: Debug + Send + Sync {
    /// A new one, unlike any other: its own certificate and key.
    fn make(&self) -> Result<Papers, Error>;

    fn open(&self, papers: &Papers) -> Result<Arc<dyn Authority>, Error>;
}
