//! What a service's part is given of the platform's secrets.

use std::collections::BTreeMap;
use std::fmt;

use common::digest::Digest;
use common::name::ShareName;
use common::port::authority::{self, Papers};
use common::port::{Authority, share};
use common::service::ServiceName;
use serde::{Deserialize, Serialize};

use super::configured::{Configured, ConfiguredService, Receiver, Settings};
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
    /// What is said of services themselves.
    pub configured: Configured,
    /// Of what was given later than the platform began, which: the highest is the newest.
    pub given: u64,
}

/// What opens shares and Azure, and what is said of services: of all that the platform has once, it may change while that
/// runs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    pub given: u64,
    pub azure: Option<String>,
    pub shares: BTreeMap<ShareName, share::Access>,
    #[serde(default, skip_serializing_if = "Configured::is_plain")]
    pub configured: Configured,
    /// What is gone back to where a service of the base does not become ready from the image of [`Configured::base`]; none
    /// where all are known to run from that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgraded_from: Option<FormerBase>,
}

/// From what services of the base ran before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormerBase {
    /// None for the platform's own.
    pub image: Option<Digest>,
}

impl Credentials {
    /// Whether both open the same, and say the same of services.
    pub fn is_as(&self, other: &Credentials) -> bool {
        let Credentials { given: _, azure, shares, configured, upgraded_from: _ } = self;
        (azure, shares, configured) == (&other.azure, &other.shares, &other.configured)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("given", &self.given).finish_non_exhaustive()
    }
}

impl Secrets {
    pub fn credentials(&self) -> Credentials {
        let Secrets { azure, shares, configured, given, .. } = self.clone();
        Credentials { given, azure, shares, configured, upgraded_from: None }
    }

    /// With what was given, if that is newer.
    #[must_use]
    pub fn with(self, given: Credentials) -> Self {
        if given.given <= self.given {
            return self;
        }
        let Credentials { given, azure, shares, configured, upgraded_from: _ } = given;
        Secrets { azure, shares, configured, given, ..self }
    }

    /// What is said of a service itself.
    pub fn configured_of(&self, service: ServiceName) -> ConfiguredService {
        self.configured.of(service, &self.authority.key)
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
    pub(super) settings: Settings,
    /// Who is told of alerts: for monitoring only.
    pub(super) receivers: Vec<Receiver>,
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
            settings: secrets.configured.settings_of(service),
            receivers: match service {
                ServiceName::Monitoring => secrets.configured.receivers.clone(),
                ServiceName::AppManager
                | ServiceName::DeploymentManager
                | ServiceName::NodeManager
                | ServiceName::LoadBalancer
                | ServiceName::LifecycleManager
                | ServiceName::PlatformInitializer
                | ServiceName::NodeAgent => Vec::new(),
            },
        })
    }

    /// By these settings instead of those that are said now.
    #[must_use]
    pub fn by(self, settings: Settings) -> Self {
        ServicePapers { settings, ..self }
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
