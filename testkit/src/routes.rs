//! A simulated load balancer: [`MemoryRoutes`].
//!
//! It keeps the port's contract: one front port per instance for as long as its route stands, the
//! lowest free one first, lower generations refused. Its faults are a load balancer that is away
//! and one that fails with a reason. It never looks behind an upstream: a test says what apps answer.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use common::failure::{Failure, FailureCode};
use common::id::Generation;
use common::name::LegacyName;
use common::port::Routes;
use common::port::edge::Upstream;
use common::port::routes::{Error, RouteTraffic, Routed, Visitors, WantedRoute};

/// The address the front ports are announced under.
pub const FRONT_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));
const FIRST_PORT: u16 = 2000;
const LAST_PORT: u16 = 2999;

/// A load balancer in memory. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct MemoryRoutes {
    balancer: Arc<Mutex<Balancer>>,
}

#[derive(Debug, Default)]
struct Balancer {
    routes: BTreeMap<LegacyName, Standing>,
    health: Health,
    /// What apps answer with through the front door, unless a test says otherwise: 200.
    answers: BTreeMap<LegacyName, Option<u16>>,
    /// What was asked of them, where a test says so.
    traffic: BTreeMap<LegacyName, RouteTraffic>,
    visitors: BTreeMap<LegacyName, Visitors>,
    calls: Vec<Call>,
}

#[derive(Debug)]
struct Standing {
    wanted: WantedRoute,
    routed: Routed,
}

/// How the load balancer behaves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Health {
    #[default]
    Answers,
    /// It cannot be reached; nothing changes.
    Down,
    /// It does what is asked, and its answer is lost.
    LosesAnswers,
    /// It answers every change with this failure; nothing changes.
    Fails(Failure),
}

/// What was asked of the load balancer, answered or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    Set(WantedRoute),
    Remove(LegacyName, Generation),
}

impl MemoryRoutes {
    pub fn new() -> Self {
        MemoryRoutes::default()
    }

    /// How it behaves from now on.
    pub fn set_health(&self, health: Health) {
        self.balancer().health = health;
    }

    /// What the app behind this route answers with from now on; none: it does not answer.
    pub fn set_answer(&self, instance: &LegacyName, status: Option<u16>) {
        self.balancer().answers.insert(instance.clone(), status);
    }

    /// What is told from now on of what the app's replicas are asked; none at first.
    pub fn set_traffic(&self, instance: &LegacyName, traffic: RouteTraffic) {
        self.balancer().traffic.insert(instance.clone(), traffic);
    }

    /// What is told from now on of what the app's visitors ask.
    pub fn set_visitors(&self, instance: &LegacyName, visitors: Visitors) {
        self.balancer().visitors.insert(instance.clone(), visitors);
    }

    /// The route of an instance as it was wanted last.
    pub fn wanted(&self, instance: &LegacyName) -> Option<WantedRoute> {
        self.balancer().routes.get(instance).map(|standing| standing.wanted.clone())
    }

    /// The replicas that get an instance's requests; none without a route.
    pub fn upstreams(&self, instance: &LegacyName) -> Vec<Upstream> {
        self.wanted(instance).map(|wanted| wanted.upstreams).unwrap_or_default()
    }

    /// The front door of an instance.
    pub fn routed(&self, instance: &LegacyName) -> Option<Routed> {
        self.balancer().routes.get(instance).map(|standing| standing.routed.clone())
    }

    /// The instances that have a route, sorted.
    pub fn instances(&self) -> Vec<LegacyName> {
        self.balancer().routes.keys().cloned().collect()
    }

    /// All changes asked for since the last call of this method.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.balancer().calls)
    }

    fn balancer(&self) -> MutexGuard<'_, Balancer> {
        self.balancer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Balancer {
    fn admit(&self) -> Result<(), Error> {
        match &self.health {
            Health::Answers | Health::LosesAnswers => Ok(()),
            Health::Down => Err(Error::Unavailable("connection refused".into())),
            Health::Fails(failure) => Err(Error::Failed(failure.clone())),
        }
    }

    fn answer<T>(&self, answer: T) -> Result<T, Error> {
        match &self.health {
            Health::LosesAnswers => Err(Error::Unavailable("connection reset".into())),
            Health::Answers | Health::Down | Health::Fails(_) => Ok(answer),
        }
    }

    fn set(&mut self, wanted: &WantedRoute) -> Result<Routed, Error> {
        let routed = match self.routes.get(&wanted.instance) {
            Some(standing) if standing.wanted.generation > wanted.generation => {
                return Err(Error::Stale(standing.wanted.generation));
            }
            Some(standing) => standing.routed.clone(),
            None => {
                let front_port = self.lowest_free_port()?;
                Routed {
                    front_port,
                    host: wanted.instance.host_label(),
                    endpoint: SocketAddr::new(FRONT_IP, front_port),
                }
            }
        };
        let standing = Standing { wanted: wanted.clone(), routed: routed.clone() };
        self.routes.insert(wanted.instance.clone(), standing);
        Ok(routed)
    }

    fn lowest_free_port(&self) -> Result<u16, Error> {
        let taken = |port: &u16| self.routes.values().any(|other| other.routed.front_port == *port);
        (FIRST_PORT..=LAST_PORT).find(|port| !taken(port)).ok_or_else(|| {
            let message = "all front ports are in use";
            Error::Failed(Failure::new(FailureCode::FrontPortsExhausted, message))
        })
    }

    fn remove(&mut self, instance: &LegacyName, generation: Generation) -> Result<(), Error> {
        match self.routes.get(instance) {
            Some(standing) if standing.wanted.generation > generation => {
                Err(Error::Stale(standing.wanted.generation))
            }
            Some(_) | None => {
                self.routes.remove(instance);
                Ok(())
            }
        }
    }
}

#[async_trait]
impl Routes for MemoryRoutes {
    async fn set(&self, route: &WantedRoute) -> Result<Routed, Error> {
        let mut balancer = self.balancer();
        balancer.calls.push(Call::Set(route.clone()));
        balancer.admit()?;
        let routed = balancer.set(route)?;
        balancer.answer(routed)
    }

    async fn remove(&self, instance: &LegacyName, generation: Generation) -> Result<(), Error> {
        let mut balancer = self.balancer();
        balancer.calls.push(Call::Remove(instance.clone(), generation));
        balancer.admit()?;
        balancer.remove(instance, generation)?;
        balancer.answer(())
    }

    async fn probe(&self, instance: &LegacyName, _path: &str) -> Result<Option<u16>, Error> {
        let balancer = self.balancer();
        balancer.admit()?;
        let Some(standing) = balancer.routes.get(instance) else {
            let failure = Failure::new(FailureCode::UnknownInstance, "there is no such route");
            return Err(Error::Failed(failure));
        };
        if standing.wanted.upstreams.is_empty() {
            return Ok(None);
        }
        balancer.answer(balancer.answers.get(instance).copied().unwrap_or(Some(200)))
    }

    async fn traffic(&self, instance: &LegacyName) -> Result<RouteTraffic, Error> {
        let balancer = self.balancer();
        balancer.admit()?;
        if !balancer.routes.contains_key(instance) {
            let failure = Failure::new(FailureCode::UnknownInstance, "there is no such route");
            return Err(Error::Failed(failure));
        }
        balancer.answer(balancer.traffic.get(instance).cloned().unwrap_or_default())
    }

    async fn visitors(&self) -> Result<BTreeMap<LegacyName, Visitors>, Error> {
        let balancer = self.balancer();
        balancer.admit()?;
        balancer.answer(balancer.visitors.clone())
    }
}
