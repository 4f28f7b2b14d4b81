//! What a service's part is given of the platform's secrets.

use std::collections::BTreeMap;
use std::fmt;

use common::digest::Digest;
use common::name::ShareName;
use common::port::authority::{self, Papers};
use common::port::{Authority, share};
use common::service::ServiceName;
use serde::{Deserialize, Serialize};

use super::site::Site;

/// The platform's secrets, as its first machine holds them.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets {
    pub authority: Papers,
    /// What signs the tokens of people: all app managers have the same.
    pub jwt: String,
    /// The platform's own private key, by which lifecycle managers sign in to machines.
    pub ssh_key: String,
    /// The description that lifecycle managers begin with, as JSON.
    pub platform: String,
    /// The service principal that makes machines in Azure, as JSON; none where there are none.
    pub azure: Option<String>,
    /// The shares that services' code comes from, with what opens them.
    pub shares: BTreeMap<ShareName, share::Access>,
    /// Of what was given later than the platform began, which: the highest is the newest.
    pub given: u64,
}

/// What opens shares and Azure: of all that the platform has once, it may change while that runs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    pub given: u64,
    pub azure: Option<String>,
    pub shares: BTreeMap<ShareName, share::Access>,
}

impl Credentials {
    /// Whether both open the same.
    pub fn is_as(&self, other: &Credentials) -> bool {
        self.azure == other.azure && self.shares == other.shares
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("given", &self.given).finish_non_exhaustive()
    }
}

impl Secrets {
    pub fn credentials(&self) -> Credentials {
        let Secrets { azure, shares, given, .. } = self.clone();
        Credentials { given, azure, shares }
    }

    /// With what was given, if that is newer.
    #[must_use]
    pub fn with(self, given: Credentials) -> Self {
        if given.given <= self.given {
            return self;
        }
        let Credentials { given, azure, shares } = given;
        Secrets { azure, shares, given, ..self }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

/// What one service gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePapers {
    /// The authority's certificate, PEM.
    pub authority: String,
    pub own: Papers,
    /// What only app managers and lifecycle managers get.
    pub(super) secrets: Option<Secrets>,
    /// What only load balancers get: they seal keys of visitors' certificates with it. It follows from the authority, so
    /// that nobody has to keep it.
    pub(super) seal: Option<String>,
}

impl ServicePapers {
    /// Papers of this service on this node, and the secrets that it needs and no others.
    pub fn of(
        site: &Site<'_>,
        service: ServiceName,
        authority: &dyn Authority,
        secrets: &Secrets,
    ) -> Result<Self, authority::Error> {
        let trusted = matches!(service, ServiceName::AppManager | ServiceName::LifecycleManager);
        Ok(ServicePapers {
            authority: authority.certificate().to_owned(),
            own: authority.issue(service, &names(site))?,
            secrets: trusted.then(|| secrets.clone()),
            seal: (service == ServiceName::LoadBalancer).then(|| seal(&secrets.authority)),
        })
    }
}

fn seal(authority: &Papers) -> String {
    Digest::of(format!("avishkar: seal of load balancers, 1\n{}", authority.key).as_bytes())
        .to_string()
}

/// What the certificates of a node's parts are valid for, besides the names of their services.
pub fn names(site: &Site<'_>) -> Vec<String> {
    site.platform.address(site.node).map(|address| address.to_string()).into_iter().collect()
}
