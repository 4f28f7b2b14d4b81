//! A load balancer in memory that keeps its routes in the store, as the real one does.

use std::collections::BTreeMap;

use async_trait::async_trait;
use common::id::Generation;
use common::name::LegacyName;
use common::port::routes::{Error, RouteTraffic, Routed, Visitors, WantedRoute};
use common::port::store::Op;
use common::port::{Routes, Store as _};
use common::record::route::{Route, RouteGoal};
use common::record::{self, path};
use testkit::{MemoryRoutes, MemoryStore};

#[derive(Debug, Clone)]
pub(crate) struct StoredRoutes {
    pub(crate) memory: MemoryRoutes,
    pub(crate) store: MemoryStore,
}

impl StoredRoutes {
    /// What stands in memory, stands in the store.
    async fn keep(&self, instance: &LegacyName) {
        let at = path::route(instance);
        let (Some(wanted), Some(routed)) =
            (self.memory.wanted(instance), self.memory.routed(instance))
        else {
            if let Some(entry) = self.store.get(&at).await.unwrap() {
                let op = Op::Delete { path: at, version: entry.version };
                self.store.commit(vec![op]).await.unwrap();
            }
            return;
        };
        let route = Route {
            schema: 1,
            instance: wanted.instance,
            front_port: routed.front_port,
            host: routed.host,
            upstreams: wanted.upstreams,
            leaving: Vec::new(),
            ill: Vec::new(),
            goal: RouteGoal::Served,
            generation: wanted.generation,
            revision: wanted.revision,
            image: wanted.image,
            container_port: wanted.container_port,
            container_ids: wanted.container_ids,
            edge: wanted.edge,
            decisions: Vec::new(),
            restarts: Vec::new(),
            owed: Vec::new(),
        };
        self.store.seed(&at, record::encode(&route));
    }
}

#[async_trait]
impl Routes for StoredRoutes {
    async fn set(&self, route: &WantedRoute) -> Result<Routed, Error> {
        let routed = self.memory.set(route).await;
        self.keep(&route.instance).await;
        routed
    }

    async fn remove(&self, instance: &LegacyName, generation: Generation) -> Result<(), Error> {
        let removed = self.memory.remove(instance, generation).await;
        self.keep(instance).await;
        removed
    }

    async fn probe(&self, instance: &LegacyName, path: &str) -> Result<Option<u16>, Error> {
        self.memory.probe(instance, path).await
    }

    async fn traffic(&self, instance: &LegacyName) -> Result<RouteTraffic, Error> {
        self.memory.traffic(instance).await
    }

    async fn visitors(&self) -> Result<BTreeMap<LegacyName, Visitors>, Error> {
        self.memory.visitors().await
    }
}
