//! What the edge shows visitors over TLS, and how it answers an authority that asks whether a name is ours.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Error;
use crate::id::{Epoch, Generation};
use crate::name::HostName;
use crate::port::authority::Papers;

/// The whole set of certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CertificateSet {
    pub epoch: Epoch,
    pub generation: Generation,
    pub certificates: Vec<HostCertificate>,
    /// Names that are shown on what they are shown, as nobody has it to give; of no certificate of this set.
    pub kept: Vec<KeptCertificate>,
    pub challenges: Vec<Challenge>,
}

/// A host name that keeps what the edge has for it, if it has anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptCertificate {
    pub host: HostName,
    pub redirect: bool,
}

/// What a visitor of one host name is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostCertificate {
    pub host: HostName,
    /// The chain, its own certificate first, and the key.
    #[serde(flatten)]
    pub papers: Papers,
    /// Whether a visitor without TLS is sent to it.
    pub redirect: bool,
}

/// What is answered at `/.well-known/acme-challenge/<token>`, for every host name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    pub token: String,
    pub answer: String,
}

/// Which set the edge serves; never a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedCertificates {
    pub epoch: Epoch,
    pub generation: Generation,
    /// In no order.
    pub hosts: Vec<HostName>,
}

/// Shows certificates to visitors. It keeps the set for itself: it serves on while nothing else runs. Every method may
/// be repeated.
#[async_trait]
pub trait EdgeCertificates: Debug + Send + Sync {
    /// Serves this set, and no certificate besides, from the next handshake on.
    async fn serve(&self, set: &CertificateSet) -> Result<(), Error>;

    async fn served(&self) -> Result<ServedCertificates, Error>;
}
