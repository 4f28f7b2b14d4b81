//! One replica's container on its node.

use common::digest::ImageRef;
use common::failure::{Failure, FailureCode};
use common::name::ContainerName;
use common::port::container::ContainerSpec;
use common::port::nodes::{self, Agent, Removal};
use common::record::deployment::{Place, Slot};

use super::Round;
use crate::domain::spec;
use crate::reconcile::Error;

/// A replica that has a place, and whom to ask there.
#[derive(Debug)]
pub(super) struct Placed<'a> {
    pub(super) slot: &'a Slot,
    place: &'a Place,
    pub(super) agent: Agent,
    pub(super) name: ContainerName,
}

impl<'a> Placed<'a> {
    pub(super) fn of(round: &Round<'_>, slot: &'a Slot) -> Result<Self, Failure> {
        let nowhere = || Failure::new(FailureCode::Internal, "the replica has no place");
        let place = slot.place.as_ref().ok_or_else(nowhere)?;
        let agent = round.agent(&place.node)?;
        let name = ContainerName::new(&round.instance()?, slot.number);
        Ok(Placed { slot, place, agent, name })
    }

    pub(super) fn spec(
        &self,
        round: &Round<'_>,
        image: &ImageRef,
    ) -> Result<ContainerSpec, Failure> {
        let release = round.release(self.slot)?;
        let instance = round.found.instance.as_ref();
        let app_json = instance.and_then(|instance| instance.app_json.as_deref());
        let run = spec::Run { image, release, app_json };
        Ok(spec::container(&round.instance()?, self.slot, self.place, &run))
    }

    pub(super) async fn remove(&self, round: &Round<'_>) -> Result<(), nodes::Error> {
        let removal = Removal { name: self.name.clone(), generation: self.slot.generation };
        let issuer = round.shared.seat.issuer();
        round.shared.ports.nodes.remove(&self.agent, issuer, &removal).await
    }

    /// What an unfit container leaves behind goes with it if it can; else the sweep takes it.
    pub(super) async fn discard(&self, round: &Round<'_>) {
        if let Err(err) = self.remove(round).await {
            let err = &err as &dyn std::error::Error;
            tracing::warn!(error = err, container = %self.name, "left to the sweep");
        }
    }
}

/// A refused epoch is not the node's failure: somebody else leads, or led it from another store.
pub(super) fn unless_deposed(err: nodes::Error) -> Result<nodes::Error, Error> {
    match err {
        nodes::Error::StaleEpoch { node, seen } => Err(Error::Refused { node, seen }),
        err @ (nodes::Error::Unreachable { .. } | nodes::Error::Failed { .. }) => Ok(err),
    }
}
