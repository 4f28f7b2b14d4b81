//! What a part of the platform should be on a node, and what it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::container::ContainerState;
use super::nodes::Agent;
use super::share;
use crate::digest::{Digest, ImageRef, hex};
use crate::id::{Epoch, Generation};
use crate::name::PartName;

/// A container of the platform itself that should run on a node. It is on the node's own network, has no
/// capabilities but those of [`PartSpec::rights`], a read-only root with a small `/tmp`, and writes to its volumes only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartSpec {
    pub name: PartName,
    pub generation: Generation,
    pub image: PartImage,
    /// What follows the image's entry point.
    pub command: Vec<String>,
    pub environment: BTreeMap<String, String>,
    /// Mounted read-only, readable by its user only: keys are among them.
    pub files: Vec<PartFile>,
    pub volumes: Vec<PartVolume>,
    /// Whom its process and its folders belong to.
    pub user: u32,
    pub memory_bytes: u64,
    pub processes: u32,
    pub health: Option<PartHealth>,
    /// How long it may take to end when it is asked to.
    pub stop_seconds: u32,
    /// What it may do beside what every process may: nothing, of most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rights: Vec<PartRight>,
}

/// A right of the machine's that a part can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartRight {
    /// To change the machine's addresses.
    NetworkAdmin,
    /// To speak with others below TCP.
    RawNetwork,
    /// To run programs in the name of other groups.
    SetGroups,
}

impl PartSpec {
    /// The hash of the whole specification: the same name with another hash is another container.
    pub fn hash(&self) -> String {
        let text = serde_json::to_vec(self).expect("a specification has text keys only");
        hex(&Sha256::digest(&text))
    }
}

/// Where its image comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartImage {
    /// By the engine's id: it is on the machine, or the part cannot start.
    Id(Digest),
    /// By its name in the registry: fetched where it is missing.
    Named(ImageRef),
    /// By the code that it is built of: fetched and built on the machine where it is missing.
    Built(share::Code),
}

/// A small file that is mounted into a part.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartFile {
    /// Absolute.
    pub path: String,
    pub content: String,
}

/// Never shows its content: it may be a key.
impl std::fmt::Debug for PartFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PartFile({}, {} bytes)", self.path, self.content.len())
    }
}

/// A folder that survives the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartVolume {
    pub from: VolumeSource,
    /// Absolute, inside the container.
    pub path: String,
    pub read_only: bool,
}

/// Where a volume is on the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeSource {
    /// A folder of this part alone.
    Own(PartName),
    /// A folder that parts of this node share.
    Shared(PartName),
    /// In memory, shared by parts of this node; gone with the machine's power.
    Memory(PartName),
    /// The socket of the local backend of machines, where the machine has one: `/run/avishkar/machines.sock`.
    MachinesSocket,
}

/// The header by which a service that answers says that loops of its own are silent, and which: it is as one that answers
/// nothing.
pub const SILENT_LOOPS: &str = "avishkar-silent-loops";

/// How one sees that it is ready: asked once a second on the node itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartHealth {
    pub port: u16,
    /// Must answer below 400 over HTTP; without it, listening is enough.
    pub path: Option<String>,
    /// Said to one that is not asked over HTTP, which must then say something: a process that hangs still listens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub says: Vec<u8>,
    /// Which of its kind it is, from 0: so that several that hang are not ended at once.
    #[serde(default, skip_serializing_if = "is_first")]
    pub turn: u16,
    /// How long it may be silent from its start on, where that is longer than any other may; 0 where it is not.
    #[serde(default, skip_serializing_if = "is_ordinary")]
    pub start_seconds: u32,
    /// The agents of all machines that have one of its kind, its own among them, where too few of these are none: it is
    /// ended for its silence only as far as they let it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ensemble: Vec<Agent>,
    /// As what it has to take part in its ensemble, where there is one. One that answers and does not is healthy and [`apart`]:
    /// nothing is made of it that needs it, and nobody restarts it for that.
    ///
    /// [`apart`]: Part::apart
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<Member>,
}

/// A member of an ensemble, by what it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Member {
    /// A server that serves: of a quorum, or alone.
    #[serde(rename = "zookeeper")]
    ZooKeeper,
    /// The broker of this number, which the others know, and which is in step with them, as far as it has heard.
    Kafka { id: i32 },
}

impl PartHealth {
    /// Of the first of its kind, for which listening is enough.
    pub fn listens(port: u16) -> Self {
        let (says, ensemble) = (Vec::new(), Vec::new());
        PartHealth { port, path: None, says, turn: 0, start_seconds: 0, ensemble, member: None }
    }
}

/// What was specified before there were turns is the same as ever.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "so it is called")]
fn is_first(turn: &u16) -> bool {
    *turn == 0
}

/// So is what was specified before a start had a time.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "so it is called")]
fn is_ordinary(start_seconds: &u32) -> bool {
    *start_seconds == 0
}

/// What agents say that ask nobody so is as ever.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "so it is called")]
fn takes_part(apart: &bool) -> bool {
    !*apart
}

/// A part as a node has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub name: PartName,
    pub generation: Generation,
    /// The epoch of the issuer whose word made it.
    pub epoch: Epoch,
    pub spec_hash: String,
    pub state: ContainerState,
    /// What the last look found; none before the first.
    pub healthy: Option<bool>,
    /// It is healthy, and takes no part in its ensemble.
    #[serde(default, skip_serializing_if = "takes_part")]
    pub apart: bool,
    /// How often the node's agent started it again.
    pub restarts: u32,
}

/// A part to be removed, at or below a generation: a newer one of the same name stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRemoval {
    pub name: PartName,
    pub generation: Generation,
    pub data: PartFolders,
}

/// What happens to the folders of a part that is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartFolders {
    Keep,
    Discard,
}
