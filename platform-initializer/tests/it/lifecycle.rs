//! A small lifecycle manager: it takes up wishes, and services become ready as a test says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chassis::records::{self, Stored};
use common::failure::{Failure, FailureCode};
use common::id::{Epoch, Generation};
use common::name::NodeName;
use common::port::Store as _;
use common::port::store::{Lifetime, Op};
use common::record::epoch::{EpochRecord, SettledRecord};
use common::record::leader::{Advertised, CandidateRecord};
use common::record::platform::{
    BackedOut, InstanceState, PlacedService, PlatformGoal, RunningInstance, RunningService,
};
use common::record::{self, path};
use common::service::ServiceName;
use jiff::Timestamp;
use testkit::MemoryStore;
use tokio::time::{Instant, sleep};

const TICK: Duration = Duration::from_millis(100);

pub(crate) const PLACEABLE: [ServiceName; 5] = [
    ServiceName::AppManager,
    ServiceName::DeploymentManager,
    ServiceName::NodeManager,
    ServiceName::LoadBalancer,
    ServiceName::Monitoring,
];

/// What becomes of a service that is wished for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conduct {
    /// Every instance is ready, and gone, after this time.
    Works(Duration),
    /// No instance can be started.
    Fails,
    /// The second instance can not be started.
    HalfFails,
    /// Nobody takes up the wish.
    Lost,
    /// It is ready at once, and does not go away.
    Stays,
    /// No version but the platform's own becomes ready: any other is backed out of.
    BacksOut,
    /// No instance can be started on this machine, by its number.
    FailsOn(usize),
}

/// Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Lifecycle {
    store: MemoryStore,
    conducts: Arc<Mutex<BTreeMap<ServiceName, Conduct>>>,
    lead: Arc<Mutex<Lead>>,
}

/// How far a lifecycle manager is with the lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lead {
    Nobody,
    /// It has taken the epoch, and only looks.
    Taken,
    Settled,
}

impl Lifecycle {
    pub(crate) fn new(store: MemoryStore) -> Self {
        Lifecycle { store, conducts: Arc::default(), lead: Arc::new(Mutex::new(Lead::Settled)) }
    }

    pub(crate) fn set(&self, service: ServiceName, conduct: Conduct) {
        self.conducts.lock().unwrap_or_else(PoisonError::into_inner).insert(service, conduct);
    }

    pub(crate) fn set_lead(&self, lead: Lead) {
        *self.lead.lock().unwrap_or_else(PoisonError::into_inner) = lead;
    }

