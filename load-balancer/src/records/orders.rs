//! What is kept of asking a public authority for certificates.

use chassis::records::{self, Stored};
use common::name::HostName;
use common::port::Store;
use common::port::certificates::OrderFailure;
use common::port::edge::Challenge;
use common::record::owed::Owed;
use common::record::path;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::all;

/// A host name's certificate that is asked for: `orders/<host>`, while there is something to do or to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) schema: u32,
    pub(crate) host: HostName,
    /// From the moment on that the authority has taken it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) placed: Option<Placed>,
    /// Since the last certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failed: Option<OrderFailure>,
    /// The directory of the authority where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failed_at: Option<String>,
    /// Nobody wants a certificate for now: it is kept for what failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) rests: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) owed: Vec<Owed>,
}

/// Where the authority keeps an order, and what goes with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Placed {
    /// Of the authority: an order counts there alone.
    pub(crate) directory: String,
    pub(crate) url: String,
    /// The certificate's key; see `seal.rs`.
    pub(crate) sealed_key: String,
    /// What every edge answers while the order is under way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) challenges: Vec<Challenge>,
    /// When the authority was told that they are answered, or was about to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) answered_at: Option<Timestamp>,
    pub(crate) since: Timestamp,
}

impl Order {
    pub(crate) fn new(host: HostName) -> Self {
        Order {
            schema: 1,
            host,
            placed: None,
            failed: None,
            failed_at: None,
            rests: false,
            owed: Vec::new(),
        }
    }

    /// Whether nothing is left to do or to tell.
    pub(crate) fn is_over(&self) -> bool {
        self.placed.is_none() && self.failed.is_none() && self.owed.is_empty()
    }
}

/// By whom the public authority knows the platform: `authority-account`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AuthorityAccount {
    pub(crate) schema: u32,
    /// Of the authority: it is known there alone.
    pub(crate) directory: String,
    /// See `seal.rs`.
    pub(crate) sealed: String,
}

/// All orders, sorted by host name.
pub(crate) async fn orders(store: &dyn Store) -> Result<Vec<Stored<Order>>, records::Error> {
    all(store, &path::folder("orders")).await
}

pub(crate) async fn order(
    store: &dyn Store,
    host: &HostName,
) -> Result<Option<Stored<Order>>, records::Error> {
    records::load(store, &path::order(host)).await
}

pub(crate) async fn account(
    store: &dyn Store,
) -> Result<Option<Stored<AuthorityAccount>>, records::Error> {
    records::load(store, &path::authority_account()).await
}
