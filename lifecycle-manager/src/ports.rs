//! What the lifecycle manager needs from the world, and the port that only it needs.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::pending;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use common::failure::Failure;
use common::name::NodeName;
use common::port::host::{Gate, HostKey};
use common::port::machines::Shape;
use common::port::{Authority, Bus, Clock, Entropy, Machines, Nodes, Parts, Store};
use rollout::machine::Journal;
use rollout::parts::Secrets;
use rollout::platform::Platform;

/// The ports of this service.
#[derive(Debug, Clone)]
pub struct Ports {
    pub bus: Arc<dyn Bus>,
    pub store: Arc<dyn Store>,
    /// Only to say who leads.
    pub nodes: Arc<dyn Nodes>,
    pub parts: Arc<dyn Parts>,
    pub backends: Backends,
    pub enrolment: Arc<dyn Enrolment>,
    pub credentials: Arc<dyn Credentials>,
    /// None where no platform is described: then nothing is made.
    pub vault: Option<Vault>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

/// Where machines come from, by the kind of their shape.
#[derive(Debug, Clone, Default)]
pub struct Backends(BTreeMap<&'static str, Arc<dyn Machines>>);

impl Backends {
    #[must_use]
    pub fn with(mut self, kind: &'static str, backend: Arc<dyn Machines>) -> Self {
        self.0.insert(kind, backend);
        self
    }

    /// The backend of this shape; none where this platform has no access to it.
    pub fn of(&self, shape: &Shape) -> Option<&dyn Machines> {
        self.0.get(shape.kind()).map(AsRef::as_ref)
    }
}

/// How a machine becomes a node: it exists, it runs, it has an engine, its images and an agent that answers. All of it
/// may be repeated.
#[async_trait]
pub trait Enrolment: Debug + Send + Sync {
    /// `platform` is the description with everything that is known of its machines by now; `journal` hears what is done.
    async fn enrol(
        &self,
        platform: &Platform,
        machine: &NodeName,
        journal: &dyn Journal,
    ) -> Result<Enrolled, NotEnrolled>;
}

/// What opens shares and the places that machines come from: it may be given anew while the process runs.
#[async_trait]
pub trait Credentials: Debug + Send + Sync {
    /// Completes once there are others than those that this process began with: it ends then, and begins with them.
    async fn changed(&self);
}

/// Where nobody gives any.
#[derive(Debug, Clone, Copy)]
pub struct NeverChanged;

#[async_trait]
impl Credentials for NeverChanged {
    async fn changed(&self) {
        pending::<()>().await;
    }
}

/// What became known of a machine on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// Where other nodes reach it.
    pub address: IpAddr,
    pub gate: Option<Gate>,
    pub host_key: Option<HostKey>,
}

/// Why a machine is no node yet.
#[derive(Debug, thiserror::Error)]
pub enum NotEnrolled {
    /// Another system, or somebody in between: nothing was sent, and an operator has to look.
    #[error("its host key is not the pinned one")]
    HostKeyChanged(Failure),
    #[error("a step failed")]
    Failed(Failure),
}

/// Who vouches for the platform's parts, and the secrets that some of them get.
#[derive(Debug, Clone)]
pub struct Vault {
    pub authority: Arc<dyn Authority>,
    pub secrets: Secrets,
}
