//! Monitoring as a whole: its routes, and its loops as one tree of futures.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::ServiceConfig;
use async_trait::async_trait;
use chassis::http::callers;
use chassis::leading::{Leader, run_until_lost};
use chassis::lifecycle::Lifecycle;
use chassis::reconcile::{Driver, Settings};
use chassis::service;
use common::service::ServiceName;
use common::topic::{Topic, TopicName};
use prometheus::Registry;
use tokio::time::sleep;

use crate::config::Config;
use crate::dues::Dues;
use crate::ports::Ports;
use crate::shared::Shared;
use crate::{housekeeping, http, watch};

const RETRY: Duration = Duration::from_secs(1);

/// Monitoring.
#[derive(Debug)]
pub struct Service {
    shared: Arc<Shared>,
}

impl Service {
    pub fn new(ports: Ports, config: Config) -> Self {
        Service { shared: Shared::new(ports, config) }
    }
}

#[async_trait]
impl Leader for Service {
    async fn work(&self, lifecycle: &Lifecycle) {
        let shared = self.shared.as_ref();
        let settings = Settings { deadline: Duration::from_mins(1), ..Settings::default() };
        let driver = Driver::new("dues", settings, shared.dues_wake.clone());
        let dues = Dues::new(shared);
        tokio::select! {
            biased;
            () = driver.run(&dues, lifecycle) => {}
            () = ensure_topics(shared) => {}
            () = watch::watch(shared, lifecycle) => {}
            () = housekeeping::keep_house(shared, lifecycle) => {}
        }
    }
}

/// Makes the topics that are missing; never ends. Nobody waits for it: what is owed is tried again.
async fn ensure_topics(shared: &Shared) {
    let topics: Vec<TopicName> =
        Topic::ALL.into_iter().flat_map(|topic| [topic.into(), topic.dead_letter()]).collect();
    while let Err(err) = shared.ports.bus.ensure_topics(&topics).await {
        tracing::debug!(error = &err as &dyn std::error::Error, "the topics cannot be made yet");
        sleep(RETRY).await;
    }
    std::future::pending::<()>().await;
}

#[async_trait]
impl service::Service for Service {
    fn name(&self) -> ServiceName {
        ServiceName::Monitoring
    }

    fn public_routes(&self, routes: &mut ServiceConfig) {
        http::public_routes(&self.shared, routes);
    }

    fn internal_routes(&self, routes: &mut ServiceConfig) {
        http::internal_routes(&self.shared, routes);
    }

    fn internal_callers(&self) -> Vec<ServiceName> {
        callers(http::ENDPOINTS)
    }

    /// All that is answered stands in the store.
    fn any_instance_answers(&self) -> bool {
        true
    }

    fn metrics(&self) -> Registry {
        self.shared.metrics.registry.clone()
    }

    async fn run(&self, lifecycle: Lifecycle) -> Result<(), service::Error> {
        Ok(run_until_lost(self, &self.shared.seat, &lifecycle).await?)
    }
}
