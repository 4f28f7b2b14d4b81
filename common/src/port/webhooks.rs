//! Telling programs outside of the platform: signed requests to receivers that the configuration names.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use super::Cause;

/// Why a receiver was not told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be reached, or did not answer in time.
    #[error("the receiver cannot be reached")]
    Unavailable(#[source] Cause),
    /// It answered, and not with success.
    #[error("the receiver answered with status {status}")]
    Refused { status: u16 },
    /// Its name leads to addresses that webhooks may not be sent to.
    #[error("the receiver is at an address that webhooks may not be sent to")]
    Forbidden,
    /// No receiver has this name.
    #[error("there is no receiver of this name")]
    Unknown,
}

/// One thing to tell one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The same at every attempt: by it a receiver knows a repeat.
    pub id: Uuid,
    /// JSON.
    pub body: Bytes,
}

/// Tells receivers, each known by the name that the configuration gives it.
#[async_trait]
pub trait Webhooks: Debug + Send + Sync {
    /// One attempt, within a bounded time. After an error the receiver may or may not have been told.
    async fn tell(&self, receiver: &str, notice: &Notice) -> Result<(), Error>;
}
