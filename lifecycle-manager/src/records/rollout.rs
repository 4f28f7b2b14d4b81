//! How far a service is: `lifecycle/rollouts/<service>`.

use common::failure::Failure;
use common::id::Generation;
use common::name::NodeName;
use common::record::platform::{InstanceState, ServiceImage};
use common::service::ServiceName;
use jiff::Timestamp;
use rollout::parts::ConfiguredService;
use serde::{Deserialize, Serialize};

/// A service's instances, wherever they are. An image that is left out is the platform's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rollout {
    pub(crate) schema: u32,
    pub(crate) service: ServiceName,
    /// The newest wish that was taken in.
    pub(crate) wish: Generation,
    /// Counts the specifications that were sent to agents: each has a higher one than those before it.
    pub(crate) generation: Generation,
    /// What is said of the service itself, and which of all that was given it was said with: an older one is not followed.
    #[serde(default, skip_serializing_if = "ConfiguredService::is_plain")]
    pub(crate) configured: ConfiguredService,
    #[serde(default)]
    pub(crate) given: u64,
    /// What all instances ran when last all of them were ready; none before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) good: Option<Version>,
    /// What was backed out of since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<Refusal>,
    #[serde(default)]
    pub(crate) instances: Vec<Instance>,
}

/// What an instance runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) image: Option<ServiceImage>,
    /// By what it runs: another setting is another version.
    #[serde(default, skip_serializing_if = "ConfiguredService::is_plain")]
    pub(crate) configured: ConfiguredService,
}

/// A version that did not become ready, and why. It is not tried again before another wish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) version: Version,
    pub(crate) wish: Generation,
    pub(crate) failure: Failure,
    pub(crate) at: Timestamp,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Instance {
    pub(crate) node: NodeName,
    /// The node of the wish whose place it takes: another one where that machine died.
    pub(crate) place: NodeName,
    pub(crate) version: Version,
    /// Of its newest specification.
    pub(crate) generation: Generation,
    pub(crate) state: InstanceState,
    pub(crate) since: Timestamp,
    /// When its machine first had its newest specification; none before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) there_since: Option<Timestamp>,
    /// Whether its machine fell silent while it was starting: its time begins anew when the machine answers.
    #[serde(default)]
    pub(crate) is_cut_off: bool,
    /// Its present run; none before it was seen to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<Run>,
    /// How often it was made or restarted since it was last calm, and when.
    #[serde(default)]
    pub(crate) attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attempted_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<Failure>,
}

/// One run of an instance, from a start to the next, whoever started it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// By its machine's clock: only to be told from other runs.
    pub(crate) since: Timestamp,
    /// Since when it was seen, by the clock of who looks.
    pub(crate) seen: Timestamp,
}

impl Rollout {
    pub(crate) fn new(service: ServiceName) -> Self {
        Rollout {
            schema: 1,
            service,
            wish: Generation(0),
            generation: Generation(0),
            configured: ConfiguredService::default(),
            given: 0,
            good: None,
            refused: None,
            instances: Vec::new(),
        }
    }

    pub(crate) fn instance(&self, node: &NodeName) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.node == *node)
    }

    pub(crate) fn instance_mut(&mut self, node: &NodeName) -> Option<&mut Instance> {
        self.instances.iter_mut().find(|instance| instance.node == *node)
    }

    /// Whether nothing else that is said of the service is on its way to an instance of this version.
    pub(crate) fn is_to_stay(&self, version: &Version) -> bool {
        let refused = self.refused.as_ref();
        let is_refused = refused.is_some_and(|one| one.version.configured == self.configured);
        version.configured == self.configured || (is_refused && self.good.as_ref() == Some(version))
    }

    /// Those that should stay.
    pub(crate) fn staying(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().filter(|instance| instance.state != InstanceState::Stopping)
    }
}
