//! What the parts of the load balancer share: ports, settings, the leadership, and the wakes and
//! observations by which one part learns what another did.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chassis::leading::{self, Seat};
use chassis::reconcile::Wake;
use chassis::records::{self, Stored};
use common::id::{Epoch, ReleaseNumber};
use common::name::{AppName, HostName, LegacyName, NodeName};
use common::port::edge::{FrontPorts, TableRoute, Traffic, Upstream};
use common::port::nodes::Sample;
use common::port::{Edge, EdgeCertificates};
use common::record::epoch::EpochRecord;
use common::record::path;
use common::service::ServiceName;
use tokio::sync::{Mutex as AsyncMutex, Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::domain::balance::hours::Described;
use crate::domain::balance::known::Known;
use crate::domain::balance::roster::{Now, Roster};
use crate::domain::illness::Complaints;
use crate::domain::table::Refused;
use crate::domain::traffic::Lately;
use crate::metrics::Metrics;
use crate::pair::{Machine, Pair};
use crate::ports::Ports;
use crate::reconcile::{RouteKey, Single};
use crate::records::Books;

/// The table that every worker of the edge serves, and what was kept out of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Served {
    /// How many changes had been made when the records were read that it was rendered from;
    /// 0 before the first table of this start.
    pub(crate) changes: u64,
    pub(crate) routes: BTreeMap<LegacyName, TableRoute>,
    pub(crate) refused: BTreeMap<LegacyName, Refused>,
    /// Ill replicas of these routes, which are not in the table.
    pub(crate) left_out: BTreeMap<LegacyName, Vec<Upstream>>,
}

impl Served {
    /// Whether these are all replicas of an instance, in the table or left out as ill.
    pub(crate) fn has(&self, instance: &LegacyName, upstreams: &[Upstream]) -> bool {
        let Some(row) = self.routes.get(instance) else { return false };
        let left_out = self.left_out_of(instance);
        row.upstreams.len() + left_out.len() == upstreams.len()
            && row.upstreams.iter().chain(left_out).all(|one| upstreams.contains(one))
    }

    pub(crate) fn left_out_of(&self, instance: &LegacyName) -> &[Upstream] {
        self.left_out.get(instance).map(Vec::as_slice).unwrap_or_default()
    }
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) ports: Ports,
    /// The own edge, or where there is a pair, both: for who leads.
    pub(crate) edge: Arc<dyn Edge>,
    pub(crate) certificates: Arc<dyn EdgeCertificates>,
    pub(crate) pair: Option<Arc<Pair>>,
    pub(crate) config: Config,
    pub(crate) seat: Seat,
    pub(crate) metrics: Metrics,
    pub(crate) table_wake: Wake<Single>,
    pub(crate) certificate_wake: Wake<Single>,
    pub(crate) order_wake: Wake<HostName>,
    pub(crate) route_wake: Wake<RouteKey>,
    pub(crate) scale_wake: Wake<LegacyName>,
    pub(crate) export_wake: Wake<Single>,
    pub(crate) announce_wake: Wake<LegacyName>,
    pub(crate) balance_wake: Wake<LegacyName>,
    /// Told when there may be an app to balance.
    pub(crate) balanced: Notify,
    /// Held while a route is recorded, from looking for a free front port until it is leased, so that
    /// registrations wait for one another and never fail over the same port; and while one is to go.
    pub(crate) allocation: AsyncMutex<()>,
    /// Cancelled when the loops have ended: nothing that is waited for will happen any more.
    pub(crate) ended: CancellationToken,
    pub(crate) books: Books,
    served: watch::Sender<Served>,
    /// The count of changes of certificates that the edge is known to show.
    certified: watch::Sender<u64>,
    certificate_changes: AtomicU64,
    front_ports: watch::Sender<Option<FrontPorts>>,
    /// Counts the changes of route records that somebody may wait for.
    settled: watch::Sender<u64>,
    /// Counts what may have changed the table. Whoever counts after a write knows that a table with
    /// at least that count was rendered from records that have the write.
    changes: AtomicU64,
    samples: Mutex<BTreeMap<NodeName, Sample>>,
    lately: Mutex<Lately>,
    began: Instant,
    roster: Mutex<Roster>,
    complaints: Mutex<Complaints>,
    /// What releases say, which never change.
    described: Mutex<BTreeMap<(AppName, ReleaseNumber), Option<Described>>>,
}

