//! Machines: what has an operating system, made by a backend or given to it.
//!
//! Every call has a deadline of its own and may be repeated. In what order a backend makes what a machine needs
//! (groups, networks, addresses) is its own business.

mod azure;

use std::fmt::{self, Debug};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Cause;
use super::host::{self, Gate, HostKey, PublicKey};
use crate::digest::hex;
use crate::name::NodeName;

pub use azure::{AzureImage, AzureShape, Opening, Origin};

/// A machine that should exist. Its name will be the node's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineSpec {
    pub name: NodeName,
    /// Who may sign in, as the user that the backend says.
    pub authorized_key: PublicKey,
    pub shape: Shape,
}

impl MachineSpec {
    /// The hash of the whole specification: a machine of another one is another machine.
    pub fn hash(&self) -> String {
        let text = serde_json::to_vec(self).expect("a specification has text keys only");
        hex(&Sha256::digest(&text))
    }
}

/// What a machine is made of, in its backend's terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Shape {
    /// A container with a container engine of its own, on this computer.
    Local(LocalShape),
    /// A virtual machine of Azure.
    Azure(AzureShape),
    /// A machine that exists, and that nobody makes.
    Given,
}

impl Shape {
    /// The backend's name for people.
    pub fn kind(&self) -> &'static str {
        match self {
            Shape::Local(_) => "local",
            Shape::Azure(_) => "azure",
            Shape::Given => "given",
        }
    }
}

/// A machine in a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalShape {
    pub memory_bytes: u64,
    /// Thousandths of a core.
    pub cpu_millis: u32,
    /// Its fixed address; without one, the lowest free of the backend's network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Ipv4Addr>,
    /// Whether it gets this computer's engine, so that who runs on it can make further local machines.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub machines_socket: bool,
}

/// Which machine it is, in its backend's words: one that is made anew under the same name has another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MachineId(pub String);

/// A machine as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    pub name: NodeName,
    /// None of a machine that its backend did not make.
    pub id: Option<MachineId>,
    pub power: Power,
    /// Where other machines reach it; none before it has an address.
    pub address: Option<IpAddr>,
    /// Where one signs in from here, and as whom.
    pub entry: Gate,
    pub user: String,
    /// Its host key where the backend knows it without asking the machine itself; else somebody must compare it.
    pub host_key: Option<HostKey>,
}

impl Machine {
    /// Whether it is another one than that which had its name and this id. What its backend cannot tell apart is the same.
    pub fn is_another_than(&self, id: Option<&MachineId>) -> bool {
        matches!((&self.id, id), (Some(own), Some(known)) if own != known)
    }
}

/// Whether it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    Running,
    /// It is there and does nothing.
    Stopped,
    /// On its way from one to the other.
    Changing,
    /// It does not answer, and nobody else can be asked.
    Unknown,
}

/// What a backend may be asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ability {
    Create,
    Start,
    Stop,
    Restart,
    Delete,
}

impl fmt::Display for Ability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ability::Create => "made",
            Ability::Start => "started",
            Ability::Stop => "stopped",
            Ability::Restart => "restarted",
            Ability::Delete => "deleted",
        })
    }
}

