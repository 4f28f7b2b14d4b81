//! An authority that visitors' browsers trust, asked by ACME (RFC 8555): it makes a certificate for a host name once it has
//! asked at that name, and been answered as we said.

use std::fmt::{self, Debug};
use std::time::Duration;

use async_trait::async_trait;

use super::Cause;
use super::edge::Challenge;
use crate::name::HostName;

/// Why there is no certificate, or none yet.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not there, or cannot say yes or no: an order stays what it is.
    #[error("the authority cannot be reached")]
    Unavailable {
        #[source]
        cause: Cause,
        /// How long it wants not to be asked.
        wait: Option<Duration>,
    },
    /// It said no: an order that was refused is over.
    #[error("{kind}: {detail}")]
    Refused {
        /// The last word of its URN, as `unauthorized`.
        kind: String,
        /// The authority's own sentence.
        detail: String,
        /// How long it wants not to be asked.
        wait: Option<Duration>,
    },
}

impl Error {
    pub fn unavailable(cause: impl Into<Cause>) -> Self {
        Error::Unavailable { cause: cause.into(), wait: None }
    }

    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Unavailable { .. })
    }

    /// Whether it does not know the account: another one has to be made.
    pub fn is_unknown_account(&self) -> bool {
        matches!(self, Error::Refused { kind, .. } if kind == "accountDoesNotExist")
    }
}

/// By whom an authority knows this platform; whoever has it can act for it.
#[derive(Clone, PartialEq, Eq)]
pub struct Account(pub String);

/// Never shows it.
impl Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Account(***)")
    }
}

/// A certificate that was asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct Order {
    /// Where the authority keeps it.
    pub url: String,
    /// The certificate's key, PEM: made with the order, and known to nobody else.
    pub key: String,
}

/// Never shows its key.
impl Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Order").field("url", &self.url).finish_non_exhaustive()
    }
}

/// How far an order is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The authority wants to ask at the host name, and is to be told when it can: once, as each time it begins anew. Some
    /// say so also while they ask.
    Asks(Vec<Challenge>),
    /// It asks, or signs: it may be looked at again after this time.
    Works(Duration),
    /// It has been answered, and waits for the word to sign.
    Ready,
    /// The certificate and who signed it, PEM.
    Made(String),
}

/// Asks the authority. Every wait in it has an end, and each method may be repeated: what was done is not done again, but
/// for an order, of which there is another one then.
#[async_trait]
pub trait PublicAuthority: Debug + Send + Sync {
    /// Which authority it is, by the URL of its directory: accounts and orders count there alone.
    fn directory(&self) -> &str;

    /// Makes an account.
    async fn register(&self) -> Result<Account, Error>;

    /// Asks for a certificate.
    async fn order(&self, account: &Account, host: &HostName) -> Result<Order, Error>;

    /// How far the authority is; that it has given the order up is told as a refusal.
    async fn look(&self, account: &Account, order: &Order) -> Result<Progress, Error>;

    /// Says that all challenges are answered at the host name, so that it asks there.
    async fn answered(&self, account: &Account, order: &Order) -> Result<(), Error>;

    /// Has it sign a certificate for the order's key.
    async fn sign(&self, account: &Account, host: &HostName, order: &Order) -> Result<(), Error>;
}
