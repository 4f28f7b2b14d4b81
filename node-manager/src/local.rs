//! [`LocalDrains`]: the node manager for an app manager of the same process, without a network between. The same as behind its
//! HTTP routes; it only words the refusals for the port.

use std::sync::Arc;

use async_trait::async_trait;
use chassis::http::Refusal;
use common::name::NodeName;
use common::port::Drains;
use common::port::drains::Error;

use crate::http::drains;
use crate::shared::Shared;

/// The port on the node manager of this process.
#[derive(Debug, Clone)]
pub(crate) struct LocalDrains(pub(crate) Arc<Shared>);

fn refused(refusal: Refusal) -> Error {
    Error::Refused(Box::new(refusal.0))
}

#[async_trait]
impl Drains for LocalDrains {
    async fn begin(&self, node: &NodeName) -> Result<(), Error> {
        drains::drained(&self.0, node).await.map_err(refused)
    }

    async fn end(&self, node: &NodeName) -> Result<(), Error> {
        drains::returned(&self.0, node).await.map_err(refused)
    }
}
