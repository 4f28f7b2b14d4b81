//! What the parts of this service share: ports, settings, the leadership, what is seen.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chassis::leading::{HeldNodes, Refused, Seat};
use chassis::reconcile::Wake;
use common::id::Epoch;
use common::name::NodeName;
use common::port::nodes::Issuer;
use common::service::ServiceName;
use tokio::time::Instant;

use crate::config::Config;
use crate::domain::brake::{Brake, Count, Kind};
use crate::domain::rollout::Brakes;
use crate::domain::target::Target;
use crate::idle::Idle;
use crate::illness::Illnesses;
use crate::metrics::Metrics;
use crate::ports::Ports;
use crate::records::Subject;
use crate::sight::Sight;
use crate::visits::Visits;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) ports: Ports,
    pub(crate) config: Config,
    pub(crate) seat: Seat,
    pub(crate) metrics: Metrics,
    pub(crate) sight: Sight,
    pub(crate) illnesses: Illnesses,
    /// Until certificates are looked at again.
    pub(crate) papers: Pause,
    /// Whoever looks after a machine now.
    pub(crate) visits: Visits,
    /// Added machines that no app is on.
    pub(crate) idle: Idle,
    pub(crate) machines: Wake<NodeName>,
    pub(crate) bases: Wake<NodeName>,
    pub(crate) services: Wake<ServiceName>,
    pub(crate) restarts: Wake<Target>,
    /// Alarms and machines that were asked for.
    pub(crate) duties: Wake<Duty>,
    /// Nodes that were led from another store: nothing is done there.
    pub(crate) held: HeldNodes,
    brakes: Mutex<BTreeMap<Kind, Brake>>,
    /// Of each service, the instances on machines that answer.
    counts: Mutex<BTreeMap<ServiceName, Count>>,
    /// Where each agent was told that the registry is.
    registries: Mutex<BTreeMap<NodeName, SocketAddr>>,
}

/// What is reconciled once for the whole platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Duty {
    Alarm(Subject),
    /// That this leader is ready.
    Settled,
    Provision,
    Registry,
    Papers,
}

impl std::fmt::Display for Duty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Duty::Alarm(subject) => write!(f, "alarm of {}", subject.as_str()),
            Duty::Settled => f.write_str("being ready"),
            Duty::Provision => f.write_str("provision"),
            Duty::Registry => f.write_str("registry"),
            Duty::Papers => f.write_str("papers"),
        }
    }
}

/// A time in which nothing is done.
#[derive(Debug, Default)]
pub(crate) struct Pause(Mutex<Option<Instant>>);

impl Pause {
    pub(crate) fn begin(&self, lasts: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + lasts);
    }

    pub(crate) fn is_over(&self) -> bool {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_none_or(|until| Instant::now() >= until)
    }
}

impl Shared {
    pub(crate) fn new(ports: Ports, config: Config) -> Arc<Self> {
        let (store, advertised) = (Arc::clone(&ports.store), config.advertised.clone());
        Arc::new(Shared {
            seat: Seat::new(ServiceName::LifecycleManager, store, advertised),
            ports,
            config,
            metrics: Metrics::new(),
            sight: Sight::default(),
            illnesses: Illnesses::default(),
            papers: Pause::default(),
            visits: Visits::default(),
            idle: Idle::default(),
            machines: Wake::new(),
            bases: Wake::new(),
            services: Wake::new(),
            restarts: Wake::new(),
            duties: Wake::new(),
            held: HeldNodes::default(),
            brakes: Mutex::default(),
            counts: Mutex::default(),
            registries: Mutex::default(),
        })
    }

    pub(crate) fn issuer(&self) -> Issuer {
        self.seat.issuer()
    }

    /// Whether this instance leads and has looked for long enough to act.
    pub(crate) fn is_settled(&self) -> bool {
        self.seat.led_for().is_some_and(|led_for| led_for >= self.config.window)
    }

    /// An agent has heard of a higher epoch.
    pub(crate) async fn refused(&self, node: &NodeName, seen: Epoch) -> Refused {
        self.held.refused(&self.seat, node, seen).await
    }

    pub(crate) fn brake(&self, kind: Kind) -> Brake {
        let brakes = self.brakes.lock().unwrap_or_else(PoisonError::into_inner);
        brakes.get(&kind).copied().unwrap_or_default()
    }

    pub(crate) fn brakes(&self) -> Brakes {
        let holds = |kind| self.brake(kind).holds();
        Brakes { machines: holds(Kind::Machines), services: holds(Kind::Services) }
    }

    pub(crate) fn resume_brake(&self, kind: Kind, holds: bool) {
        let mut brakes = self.brakes.lock().unwrap_or_else(PoisonError::into_inner);
        brakes.entry(kind).or_insert_with(|| Brake::resumed(holds));
    }

    /// A round of looks is over; says whether the brake went on or off.
    pub(crate) fn note_count(&self, kind: Kind, count: Count) -> bool {
        let mut brakes = self.brakes.lock().unwrap_or_else(PoisonError::into_inner);
        let brake = brakes.entry(kind).or_default();
        let before = brake.holds();
        brake.note(count, &self.config.brake);
        before != brake.holds()
    }

    pub(crate) fn counts(&self, service: ServiceName, count: Count) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.insert(service, count);
    }

    /// The instances of all services.
    pub(crate) fn counted(&self) -> Count {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.values().fold(Count::default(), |all, one| Count {
            bad: all.bad + one.bad,
            known: all.known + one.known,
        })
    }

    pub(crate) fn knows_registry(&self, node: &NodeName) -> Option<SocketAddr> {
        let registries = self.registries.lock().unwrap_or_else(PoisonError::into_inner);
        registries.get(node).copied()
    }

    pub(crate) fn told_registry(&self, node: &NodeName, registry: SocketAddr) {
        let mut registries = self.registries.lock().unwrap_or_else(PoisonError::into_inner);
        registries.insert(node.clone(), registry);
    }

    /// It was made anew, or was away: it may have forgotten.
    pub(crate) fn forget_registry(&self, node: &NodeName) {
        let mut registries = self.registries.lock().unwrap_or_else(PoisonError::into_inner);
        registries.remove(node);
    }
}
