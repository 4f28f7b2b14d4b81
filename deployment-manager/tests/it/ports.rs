//! The fakes as the service gets them: every call that changes something lets others run first, so
//! that a crash can come between any two of them, and the load balancer keeps its records.

use std::collections::BTreeMap;
use std::future::pending;
use std::io::{Read as _, Seek as _};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use common::digest::ImageRef;
use common::failure::{Failure, FailureCode};
use common::id::Generation;
use common::name::{ContainerName, LegacyName};
use common::port::container::{Container, ContainerSpec};
use common::port::containers::{Follow, LineStream};
use common::port::edge::EdgeOptions;
use common::port::nodes::{self, Agent, Build, Issuer, Probe, Removal, SampleStream};
use common::port::routes::{self, RouteTraffic, Routed, Visitors, WantedRoute};
use common::port::{Nodes, Routes};
use common::record::path;
use common::record::route::{Route, RouteGoal};
use testkit::{MemoryNodes, MemoryRoutes, MemoryStore};
use tokio::task::yield_now;

/// What goes with a build: its repository and its context.
pub(crate) type Built = (String, Vec<u8>);

#[derive(Debug)]
pub(crate) struct Agents {
    pub(crate) nodes: MemoryNodes,
    pub(crate) builds: Arc<Mutex<Vec<Built>>>,
    pub(crate) crash_loops: Arc<Mutex<Option<Probe>>>,
    pub(crate) stuck: Arc<Mutex<Option<Stuck>>>,
}

/// A container that no node can remove.
#[derive(Debug)]
pub(crate) enum Stuck {
    Fails(ContainerName),
    /// Nobody hears what becomes of it, however often that is asked for.
    Hangs {
        name: ContainerName,
        asked: u32,
    },
}

impl Agents {
    async fn be_stuck(&self, agent: &Agent, removal: &Removal) -> Result<(), nodes::Error> {
        match self.stuck.lock().unwrap().as_mut() {
            Some(Stuck::Fails(name)) if *name == removal.name => {
                let failure = Failure::new(FailureCode::Internal, "it cannot be removed");
                return Err(nodes::Error::Failed { node: agent.node.clone(), failure });
            }
            Some(Stuck::Hangs { name, asked }) if *name == removal.name => *asked += 1,
            Some(_) | None => return Ok(()),
        }
        pending().await
    }
}

#[async_trait]
impl Nodes for Agents {
    async fn ensure(
        &self,
        agent: &Agent,
        issuer: Issuer,
        spec: &ContainerSpec,
    ) -> Result<Container, nodes::Error> {
        yield_now().await;
        self.nodes.ensure(agent, issuer, spec).await
    }

    async fn remove(
        &self,
        agent: &Agent,
        issuer: Issuer,
        removal: &Removal,
    ) -> Result<(), nodes::Error> {
        yield_now().await;
        self.be_stuck(agent, removal).await?;
        self.nodes.remove(agent, issuer, removal).await
    }

    async fn list(&self, agent: &Agent) -> Result<Vec<Container>, nodes::Error> {
        self.nodes.list(agent).await
    }

    async fn build(
        &self,
        agent: &Agent,
        issuer: Issuer,
        build: Build,
    ) -> Result<ImageRef, nodes::Error> {
        yield_now().await;
        let mut context = Vec::new();
        let mut file = &build.context;
        file.read_to_end(&mut context).unwrap();
        file.rewind().unwrap();
        self.builds.lock().unwrap().push((build.repository.clone(), context));
        self.nodes.build(agent, issuer, build).await
    }

    async fn pull(
        &self,
        agent: &Agent,
        issuer: Issuer,
        image: &ImageRef,
    ) -> Result<(), nodes::Error> {
        self.nodes.pull(agent, issuer, image).await
    }

    async fn probe(&self, agent: &Agent, name: &ContainerName) -> Result<Probe, nodes::Error> {
        let found = self.nodes.probe(agent, name).await?;
        let crash_loop = self.crash_loops.lock().unwrap().clone();
        let ended = matches!(found, Probe::Exited { .. });
        Ok(crash_loop.filter(|_| ended).unwrap_or(found))
    }

    async fn logs(
        &self,
        agent: &Agent,
        name: &ContainerName,
        tail: usize,
        follow: Follow,
    ) -> Result<LineStream, nodes::Error> {
        self.nodes.logs(agent, name, tail, follow).await
    }

    async fn samples(&self, agent: &Agent) -> Result<SampleStream, nodes::Error> {
        self.nodes.samples(agent).await
    }

    async fn announce(&self, agent: &Agent, issuer: Issuer) -> Result<(), nodes::Error> {
        yield_now().await;
        self.nodes.announce(agent, issuer).await
    }
}

#[derive(Debug)]
pub(crate) struct LoadBalancer {
    pub(crate) routes: MemoryRoutes,
    pub(crate) store: MemoryStore,
}

impl LoadBalancer {
    /// Writes the record as the load balancer would; none is an empty one that goes away.
    fn keep(&self, instance: &LegacyName) {
        let wanted = self.routes.wanted(instance);
        let goal = if wanted.is_some() { RouteGoal::Served } else { RouteGoal::Removed };
        let record = Route {
            schema: 1,
            instance: instance.clone(),
            front_port: 2000,
            host: instance.host_label(),
            upstreams: wanted.map(|wanted| wanted.upstreams).unwrap_or_default(),
            leaving: Vec::new(),
            ill: Vec::new(),
            goal,
            generation: Generation(1),
            revision: 0,
            image: String::new(),
            container_port: 8080,
            container_ids: Vec::new(),
            edge: EdgeOptions::default(),
            decisions: Vec::new(),
            restarts: Vec::new(),
            owed: Vec::new(),
        };
        self.store.seed(&path::route(instance), common::record::encode(&record));
    }
}

#[async_trait]
impl Routes for LoadBalancer {
    async fn set(&self, route: &WantedRoute) -> Result<Routed, routes::Error> {
        yield_now().await;
        let routed = self.routes.set(route).await;
        self.keep(&route.instance);
        routed
    }

    async fn remove(
        &self,
        instance: &LegacyName,
        generation: Generation,
    ) -> Result<(), routes::Error> {
        yield_now().await;
        let removed = self.routes.remove(instance, generation).await;
        self.keep(instance);
        removed
    }

    async fn probe(&self, instance: &LegacyName, path: &str) -> Result<Option<u16>, routes::Error> {
        self.routes.probe(instance, path).await
    }

    async fn traffic(&self, instance: &LegacyName) -> Result<RouteTraffic, routes::Error> {
        self.routes.traffic(instance).await
    }

    async fn visitors(&self) -> Result<BTreeMap<LegacyName, Visitors>, routes::Error> {
        self.routes.visitors().await
    }
}
