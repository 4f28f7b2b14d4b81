//! When services and machines were restarted of late, all together: `lifecycle/budget`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Budget {
    pub(crate) schema: u32,
    pub(crate) spent: Vec<Timestamp>,
}
