//! What the agent needs from the machine besides its container engine.

use std::fmt::{self, Debug};
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use common::agent::{Consent, Consented};
use common::port::blobs::Shelf;
use common::port::nodes::Agent;
use common::port::{Cause, Clock, Containers, PartContainers, Shares};

/// Everything the agent reaches the world through.
#[derive(Debug, Clone)]
pub struct Ports {
    pub containers: Arc<dyn Containers>,
    pub parts: Arc<dyn PartContainers>,
    /// Where the code of parts comes from that are built here.
    pub shares: Arc<dyn Shares>,
    /// What services keep on this machine.
    pub blobs: Arc<dyn Shelf>,
    pub firewall: Arc<dyn Firewall>,
    pub neighbours: Arc<dyn Neighbours>,
    pub clock: Arc<dyn Clock>,
}

/// Keeps apps away from the control plane, from this machine and from one another.
#[async_trait]
pub trait Firewall: Debug + Send + Sync {
    /// Makes exactly these rules hold; may be repeated.
    async fn apply(&self, rules: &Rules) -> Result<(), Cause>;
}

/// The agents of other machines.
#[async_trait]
pub trait Neighbours: Debug + Send + Sync {
    /// Asks whether a part here may be ended that they have one of, too. An error means that nobody knows.
    async fn consent(&self, agent: &Agent, asked: &Consent) -> Result<Consented, Cause>;
}

/// Of an agent that has no others: nobody can be asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

#[async_trait]
impl Neighbours for Alone {
    async fn consent(&self, agent: &Agent, _: &Consent) -> Result<Consented, Cause> {
        Err(format!("nobody here can ask the agent of {}", agent.node).into())
    }
}

/// What apps may not reach. Everything else outwards is open to them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    pub deny: Vec<Network>,
    /// Resolvers that apps may ask even where [`Rules::deny`] covers them.
    pub resolvers: Vec<IpAddr>,
}

/// A range of IPv4 addresses, written as `192.0.2.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: Ipv4Addr,
    prefix: u8,
}

/// The text is not a range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a range of addresses is written as 192.0.2.0/24")]
pub struct NotNetwork;

impl FromStr for Network {
    type Err = NotNetwork;

    fn from_str(text: &str) -> Result<Self, NotNetwork> {
        let (address, prefix) = text.split_once('/').unwrap_or((text, "32"));
        let address = address.parse().map_err(|_| NotNetwork)?;
        let prefix = prefix.parse().ok().filter(|prefix| *prefix <= 32).ok_or(NotNetwork)?;
        Ok(Network { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}