/// Why a backend did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no machine {0}")]
    NotFound(NodeName),
    /// Never: this backend has no way to do it.
    #[error("machine {name} cannot be {what} here: {why}")]
    Cannot { name: NodeName, what: Ability, why: &'static str },
    /// The name, the address or the network belongs to something else.
    #[error("machine {name} cannot be made: {what}")]
    InUse { name: NodeName, what: String },
    /// There is no room for it.
    #[error("machine {name} does not fit: {what}")]
    Quota { name: NodeName, what: String },
    /// The backend does not know us, or does not let us.
    #[error("the backend of the machines refused our credentials")]
    CredentialsRefused(#[source] Cause),
    /// Not now. Whether it was done is unknown.
    #[error("the backend of the machines is unavailable")]
    Unavailable(#[source] Cause),
    /// What is under way goes on; a look tells how it ended.
    #[error("machine {name} was not {what} within {after:?}")]
    DeadlineExceeded { name: NodeName, what: Ability, after: Duration },
    /// The machine itself refused, or is not the one that was pinned.
    #[error("machine {name} cannot be used")]
    Machine {
        name: NodeName,
        #[source]
        source: host::Error,
    },
    /// The backend understood and refused.
    #[error("the backend of the machines refused: {0}")]
    Refused(String),
}

impl Error {
    /// Whether the same call may work later without anybody's help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::Unavailable(_) | Error::DeadlineExceeded { .. } => true,
            Error::Machine { source, .. } => source.is_retryable(),
            Error::NotFound(_)
            | Error::Cannot { .. }
            | Error::InUse { .. }
            | Error::Quota { .. }
            | Error::CredentialsRefused(_)
            | Error::Refused(_) => false,
        }
    }

    /// One sentence: what to do about it.
    pub fn hint(&self) -> String {
        match self {
            Error::NotFound(name) => format!("see whether {name} is spelled as in the file"),
            Error::Cannot { what: Ability::Start, .. } => "switch it on where it stands".to_owned(),
            Error::Cannot { .. } => "do it where the machine comes from".to_owned(),
            Error::InUse { .. } => {
                "choose another name or address, or remove what has it".to_owned()
            }
            Error::Quota { .. } => {
                "ask for a smaller machine, remove others, or have the quota raised".to_owned()
            }
            Error::CredentialsRefused(_) => {
                "see whether the credentials are right, and what they may do".to_owned()
            }
            Error::Unavailable(_) | Error::DeadlineExceeded { .. } => {
                "look at the machine again in a moment".to_owned()
            }
            Error::Machine { source, .. } => source.hint(),
            Error::Refused(_) => "see what the backend says of it".to_owned(),
        }
    }
}

/// A backend of machines. What is not the platform's is never touched, nor listed.
#[async_trait]
pub trait Machines: Debug + Send + Sync {
    /// Why this backend has no way to do something; none if it has. Such a call fails with [`Error::Cannot`].
    fn lacks(&self, what: Ability) -> Option<&'static str>;

    /// The machine as it is now, if it exists.
    async fn look(&self, name: &NodeName) -> Result<Option<Machine>, Error>;

    /// All machines, sorted by name.
    async fn list(&self) -> Result<Vec<Machine>, Error>;

    /// Makes the machine exist and run. One of the same name and another specification is [`Error::InUse`].
    async fn create(&self, spec: &MachineSpec) -> Result<Machine, Error>;

    /// Makes a machine that exists run.
    async fn start(&self, name: &NodeName) -> Result<Machine, Error>;

    /// Makes a machine that exists stop: what runs on it is asked to end first, within a bound.
    async fn stop(&self, name: &NodeName) -> Result<(), Error>;

    /// Stops and starts it; returns when its operating system runs anew. One that stood still runs then.
    async fn restart(&self, name: &NodeName) -> Result<Machine, Error>;

    /// Makes sure that there is no such machine, and nothing that was made for it.
    async fn delete(&self, name: &NodeName) -> Result<(), Error>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(memory_bytes: u64) -> MachineSpec {
        let key = format!("ssh-ed25519 {} ops", "A".repeat(68));
        let shape = Shape::Local(LocalShape {
            memory_bytes,
            cpu_millis: 1000,
            address: None,
            machines_socket: false,
        });
        MachineSpec { name: "node-1".parse().unwrap(), authorized_key: key.parse().unwrap(), shape }
    }

    #[test]
    fn a_specification_has_one_hash_and_another_has_another() {
        assert_eq!(spec(1).hash(), spec(1).hash());
        assert_ne!(spec(1).hash(), spec(2).hash());
    }

    #[test]
    fn a_specification_is_read_back() {
        let azure = MachineSpec { shape: Shape::Azure(AzureShape::default()), ..spec(1) };
        for spec in [spec(1), azure] {
            let text = serde_json::to_string(&spec).unwrap();
            assert_eq!(serde_json::from_str::<MachineSpec>(&text).unwrap(), spec);
        }
    }
}
