//! The routes of apps that are deployed for the first time: made when their deployment begins, gone when it is given
//! up before a replica served.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chassis::reconcile::{Outcome, Reconcile};
use common::name::LegacyName;
use common::record::route::RouteGoal;

use crate::commands::{Error, announce_route, remove_route};
use crate::domain::route::is_on_its_way;
use crate::records::{deployment, route, routes};
use crate::shared::Shared;

/// How soon an app is looked at again while the edge has not answered.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Keeps announced routes equal to the deployments on their way.
#[derive(Debug)]
pub(crate) struct AnnounceReconciler {
    pub(crate) shared: Arc<Shared>,
}

#[async_trait]
impl Reconcile for AnnounceReconciler {
    type Key = LegacyName;
    type Error = Error;

    /// Those that may have to go. One that is not announced, as its hint was lost, is no failure.
    async fn keys(&self) -> Result<Vec<LegacyName>, Error> {
        let routes = routes(&self.shared).await?;
        let announced = routes.values().map(|stored| &stored.record);
        let announced = announced.filter(|route| route.goal == RouteGoal::Announced);
        Ok(announced.map(|route| route.instance.clone()).collect())
    }

    async fn reconcile(&self, instance: &LegacyName) -> Result<Outcome, Error> {
        let store = &*self.shared.ports.store;
        store.sync().await?;
        let deployment = deployment(store, instance).await?;
        let is_on_its_way = deployment.as_ref().is_some_and(is_on_its_way);
        match route(store, instance).await?.map(|stored| stored.record) {
            None if is_on_its_way => {
                let open = self.shared.front_ports().borrow().clone();
                let Some(open) = open else { return Ok(Outcome::Again(LOOK_EVERY)) };
                announce_route::run(&self.shared, instance, &open).await?;
            }
            Some(route) if route.goal == RouteGoal::Announced && !is_on_its_way => {
                remove_route::withdraw(&self.shared, instance).await?;
            }
            Some(_) | None => {}
        }
        Ok(Outcome::Settled)
    }
}
