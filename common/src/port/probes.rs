//! Looking at services over HTTP: whether one answers as document 001's and document 000's services do.

use std::fmt::{self, Debug};
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;

/// What was seen of a service at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It said that it is well.
    Well,
    Ill(Ill),
    /// Nothing was learned of it: the address is none, or nobody knows where it is.
    Unknown,
}

/// What was wrong. It never says where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ill {
    /// Nobody listens, or the connection ended without an answer.
    Silent,
    /// No answer came in time.
    Late,
    /// It answered with another status than 200.
    Status(u16),
    /// It answered with another text than it should.
    Strange,
}

impl fmt::Display for Ill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ill::Silent => f.write_str("nobody answered"),
            Ill::Late => f.write_str("no answer came in time"),
            Ill::Status(status) => write!(f, "it answered with status {status}"),
            Ill::Strange => f.write_str("it answered something else"),
        }
    }
}

/// Looks at services.
#[async_trait]
pub trait Probes: Debug + Send + Sync {
    /// Asks the service at `address` (`ip:port` or `host:port`): `GET /health` for `Ok`; where there is no
    /// such path, document 000's `/healthCheck` for `ok`. Follows no redirect, reads no more of an
    /// answer than it needs, and never takes longer than `within`.
    async fn look(&self, address: &str, within: Duration) -> Seen;

    /// The same at a service's mutual-TLS listener, which has to have a certificate of the platform for this
    /// address.
    async fn look_inside(&self, address: SocketAddr, within: Duration) -> Seen;
}
