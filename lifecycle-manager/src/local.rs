//! [`LocalUpkeep`]: the lifecycle manager for an app manager of the same process, without a network between. The same as behind
//! its HTTP routes; it only words the refusals for the port.

use std::sync::Arc;

use async_trait::async_trait;
use chassis::http::Refusal;
use common::id::RequestId;
use common::name::NodeName;
use common::port::Upkeep;
use common::port::upkeep::{Addition, Error, Machine, Pin, Target};

use crate::http::{machines, requests, restarts};
use crate::records::By;
use crate::shared::Shared;

/// The port on the lifecycle manager of this process. Who asks it speaks for people, as the app manager does.
#[derive(Debug, Clone)]
pub(crate) struct LocalUpkeep(pub(crate) Arc<Shared>);

fn refused(refusal: Refusal) -> Error {
    Error::Refused(Box::new(refusal.0))
}

#[async_trait]
impl Upkeep for LocalUpkeep {
    async fn machines(&self) -> Result<Vec<Machine>, Error> {
        machines::listed(&self.0).await.map_err(refused)
    }

    async fn restart(&self, request: RequestId, target: &Target) -> Result<(), Error> {
        let target = (target.family(), target.name());
        let taken = restarts::take(&self.0, request, By::Operator, target).await;
        let (_, acceptance) = taken.map_err(refused)?;
        requests::taken(&acceptance).map_err(|no| refused(no.into()))
    }

    async fn add(&self, request: RequestId, addition: &Addition) -> Result<(), Error> {
        let taken = machines::take_addition(&self.0, request, addition.clone()).await;
        let (_, acceptance) = taken.map_err(refused)?;
        requests::taken(&acceptance).map_err(|no| refused(no.into()))
    }

    async fn remove(&self, machine: &NodeName) -> Result<(), Error> {
        machines::take_removal(&self.0, machine).await.map_err(refused)
    }

    async fn pin(&self, machine: &NodeName, pin: &Pin) -> Result<(), Error> {
        machines::take_pin(&self.0, machine, pin).await.map_err(refused)
    }
}
