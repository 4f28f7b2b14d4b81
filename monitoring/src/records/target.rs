//! What was said of one target, and how often its restart was asked for.

use common::id::RequestId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::target::Target;
use crate::domain::verdict::Verdict;

/// `monitoring/targets/<hh>/<kind>.<name>`: written when the verdict changes, and when a restart is asked for;
/// removed when the target is not there any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TargetRecord {
    pub(crate) schema: u32,
    pub(crate) target: Target,
    pub(crate) verdict: Verdict,
    /// One sentence: why. It holds no address.
    pub(crate) why: String,
    pub(crate) since: Timestamp,
    /// The incident that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) incident: Option<RequestId>,
    /// How many restarts were asked for since it was last calm.
    #[serde(default)]
    pub(crate) restarts: u32,
}

impl TargetRecord {
    pub(crate) fn new(target: Target, at: Timestamp) -> Self {
        TargetRecord {
            schema: 1,
            target,
            verdict: Verdict::Unknown,
            why: String::new(),
            since: at,
            incident: None,
            restarts: 0,
        }
    }
}
