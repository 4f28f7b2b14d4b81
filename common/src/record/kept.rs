//! Releases that an instance can go back to: those that were in service last, in the record of its deployment. Owns
//! their form; which are kept is the deployment manager's to say.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, ImageRef};
use crate::id::{Generation, ReleaseNumber, RequestId};
use crate::name::UserName;

/// A release that was in service, as it ran then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub number: ReleaseNumber,
    /// The image that ran: going back to the release runs this one, whatever would be built of its bundle now.
    pub image: ImageRef,
    /// What the image was built of; none where the release is an image that existed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Digest>,
    /// The generation that brought it into service last, and its request.
    pub generation: Generation,
    pub request: RequestId,
    /// Who asked, where the app manager knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserName>,
    /// Since when it has been in service, or was it last.
    pub since: Timestamp,
    /// When an older release was gone back to; none where it was left for a newer one, or is in service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_at: Option<Timestamp>,
}

/// How a release came to be wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// It is deployed.
    #[default]
    Deployed,
    /// It was in service before and is gone back to: its image of then runs, and nothing is built.
    RolledBack,
    /// It gets a share of the requests beside what is served: the instance says which.
    Canary,
    /// It got a share, and is to get all.
    Promoted,
}

/// Where the newest generation of a deployment comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    #[serde(default)]
    pub way: Way,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Digest>,
}
