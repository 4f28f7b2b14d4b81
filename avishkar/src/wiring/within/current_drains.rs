//! [`CurrentDrains`]: the drains of the process's node manager, also after it was begun anew.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use common::name::NodeName;
use common::port::Drains;
use common::port::drains::Error;

/// The drains of the node manager that was made last. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct CurrentDrains(Arc<Mutex<Option<Arc<dyn Drains>>>>);

impl CurrentDrains {
    /// From now on these are asked.
    pub(crate) fn are(&self, drains: Arc<dyn Drains>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(drains);
    }

    fn now(&self) -> Result<Arc<dyn Drains>, Error> {
        let drains = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        drains.ok_or_else(|| Error::Unavailable("the node manager is not made yet".into()))
    }
}

#[async_trait]
impl Drains for CurrentDrains {
    async fn begin(&self, node: &NodeName) -> Result<(), Error> {
        self.now()?.begin(node).await
    }

    async fn end(&self, node: &NodeName) -> Result<(), Error> {
        self.now()?.end(node).await
    }
}