impl Shared {
    pub(crate) fn new(ports: Ports, config: Config) -> Arc<Self> {
        let (store, advertised) = (Arc::clone(&ports.store), config.advertised.clone());
        let metrics = Metrics::new();
        let pair = ports.other.as_ref().map(|other| {
            let (own, certificates) = (Arc::clone(&ports.edge), Arc::clone(&ports.certificates));
            let ip = config.other.map(|address| address.ip());
            let machine = Machine::new(Arc::clone(&ports.store), ip);
            let gauges = (metrics.other_edge_up.clone(), metrics.other_edge_refused.clone());
            Arc::new(Pair::new(own, certificates, Arc::clone(other), machine, gauges))
        });
        let (edge, certificates): (Arc<dyn Edge>, Arc<dyn EdgeCertificates>) = match &pair {
            Some(pair) => (Arc::<Pair>::clone(pair), Arc::<Pair>::clone(pair)),
            None => (Arc::clone(&ports.edge), Arc::clone(&ports.certificates)),
        };
        Arc::new(Shared {
            seat: Seat::new(ServiceName::LoadBalancer, store, advertised),
            ports,
            edge,
            certificates,
            pair,
            config,
            metrics,
            table_wake: Wake::new(),
            certificate_wake: Wake::new(),
            order_wake: Wake::new(),
            route_wake: Wake::new(),
            scale_wake: Wake::new(),
            export_wake: Wake::new(),
            announce_wake: Wake::new(),
            balance_wake: Wake::new(),
            balanced: Notify::new(),
            allocation: AsyncMutex::new(()),
            ended: CancellationToken::new(),
            books: Books::new(),
            served: watch::Sender::default(),
            certified: watch::Sender::default(),
            certificate_changes: AtomicU64::new(0),
            front_ports: watch::Sender::default(),
            settled: watch::Sender::default(),
            changes: AtomicU64::new(0),
            samples: Mutex::default(),
            lately: Mutex::default(),
            began: Instant::now(),
            roster: Mutex::default(),
            complaints: Mutex::default(),
            described: Mutex::default(),
        })
    }

    /// Waits for something until a deadline, or until the service ends.
    pub(crate) async fn wait<T>(
        &self,
        deadline: Instant,
        what: impl Future<Output = T> + Send,
    ) -> Option<T> {
        tokio::select! {
            biased;
            done = what => Some(done),
            () = self.ended.cancelled() => None,
            () = tokio::time::sleep_until(deadline) => None,
        }
    }

    /// A route record was written, or should be looked at: the table, its drain, its scale and the
    /// lists may have to follow. Returns the count that a table must have to show it.
    pub(crate) fn route_changed(&self, instance: &LegacyName) -> u64 {
        self.route_wake.wake(RouteKey::Route(instance.clone()));
        self.scale_wake.wake(instance.clone());
        self.balance_wake.wake(instance.clone());
        self.export_wake.wake(Single);
        self.settle();
        self.table_changed()
    }

    /// As [`Shared::table_changed`], and nobody knows by which records.
    pub(crate) fn records_changed(&self) -> u64 {
        self.books.forget();
        self.table_changed()
    }

    pub(crate) fn table_changed(&self) -> u64 {
        let count = self.changes.fetch_add(1, Ordering::SeqCst) + 1;
        self.table_wake.wake(Single);
        count
    }

    /// A certificate was written or removed: the count that the edge's set must have to show it.
    pub(crate) fn certificates_changed(&self) -> u64 {
        let count = self.certificate_changes.fetch_add(1, Ordering::SeqCst) + 1;
        self.certificate_wake.wake(Single);
        count
    }

    pub(crate) fn certificate_changes(&self) -> u64 {
        self.certificate_changes.load(Ordering::SeqCst)
    }

    /// The edge shows what was read after this many changes.
    pub(crate) fn now_certified(&self, changes: u64) {
        self.certified.send_replace(changes);
    }

    pub(crate) fn certified(&self) -> watch::Receiver<u64> {
        self.certified.subscribe()
    }

    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    /// The edge serves this from now on.
    pub(crate) fn now_serves(&self, served: Served) {
        let changed: Vec<LegacyName> = {
            let before = self.served.borrow();
            let is_news = |row: &&TableRoute| before.routes.get(&row.instance) != Some(*row);
            served.routes.values().filter(is_news).map(|row| row.instance.clone()).collect()
        };
        self.served.send_replace(served);
        for instance in changed {
            self.scale_wake.wake(instance);
        }
    }

    pub(crate) fn served(&self) -> watch::Receiver<Served> {
        self.served.subscribe()
    }

