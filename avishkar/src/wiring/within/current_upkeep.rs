//! [`CurrentUpkeep`]: the lifecycle manager of the process, also after it was begun anew.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use common::id::RequestId;
use common::name::NodeName;
use common::port::Upkeep;
use common::port::upkeep::{Addition, Error, Machine, Pin, Target};

/// The upkeep of the lifecycle manager that was made last. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct CurrentUpkeep(Arc<Mutex<Option<Arc<dyn Upkeep>>>>);

impl CurrentUpkeep {
    /// From now on this one is asked.
    pub(crate) fn is(&self, upkeep: Arc<dyn Upkeep>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(upkeep);
    }

    fn now(&self) -> Result<Arc<dyn Upkeep>, Error> {
        let upkeep = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        upkeep.ok_or_else(|| Error::Unavailable("the lifecycle manager is not made yet".into()))
    }
}

#[async_trait]
impl Upkeep for CurrentUpkeep {
    async fn machines(&self) -> Result<Vec<Machine>, Error> {
        self.now()?.machines().await
    }

    async fn restart(&self, request: RequestId, target: &Target) -> Result<(), Error> {
        self.now()?.restart(request, target).await
    }

    async fn add(&self, request: RequestId, addition: &Addition) -> Result<(), Error> {
        self.now()?.add(request, addition).await
    }

    async fn remove(&self, machine: &NodeName) -> Result<(), Error> {
        self.now()?.remove(machine).await
    }

    async fn pin(&self, machine: &NodeName, pin: &Pin) -> Result<(), Error> {
        self.now()?.pin(machine, pin).await
    }
}
