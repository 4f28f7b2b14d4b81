//! Drains of nodes, as who speaks for people sees the node manager: it keeps them, and says no in its own words.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::name::NodeName;

pub use super::keeper::Error;

/// Says which nodes are drained. Both may be repeated.
#[async_trait]
pub trait Drains: Debug + Send + Sync {
    /// From now on the node gets nothing of apps, and what it has is served from others first and ends then. Refused where
    /// no other node could take apps.
    async fn begin(&self, node: &NodeName) -> Result<(), Error>;

    /// The node is returned: it gets things again.
    async fn end(&self, node: &NodeName) -> Result<(), Error>;
}