    /// The epoch under which the own edge is told: that of this instance, or, where it follows, of whoever leads. The
    /// store has caught up then.
    pub(crate) async fn edge_epoch(&self) -> Result<Epoch, leading::Error> {
        if let Some(epoch) = self.seat.epoch() {
            self.seat.still_leads().await?;
            return Ok(epoch);
        }
        if self.pair.is_none() {
            return Err(leading::Error::NotLeading);
        }
        let store = &*self.ports.store;
        store.sync().await?;
        let path = path::epoch(ServiceName::LoadBalancer);
        let stored: Option<Stored<EpochRecord>> = records::load(store, &path).await?;
        Ok(stored.ok_or(leading::Error::NotLeading)?.record.epoch)
    }

    /// The front ports as the edge has opened them, and where there is a pair both have, cut to those that are given out.
    /// Who leads one waits for both to tell, as long as the other one may.
    pub(crate) fn edge_has(&self, ports: &FrontPorts) {
        let waits = self.pair.as_ref().is_some_and(|pair| pair.may_tell_ports());
        if waits && self.seat.epoch().is_some() {
            return;
        }
        let mut ours = FrontPorts {
            first: ports.first.max(self.config.first_port),
            last: ports.last.min(self.config.last_port),
            closed: ports.closed.clone(),
        };
        if let Some(others) = self.pair.as_ref().and_then(|pair| pair.ports()) {
            ours.first = ours.first.max(others.first);
            ours.last = ours.last.min(others.last);
            ours.closed.extend(others.closed);
            ours.closed.sort_unstable();
            ours.closed.dedup();
        }
        self.front_ports.send_if_modified(|known| {
            let is_news = known.as_ref() != Some(&ours);
            *known = Some(ours);
            is_news
        });
    }

    /// Whether the other edge of a pair, where there is one, serves nothing older than the own one.
    pub(crate) async fn others_serve(&self) -> bool {
        match &self.pair {
            Some(pair) => pair.has_taken().await,
            None => true,
        }
    }

    /// Who leads from now on knew the own edge's front ports only.
    pub(crate) fn forget_front_ports(&self) {
        self.front_ports.send_replace(None);
    }

    /// None until the edge answered for the first time.
    pub(crate) fn front_ports(&self) -> watch::Receiver<Option<FrontPorts>> {
        self.front_ports.subscribe()
    }

    /// A route got further: who waits for one looks again.
    pub(crate) fn settle(&self) {
        self.settled.send_modify(|count| *count += 1);
    }

    pub(crate) fn settled(&self) -> watch::Receiver<u64> {
        self.settled.subscribe()
    }

    /// How long this instance is there: what is decided by measurements has no other clock.
    pub(crate) fn up_for(&self) -> Duration {
        self.began.elapsed()
    }

    /// The sample of a node at this address came in.
    pub(crate) fn heard(&self, node: &NodeName, ip: IpAddr, sample: Sample) {
        let now = self.up_for();
        if self.complaints().hear(node, ip, &sample.containers, now) {
            self.balanced.notify_one();
        }
        self.balance().hear(node, &sample.containers, &self.config.rules(), now);
        self.samples().insert(node.clone(), sample);
    }

    /// The edge told what it was asked; none where it does not.
    pub(crate) fn heard_traffic(&self, traffic: Option<Traffic>) {
        let now = self.up_for();
        self.metrics.apps.show(traffic.clone());
        self.balance().hear_traffic(traffic.as_ref(), &self.config.rules(), now);
        self.lately().heard(traffic, now);
    }

    /// What the edge was asked lately.
    pub(crate) fn lately(&self) -> MutexGuard<'_, Lately> {
        self.lately.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The apps that are balanced.
    pub(crate) fn balance(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What agents say of replicas, of those above all that they do not find well.
    pub(crate) fn complaints(&self) -> MutexGuard<'_, Complaints> {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of an app from now on; none for one that is not balanced.
    pub(crate) fn balances(&self, instance: &LegacyName, known: Option<Known>) {
        let now = Now { wall: self.ports.clock.now(), up: self.up_for() };
        let mut roster = self.balance();
        roster.adopt(instance, known, now);
        let count = i64::try_from(roster.len()).unwrap_or(i64::MAX);
        drop(roster);
        self.metrics.balanced_apps.set(count);
        self.balanced.notify_one();
    }

    pub(crate) fn described(
        &self,
    ) -> MutexGuard<'_, BTreeMap<(AppName, ReleaseNumber), Option<Described>>> {
        self.described.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The latest sample of each node that sends any.
    pub(crate) fn samples(&self) -> MutexGuard<'_, BTreeMap<NodeName, Sample>> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
