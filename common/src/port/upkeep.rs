//! The upkeep of a platform's machines and services, as who speaks for people sees the lifecycle manager: it does the work,
//! and says no in its own words.

use std::fmt::{self, Debug};
use std::net::IpAddr;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::host::HostKey;
use crate::failure::Failure;
use crate::id::RequestId;
use crate::name::{self, LegacyName, NodeName};
use crate::record::machine::{MachineGoal, MachineState};

pub use super::keeper::Error;

/// A machine as it is. Nothing about how one signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub name: NodeName,
    /// `local`, `azure` or `given`.
    pub kind: String,
    pub address: Option<IpAddr>,
    pub goal: MachineGoal,
    pub state: MachineState,
    /// One sentence: why it is in this state.
    pub reason: String,
    pub since: Timestamp,
    /// When it was restarted of late, newest last.
    pub restarts: Vec<Timestamp>,
    /// How often something was done about it of late, and why that did not help.
    pub attempts: u32,
    pub failure: Option<Failure>,
}

/// A machine that is to be added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Addition {
    /// The next free one if it is left out.
    #[serde(default)]
    pub name: Option<NodeName>,
    pub reason: String,
}

/// A host key that somebody has compared at the machine itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    pub host_key: HostKey,
}

/// What is to be restarted. Names of all families can stand in a path as they are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    Service(LegacyName),
    Node(NodeName),
    App(LegacyName),
    /// An instance of an app of kind model.
    Model(LegacyName),
}

impl Target {
    /// The target of this name in `services`, `nodes`, `apps` or `models`; none where there is no such family.
    pub fn of(family: &str, name: &str) -> Option<Result<Self, name::Error>> {
        Some(match family {
            "services" => name.parse().map(Target::Service),
            "nodes" => name.parse().map(Target::Node),
            "apps" => name.parse().map(Target::App),
            "models" => name.parse().map(Target::Model),
            _ => return None,
        })
    }

    pub fn family(&self) -> &'static str {
        match self {
            Target::Service(_) => "services",
            Target::Node(_) => "nodes",
            Target::App(_) => "apps",
            Target::Model(_) => "models",
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Target::Node(node) => node.as_str(),
            Target::Service(name) | Target::App(name) | Target::Model(name) => name.as_str(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.family(), self.name())
    }
}

/// Looks after machines and services. What takes long is only taken here; how it ends is the outcome of the request, which
/// the lifecycle manager keeps. The same request again is taken, and done once; under its id nothing else that
/// comes over HTTP is.
#[async_trait]
pub trait Upkeep: Debug + Send + Sync {
    /// All machines, in the order of names.
    async fn machines(&self) -> Result<Vec<Machine>, Error>;

    /// Restarts it for a person: no brake holds that.
    async fn restart(&self, request: RequestId, target: &Target) -> Result<(), Error>;

    /// Makes a machine more, and a node of it.
    async fn add(&self, request: RequestId, addition: &Addition) -> Result<(), Error>;

    /// Takes an added machine away, as soon as it is empty. May be repeated.
    async fn remove(&self, machine: &NodeName) -> Result<(), Error>;

    /// Only who shows this host key is the machine from now on; the end of its quarantine. May be repeated. A machine that is
    /// in none keeps the key that it is known by: for it any other is refused.
    async fn pin(&self, machine: &NodeName, pin: &Pin) -> Result<(), Error>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_of_a_family_and_its_name_is_one_part_of_a_path() {
        for (family, name) in
            [("services", "node_manager"), ("nodes", "node-1"), ("apps", "shop"), ("models", "m-1")]
        {
            let target = Target::of(family, name).unwrap().unwrap();
            assert_eq!(target.to_string(), format!("{family}/{name}"));
        }
        assert_eq!(Target::of("machines", "node-1"), None);
        for family in ["services", "nodes", "apps", "models"] {
            for name in ["", "a/b", "..", "a?b", "a%2fb", "a b"] {
                assert!(Target::of(family, name).unwrap().is_err(), "{family}: {name:?}");
            }
        }
    }
}
