//! What the parts of this service share: ports, settings, the leadership, what is seen.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use chassis::epoch::Lead;
use chassis::reconcile::Wake;
use common::id::Epoch;
use common::name::NodeName;
use common::port::nodes::Issuer;
use common::port::store::Op;
use common::service::ServiceName;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::Config;
use crate::domain::brake::{Brake, Count, Kind};
use crate::domain::rollout::Brakes;
use crate::domain::target::Target;
use crate::metrics::Metrics;
use crate::ports::Ports;
use crate::sight::Sight;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) ports: Ports,
    pub(crate) config: Config,
    pub(crate) metrics: Metrics,
    pub(crate) sight: Sight,
    pub(crate) machines: Wake<NodeName>,
    pub(crate) bases: Wake<NodeName>,
    pub(crate) services: Wake<ServiceName>,
    pub(crate) restarts: Wake<Target>,
    /// Alarms and machines that were asked for.
    pub(crate) duties: Wake<Duty>,
    lead: OnceLock<Lead>,
    /// When this instance took the lead.
    led_since: OnceLock<Instant>,
    deposed: watch::Sender<bool>,
    /// Nodes that were led from another store: nothing is done there.
    held: watch::Sender<BTreeMap<NodeName, Epoch>>,
    brakes: Mutex<BTreeMap<Kind, Brake>>,
    /// Of each service, the instances on machines that answer.
    counts: Mutex<BTreeMap<ServiceName, Count>>,
    /// Where each agent was told that the registry is.
    registries: Mutex<BTreeMap<NodeName, SocketAddr>>,
}

/// What is reconciled once for the whole platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Duty {
    Alarm(Kind),
    Provision,
    Registry,
}

impl std::fmt::Display for Duty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Duty::Alarm(kind) => write!(f, "alarm of {}", kind.as_str()),
            Duty::Provision => f.write_str("provision"),
            Duty::Registry => f.write_str("registry"),
        }
    }
}

/// Why an agent does not listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Another lifecycle manager leads.
    Deposed,
    /// It was led from another store.
    Held,
}

impl Shared {
    pub(crate) fn new(ports: Ports, config: Config) -> Arc<Self> {
        Arc::new(Shared {
            ports,
            config,
            metrics: Metrics::new(),
            sight: Sight::default(),
            machines: Wake::new(),
            bases: Wake::new(),
            services: Wake::new(),
            restarts: Wake::new(),
            duties: Wake::new(),
            lead: OnceLock::new(),
            led_since: OnceLock::new(),
            deposed: watch::Sender::new(false),
            held: watch::Sender::default(),
            brakes: Mutex::default(),
            counts: Mutex::default(),
            registries: Mutex::default(),
        })
    }

    /// Set once, by the service's run, before anything is written.
    pub(crate) fn take_lead(&self, lead: Lead) {
        // A second run of the same service keeps the first epoch, and its writes fail.
        drop(self.lead.set(lead));
        self.led_since.get_or_init(Instant::now);
    }

    pub(crate) fn lead(&self) -> Option<&Lead> {
        self.lead.get()
    }

    pub(crate) fn issuer(&self) -> Issuer {
        let epoch = self.lead().map_or(Epoch(0), |lead| lead.epoch);
        Issuer { service: ServiceName::LifecycleManager, epoch }
    }

    /// Whether this instance leads and has looked for long enough to act.
    pub(crate) fn is_settled(&self) -> bool {
        self.led_since.get().is_some_and(|since| since.elapsed() >= self.config.window)
    }

    /// Another instance leads: this one has to end.
    pub(crate) fn depose(&self) {
        self.deposed.send_replace(true);
    }

    /// Completes once another instance leads.
    pub(crate) async fn deposed(&self) {
        // The sender lives as long as `self`: waiting cannot fail.
        drop(self.deposed.subscribe().wait_for(|deposed| *deposed).await);
    }

    /// An agent has heard of a higher epoch. Either another leads, whose epoch stands in the store by now; or the store
    /// is not the one that the agent was led from, and the node is left alone until an operator has looked.
    pub(crate) async fn refused(&self, node: &NodeName, seen: Epoch) -> Refused {
        if !self.still_leads().await {
            self.depose();
            return Refused::Deposed;
        }
        let held = self.held.send_if_modified(|held| held.insert(node.clone(), seen) != Some(seen));
        if held {
            tracing::error!(node.id = %node, %seen, epoch = %self.issuer().epoch, "the node was led from another store; nothing is done there");
        }
        Refused::Held
    }

    /// What is told of nodes that are held, whenever it changes.
    pub(crate) fn held(&self) -> watch::Receiver<BTreeMap<NodeName, Epoch>> {
        self.held.subscribe()
    }

    async fn still_leads(&self) -> bool {
        let Some(Op::Check { path, version }) = self.lead().map(Lead::check) else { return false };
        let store = self.ports.store.as_ref();
        if store.sync().await.is_err() {
            return false;
        }
        matches!(store.get(&path).await, Ok(Some(entry)) if entry.version == version)
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
