//! What fills the disk of a node, by digest, and who refers to it; and the removal of what nobody does.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, ImageRef};
use crate::name::{ContainerName, PartName};

/// What is on the disk of a node. Only what carries the platform's labels, or is kept for its services, is among it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    pub at: Timestamp,
    pub space: Space,
    /// Images, and the stages that builds left behind, the oldest first.
    pub images: Vec<Item>,
    /// What is kept for services, by digest, the longest unused first.
    pub bundles: Vec<Bundle>,
    /// The disk that bundles are on, where it is another than that of images, and measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle_space: Option<Space>,
}

impl Disk {
    /// The images that may go, the oldest first.
    pub fn collectable(&self) -> impl Iterator<Item = &Item> {
        self.images.iter().filter(|item| item.is_collectable())
    }

    /// The bundles that may go, the longest unused first.
    pub fn collectable_bundles(&self) -> impl Iterator<Item = &Bundle> {
        self.bundles.iter().filter(|bundle| bundle.is_collectable())
    }

    /// What a collection of all that may go frees at least on the disk of images.
    pub fn collectable_bytes(&self) -> u64 {
        let images = self.collectable().map(|item| item.own_bytes);
        let bundles = self.collectable_bundles().filter(|_| self.bundle_space.is_none());
        let bundles = bundles.map(|bundle| bundle.bytes);
        images.chain(bundles).fold(0, u64::saturating_add)
    }
}

/// How large a disk is, and how much of it is free for everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    pub total_bytes: u64,
    pub free_bytes: u64,
}

/// An image, a stage of a build, or a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    pub kind: Kind,
    /// The engine's id of it; of a bundle, its own.
    pub digest: Digest,
    /// By digest, as registries and specifications call it; sorted.
    pub names: Vec<ImageRef>,
    /// With the layers that it shares with others.
    pub bytes: u64,
    /// Without them: what its removal frees at least.
    pub own_bytes: u64,
    /// Of a bundle: when it was last put or asked for.
    pub created: Timestamp,
    /// Why it stays; empty if it may go.
    pub references: Vec<Reference>,
}

impl Item {
    pub fn is_collectable(&self) -> bool {
        self.references.is_empty()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The platform built it, wherever it did.
    Image,
    /// What a build left behind besides its image.
    Stage,
    /// A blob that is kept for services.
    Bundle,
}

/// Who refers to an image or a bundle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Reference {
    /// A container was made of it, in whatever state and whosever it is.
    Container { name: String },
    /// The node was told to run it.
    Wanted { container: ContainerName },
    /// A part of the platform on this node.
    Part { part: PartName },
    /// The node manager says that it is kept.
    Pinned { by: String },
    /// One of the newest of an app that is deployed.
    Newest { repository: String },
    /// It was built, fetched, started, put or asked for a moment ago.
    Recent,
    /// Nobody has said for some time whether it is needed.
    Unsaid,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Container { name } => write!(f, "container {name}"),
            Reference::Wanted { container } => write!(f, "to run as {container}"),
            Reference::Part { part } => write!(f, "part {part}"),
            Reference::Pinned { by } => write!(f, "{by}"),
            Reference::Newest { repository } => write!(f, "one of the newest of {repository}"),
            Reference::Recent => f.write_str("used a moment ago"),
            Reference::Unsaid => f.write_str("nobody has said whether it is needed"),
        }
    }
}

/// A blob that is kept on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    pub digest: Digest,
    pub bytes: u64,
    /// Why it stays; empty if it may go. Agents of before this remove none.
    #[serde(default = "unsaid")]
    pub references: Vec<Reference>,
}

impl Bundle {
    pub fn is_collectable(&self) -> bool {
        self.references.is_empty()
    }
}

fn unsaid() -> Vec<Reference> {
    vec![Reference::Unsaid]
}

/// What the records say of the bundles that a node has, for that node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// When the node looked, by its own clock: this says nothing of what was used since.
    pub at: Timestamp,
    /// Those of which something is known, by digest.
    pub bundles: Vec<Need>,
}

/// Who refers to a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    pub digest: Digest,
    /// Empty if nobody did when the records were read, after the node had looked.
    pub by: Vec<String>,
}

/// An image that is kept on every node that has it, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pin {
    pub image: ImageRef,
    pub by: String,
}

/// What is to be removed of what may go: until so much is free on the disk of images, on which bundles of another disk make no
/// room. Who does not know a member of it would remove too much, and refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collection {
    /// The oldest first, until so much is free; all of it if this is left out.
    #[serde(default)]
    pub until_free_bytes: Option<u64>,
    pub mode: Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Only says what would go.
    Plan,
    Remove,
}

/// What a collection did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    pub mode: Mode,
    pub before: Space,
    pub after: Space,
    pub items: Vec<Outcome>,
}

impl Collected {
    /// What went, or would go, frees at least so much.
    pub fn freed_bytes(&self) -> u64 {
        let gone = self.items.iter().filter(|item| item.stays.is_none());
        gone.fold(0, |sum, item| sum.saturating_add(item.own_bytes))
    }
}

/// What became of one image or bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub kind: Kind,
    pub digest: Digest,
    pub names: Vec<ImageRef>,
    pub own_bytes: u64,
    /// Why it stays after all; none if it is gone, or would be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stays: Option<String>,
}

/// An image of the platform as a container engine has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredImage {
    pub id: Digest,
    pub kind: Kind,
    /// As in [`Item::names`].
    pub names: Vec<ImageRef>,
    /// What it was built as, without a registry, where that is known.
    pub repository: Option<String>,
    pub bytes: u64,
    pub own_bytes: u64,
    pub created: Timestamp,
    /// The containers that were made of it, whosever they are; sorted.
    pub containers: Vec<String>,
}

/// What became of an image that was to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    Gone,
    /// In the engine's words, or ours: why it stays.
    Stays(String),
}