    fn lead(&self) -> Lead {
        *self.lead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn conduct(&self, service: ServiceName) -> Conduct {
        let conducts = self.conducts.lock().unwrap_or_else(PoisonError::into_inner);
        conducts.get(&service).copied().unwrap_or(Conduct::Works(Duration::from_millis(100)))
    }

    /// Never ends.
    pub(crate) async fn run(&self) {
        let mut reached = Lead::Nobody;
        let mut since: BTreeMap<ServiceName, (Generation, Instant)> = BTreeMap::new();
        loop {
            let lead = self.lead();
            if lead > Lead::Nobody && reached == Lead::Nobody {
                self.stand().await;
            }
            if lead == Lead::Settled && reached < Lead::Settled {
                self.settle().await;
            }
            reached = lead.max(reached);
            for service in PLACEABLE {
                self.look(service, &mut since).await;
            }
            sleep(TICK).await;
        }
    }

    async fn stand(&self) {
        let advertised = Advertised::plain("192.0.2.1:8080");
        let op = Op::PutSequential {
            path: path::candidate(ServiceName::LifecycleManager),
            value: record::encode(&CandidateRecord { schema: 1, advertised }),
            lifetime: Lifetime::Ephemeral,
        };
        self.store.commit(vec![op]).await.unwrap();
        let at = path::epoch(ServiceName::LifecycleManager);
        let before = records::load::<EpochRecord>(&self.store, &at).await.unwrap();
        let version = before.as_ref().map(|before| before.version);
        let epoch = before.map_or(Epoch(1), |before| before.record.epoch.next());
        let taken = EpochRecord { schema: 1, epoch, taken_by: "candidate".to_owned() };
        records::save(&self.store, &at, &taken, version).await.unwrap();
    }

    async fn settle(&self) {
        let at = path::epoch(ServiceName::LifecycleManager);
        let taken = records::load::<EpochRecord>(&self.store, &at).await.unwrap().unwrap();
        let at = path::settled(ServiceName::LifecycleManager);
        let before = records::load::<SettledRecord>(&self.store, &at).await.unwrap();
        let settled = SettledRecord { schema: 1, epoch: taken.record.epoch };
        records::save(&self.store, &at, &settled, before.map(|before| before.version))
            .await
            .unwrap();
    }

    async fn look(
        &self,
        service: ServiceName,
        since: &mut BTreeMap<ServiceName, (Generation, Instant)>,
    ) {
        let placed: Option<Stored<PlacedService>> =
            records::load(&self.store, &path::placed_service(service)).await.unwrap();
        let Some(Stored { record: placed, .. }) = placed else { return };
        let known = since.entry(service).or_insert_with(|| (placed.generation, Instant::now()));
        if known.0 != placed.generation {
            *known = (placed.generation, Instant::now());
        }
        let at = path::running_service(service);
        let before: Option<Stored<RunningService>> = records::load(&self.store, &at).await.unwrap();
        let version = before.as_ref().map(|stored| stored.version);
        let before = before.map(|stored| stored.record);
        let conduct = self.conduct(service);
        let Some(after) = running(&placed, before.as_ref(), conduct, known.1) else { return };
        if before.as_ref() != Some(&after) {
            drop(records::save(&self.store, &at, &after, version).await);
        }
    }
}

fn running(
    placed: &PlacedService,
    before: Option<&RunningService>,
    conduct: Conduct,
    since: Instant,
) -> Option<RunningService> {
    let is_on = placed.goal == PlatformGoal::On;
    let is_over = |after: Duration| since.elapsed() >= after;
    let state = |number: usize, node: &NodeName| match conduct {
        Conduct::Works(after) if is_over(after) => InstanceState::Ready,
        Conduct::Works(_) | Conduct::Lost => InstanceState::Starting,
        Conduct::Fails => InstanceState::Failed,
        Conduct::HalfFails if number == 1 => InstanceState::Failed,
        Conduct::FailsOn(lost) if node.as_str() == format!("node-{lost}") => InstanceState::Failed,
        Conduct::HalfFails | Conduct::Stays | Conduct::BacksOut | Conduct::FailsOn(_) => {
            InstanceState::Ready
        }
    };
    let instances = match (is_on, conduct) {
        (_, Conduct::Lost) => return None,
        (false, Conduct::Stays) => {
            before.map(|before| before.instances.clone()).unwrap_or_default()
        }
        (false, Conduct::Works(after)) if !is_over(after) => before?.instances.clone(),
        (false, _) => Vec::new(),
        (true, _) => {
            let instance =
                |(number, node): (usize, &NodeName)| instance(placed, node, state(number, node));
            placed.nodes.iter().enumerate().map(instance).collect()
        }
    };
    let (service, generation) = (placed.service, placed.generation);
    let before = before.and_then(|before| before.backed_out.clone());
    let mut running =
        RunningService { schema: 1, service, generation, instances, backed_out: before };
    if conduct == Conduct::BacksOut && placed.image.is_some() {
        let failure = Failure::new(FailureCode::HealthTimeout, "it was not ready within 60 s");
        let (image, at) = (placed.image.clone(), Timestamp::UNIX_EPOCH);
        running.backed_out = Some(BackedOut { image, settings: false, generation, failure, at });
        for instance in &mut running.instances {
            instance.image = None;
        }
    }
    Some(running)
}

fn instance(placed: &PlacedService, node: &NodeName, state: InstanceState) -> RunningInstance {
    let failure = (state == InstanceState::Failed)
        .then(|| Failure::new(FailureCode::ImageUnavailable, "its image could not be fetched"));
    RunningInstance {
        part: placed.service.as_str().parse().unwrap(),
        node: node.clone(),
        address: format!("{}:{}", ip(node), port(placed.service)).parse().unwrap(),
        internal: None,
        image: placed.image.clone(),
        state,
        failure,
        since: Timestamp::UNIX_EPOCH,
    }
}

/// `node-3` has 192.0.2.3.
pub(crate) fn ip(node: &NodeName) -> String {
    format!("192.0.2.{}", node.as_str().trim_start_matches("node-"))
}

pub(crate) fn port(service: ServiceName) -> u16 {
    match service {
        ServiceName::AppManager => 8010,
        ServiceName::DeploymentManager => 8030,
        ServiceName::NodeManager => 8040,
        ServiceName::LoadBalancer => 8050,
        ServiceName::Monitoring => 8070,
        ServiceName::LifecycleManager => 8080,
        ServiceName::PlatformInitializer | ServiceName::NodeAgent => 9050,
    }
}
