//! [`CurrentRoutes`]: the load balancer of the process, also after it was begun anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use common::id::Generation;
use common::name::LegacyName;
use common::port::Routes;
use common::port::routes::{Error, RouteTraffic, Routed, Visitors, WantedRoute};

/// The routes of the load balancer that was made last. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct CurrentRoutes(Arc<Mutex<Option<Arc<dyn Routes>>>>);

impl CurrentRoutes {
    /// From now on these are asked.
    pub(crate) fn are(&self, routes: Arc<dyn Routes>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(routes);
    }

    fn now(&self) -> Result<Arc<dyn Routes>, Error> {
        let routes = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        routes.ok_or_else(|| Error::Unavailable("the load balancer is not made yet".into()))
    }
}

#[async_trait]
impl Routes for CurrentRoutes {
    async fn set(&self, route: &WantedRoute) -> Result<Routed, Error> {
        self.now()?.set(route).await
    }

    async fn remove(&self, instance: &LegacyName, generation: Generation) -> Result<(), Error> {
        self.now()?.remove(instance, generation).await
    }

    async fn probe(&self, instance: &LegacyName, path: &str) -> Result<Option<u16>, Error> {
        self.now()?.probe(instance, path).await
    }

    async fn traffic(&self, instance: &LegacyName) -> Result<RouteTraffic, Error> {
        self.now()?.traffic(instance).await
    }

    async fn visitors(&self) -> Result<BTreeMap<LegacyName, Visitors>, Error> {
        self.now()?.visitors().await
    }
}
