//! What monitoring says is down: `lifecycle/verdicts/<kind>.<name>`; gone when it says that it is up.

use common::id::RequestId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Said {
    pub(crate) schema: u32,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) verdict: String,
    pub(crate) text: String,
    pub(crate) at: Timestamp,
    pub(crate) request: RequestId,
}
