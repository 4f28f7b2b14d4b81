//! What the bootstrapper needs of the world.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use chassis::config::SecretString;
use common::port::{Authorities, Authority, Cause, Clock, Entropy, Hosts, Images, Machines, Parts};
use rollout::machine::{self, Trust};

/// The ports.
#[derive(Debug, Clone)]
pub struct Ports {
    pub hosts: Arc<dyn Hosts>,
    /// By the kind of machines that they make.
    pub backends: BTreeMap<&'static str, Arc<dyn Machines>>,
    pub images: Arc<dyn Images>,
    pub authorities: Arc<dyn Authorities>,
    pub agents: Arc<dyn Agents>,
    pub files: Arc<dyn Files>,
    /// The service principal that makes machines in Azure, as JSON with `appId`, `password` and `tenant`; none where
    /// nothing is made there.
    pub azure_principal: Option<SecretString>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

/// Speaks with nodes' agents in the name of the lifecycle manager.
pub trait Agents: Debug + Send + Sync {
    /// By papers of this authority.
    fn trusting(&self, authority: &dyn Authority) -> Result<Arc<dyn Parts>, Cause>;
}

/// Files of this computer that the description refers to.
pub trait Files: Debug + Send + Sync {
    fn read(&self, path: &Path) -> Result<Vec<u8>, Cause>;
}

impl Ports {
    /// What the steps of machines need; without trust before the platform has an authority.
    pub(crate) fn of_machines(&self, trust: Option<Trust>) -> machine::Ports {
        machine::Ports {
            hosts: Arc::clone(&self.hosts),
            backends: self.backends.clone(),
            images: Arc::clone(&self.images),
            clock: Arc::clone(&self.clock),
            trust,
        }
    }
}
