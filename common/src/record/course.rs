//! What a deployment has under way besides its goal: a canary, a move; and what was decided of it and of its route, with the
//! reasons.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::RequestId;
use crate::name::NodeName;

/// A canary's part of an instance's requests, in percent: from 1 to 99.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "u8")]
pub struct Share(u8);

/// The number or text is no canary's share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a canary gets a whole number of percent of the requests, from 1 to 99")]
pub struct NoShare;

impl Share {
    pub fn percent(self) -> u8 {
        self.0
    }
}

impl TryFrom<i64> for Share {
    type Error = NoShare;

    fn try_from(percent: i64) -> Result<Self, NoShare> {
        let kept = u8::try_from(percent).ok().filter(|percent| (1..=99).contains(percent));
        kept.map(Share).ok_or(NoShare)
    }
}

impl From<Share> for u8 {
    fn from(share: Share) -> Self {
        share.0
    }
}

/// `10` or `10%`.
impl FromStr for Share {
    type Err = NoShare;

    fn from_str(text: &str) -> Result<Self, NoShare> {
        let digits = text.strip_suffix('%').unwrap_or(text);
        let is_plain =
            (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let percent = digits.parse::<i64>().ok().filter(|_| is_plain);
        percent.ok_or(NoShare)?.try_into()
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

/// The newest generation gets a share of the requests, beside what is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    pub share: Share,
    /// Since when this share was asked for.
    pub since: Timestamp,
    /// The share that it had before this one was asked for, while that is on its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Share>,
    /// Whether the edge was told of this share, or that it gets all.
    #[serde(default)]
    pub told: bool,
    /// Whether it is to get all requests, once it has as many replicas as are wanted.
    #[serde(default)]
    pub promoted: bool,
}

/// A replica on its way to another node: the new one is started and served before the old one goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The request under which the new replica is placed.
    pub new: RequestId,
    /// The one under which the old replica was.
    pub old: RequestId,
    /// The nodes where it is better off; on any other it is not started.
    pub to: BTreeSet<NodeName>,
    pub since: Timestamp,
    /// One sentence for people, with the numbers.
    pub reason: String,
}

/// Its replicas stay where they are for a while: one was to move a moment ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stay {
    pub until: Timestamp,
    /// How many moves came to nothing, one after the other.
    pub in_vain: u32,
}

/// How many decisions a record keeps.
pub const MOST_DECISIONS: usize = 16;

/// What was decided of a deployment's releases or places, or of its route's replicas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub at: Timestamp,
    pub kind: DecisionKind,
    /// One sentence for people, with the numbers.
    pub reason: String,
}

/// What came of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionKind {
    /// A canary gets its share.
    Canary,
    /// A canary is what is served.
    Promoted,
    /// Somebody took a canary away.
    CanaryEnded,
    /// The platform went back from a release by itself.
    BackedOut,
    /// A replica is brought to another node.
    Moving,
    /// It serves there, and the old one goes.
    Moved,
    /// It stays where it is.
    NotMoved,
    /// An ill replica gets no requests.
    LeftOut,
    /// It gets requests again.
    PutBack,
    /// A replica that was ill was stopped and started again.
    Restarted,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_whole_number_of_percent_that_leaves_something_to_both() {
        for (text, percent) in [("1", 1), ("10%", 10), ("99%", 99), ("07", 7)] {
            assert_eq!(text.parse().map(Share::percent), Ok(percent), "{text}");
        }
        for text in ["", "%", "0", "0%", "100", "100%", "-1", "+5", "1.5%", "10 %", "ten", "10%%"] {
            assert_eq!(text.parse::<Share>(), Err(NoShare), "{text}");
        }
        for number in ["0", "100", "-3", "256", "266"] {
            assert!(serde_json::from_str::<Share>(number).is_err(), "{number}");
        }
        assert_eq!(serde_json::to_string(&Share(10)).unwrap(), "10");
    }
}
