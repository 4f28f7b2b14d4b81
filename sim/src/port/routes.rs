//! The load balancer as the deployment manager reaches it: its real commands, run in the load balancer's
//! own life.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use common::id::Generation;
use common::name::LegacyName;
use common::port::Routes;
use common::port::routes::{Error, RouteTraffic, Routed, Visitors, WantedRoute};
use common::service::ServiceName;

use super::mischief;
use crate::call::CallKind;
use crate::gate::{Call, Gate, Lost};
use crate::plant::Plant;
use crate::world::World;

#[derive(Debug)]
pub(crate) struct SimRoutes {
    gate: Gate,
}

impl SimRoutes {
    pub(crate) fn new(gate: Gate) -> Self {
        SimRoutes { gate }
    }
}

fn lost(_: Lost) -> Error {
    Error::Unavailable("simulated".into())
}

/// Has the living load balancer do something; it may end while it does.
async fn with<T, F>(world: &World, request: impl FnOnce(Arc<dyn Routes>) -> F) -> Result<T, Error>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    let living = {
        let lives = world.lives();
        let life = lives.current.get(&ServiceName::LoadBalancer);
        life.and_then(|life| Some((life.number, life.entrances().routes.clone()?)))
    };
    let Some((owner, routes)) = living else {
        return Err(Error::Unavailable("connection refused".into()));
    };
    let answered = world.stage.call(owner, request(routes)).await;
    answered.unwrap_or_else(|| Err(Error::Unavailable("connection reset".into())))
}

#[async_trait]
impl Routes for SimRoutes {
    async fn set(&self, route: &WantedRoute) -> Result<Routed, Error> {
        let (instance, generation) = (&route.instance, route.generation);
        let count = route.upstreams.len();
        let what = self.gate.world.essence(format_args!(
            "route {instance} at generation {generation} to {count} replicas"
        ));
        let call = Call { kind: CallKind::RoutesSet, what, step: &|| None };
        let (gate, route) = (self.gate.clone(), route.clone());
        let body = move |_| async move {
            if let Some(lie) = mischief::set_route(&gate, &route) {
                return Ok(lie);
            }
            let ask = |routes: Arc<dyn Routes>| async move { routes.set(&route).await };
            with(&gate.world, ask).await
        };
        self.gate.order(call, lost, body).await
    }

    async fn remove(&self, instance: &LegacyName, generation: Generation) -> Result<(), Error> {
        let what = self.gate.world.essence(format_args!("unroute {instance} at {generation}"));
        let call = Call { kind: CallKind::RoutesRemove, what, step: &|| None };
        let (gate, instance) = (self.gate.clone(), instance.clone());
        let body = move |_| async move {
            if gate.world.has(Plant::RoutesNeverGo) {
                return Ok(());
            }
            let ask =
                |routes: Arc<dyn Routes>| async move { routes.remove(&instance, generation).await };
            with(&gate.world, ask).await
        };
        self.gate.order(call, lost, body).await
    }

    async fn probe(&self, instance: &LegacyName, path: &str) -> Result<Option<u16>, Error> {
        let what = self.gate.world.essence(format_args!("probe {instance} through its route"));
        if self.gate.world.has(Plant::RoutesLie) {
            return Ok(Some(200));
        }
        let world = Arc::clone(&self.gate.world);
        let (instance, path) = (instance.clone(), path.to_owned());
        let ask = |routes: Arc<dyn Routes>| async move { routes.probe(&instance, &path).await };
        let asked = async { with(&world, ask).await };
        self.gate.ask(CallKind::RoutesProbe, what, lost, asked).await
    }

    async fn traffic(&self, instance: &LegacyName) -> Result<RouteTraffic, Error> {
        let what = self.gate.world.essence(format_args!("traffic of {instance}"));
        let world = Arc::clone(&self.gate.world);
        let instance = instance.clone();
        let ask = |routes: Arc<dyn Routes>| async move { routes.traffic(&instance).await };
        let asked = async { with(&world, ask).await };
        let mut told = self.gate.ask(CallKind::RoutesProbe, what, lost, asked).await?;
        if self.gate.world.has(Plant::ErrorsUnseen) {
            told.replicas.iter_mut().for_each(|replica| replica.errors = 0);
        }
        Ok(told)
    }

    async fn visitors(&self) -> Result<BTreeMap<LegacyName, Visitors>, Error> {
        let what = self.gate.world.essence(format_args!("traffic of all apps"));
        let world = Arc::clone(&self.gate.world);
        let ask = |routes: Arc<dyn Routes>| async move { routes.visitors().await };
        let asked = async { with(&world, ask).await };
        self.gate.ask(CallKind::RoutesProbe, what, lost, asked).await
    }
}
