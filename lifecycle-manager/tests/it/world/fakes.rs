//! What only this service needs: machines whose power is that of the simulated nodes, an enrolment as a test wants it,
//! an authority.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use common::failure::{Failure, FailureCode};
use common::name::NodeName;
use common::port::authority::{self, Papers};
use common::port::host::{Gate, HostKey};
use common::port::machines::{Ability, Error, Machine, MachineId, MachineSpec, Power};
use common::port::{Authority, Clock, Machines};
use common::service::ServiceName;
use lifecycle_manager::Vault;
use lifecycle_manager::ports::{Credentials, Enrolled, Enrolment, NotEnrolled};
use rollout::machine::{Action, Journal, Step};
use rollout::parts::Configured;
use rollout::platform::{PlannedMachine, Platform};
use testkit::nodes::Reach;
use testkit::{MemoryNodes, MemoryParts};
use tokio::sync::Notify;
use tokio::time::sleep;

/// Papers that say what they are for and, in each year, which year's they are.
#[derive(Debug)]
pub(crate) struct Notary(pub(crate) Arc<dyn Clock>);

const YEAR_SECONDS: i64 = 365 * 24 * 60 * 60;

impl Authority for Notary {
    fn certificate(&self) -> &'static str {
        "ca"
    }

    fn issue(&self, service: ServiceName, names: &[String]) -> Result<Papers, authority::Error> {
        let year = self.0.now().as_second() / YEAR_SECONDS;
        let certificate = format!("{service} at {}, year {year}", names.join(" "));
        Ok(Papers { key: format!("key of {certificate}"), certificate })
    }
}

/// The backend of the machines: clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct FleetMachines {
    nodes: MemoryNodes,
    parts: MemoryParts,
    power: Arc<Mutex<BTreeMap<NodeName, Power>>>,
    restarted: Arc<Mutex<Vec<NodeName>>>,
    keys: Arc<Mutex<BTreeMap<NodeName, Shown>>>,
    /// How often another one was made of its name.
    made: Arc<Mutex<BTreeMap<NodeName, u32>>>,
    stopping: Arc<Mutex<Duration>>,
    /// How many are being restarted, and how many were at once at most.
    restarting: Arc<Mutex<(usize, usize)>>,
    /// Machines whose agents nothing makes answer.
    broken: Arc<Mutex<BTreeSet<NodeName>>>,
}

/// What a machine shows who signs in, where that matters.
#[derive(Debug, Clone)]
enum Shown {
    Key(HostKey),
    /// There is no such machine any more; the next of its name will have this key.
    Absent {
        next: HostKey,
    },
}

impl FleetMachines {
    pub(crate) fn new(nodes: MemoryNodes, parts: MemoryParts) -> Self {
        FleetMachines {
            nodes,
            parts,
            power: Arc::default(),
            restarted: Arc::default(),
            keys: Arc::default(),
            made: Arc::default(),
            stopping: Arc::default(),
            restarting: Arc::default(),
            broken: Arc::default(),
        }
    }

    /// The agent of a machine answers no more, whatever is done about it, until it is mended.
    pub(crate) async fn break_agent(&self, node: &NodeName) {
        self.broken().insert(node.clone());
        self.set_reach(node, Reach::Up).await;
    }

    pub(crate) async fn mend_agent(&self, node: &NodeName) {
        self.broken().remove(node);
        self.set_reach(node, Reach::Up).await;
    }

    fn broken(&self) -> MutexGuard<'_, BTreeSet<NodeName>> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A machine is removed, not by the platform; the next of its name will show this key.
    pub(crate) async fn vanish(&self, node: &NodeName, next: HostKey) {
        self.set_reach(node, Reach::Dead).await;
        self.keys().insert(node.clone(), Shown::Absent { next });
    }

    /// Somebody else makes a machine anew, which shows this key. Its agent is not there yet.
    pub(crate) async fn is_made_anew(&self, node: &NodeName, key: HostKey) {
        self.set_reach(node, Reach::Partitioned).await;
        self.keys().insert(node.clone(), Shown::Key(key));
        self.count_made(node);
    }

    fn count_made(&self, node: &NodeName) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        *made.entry(node.clone()).or_default() += 1;
    }

    /// Which machine it is: the first of its name, or one that was made later.
    pub(crate) fn id(&self, node: &NodeName) -> MachineId {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        MachineId(made.get(node).copied().unwrap_or_default().to_string())
    }

    /// A machine shows another key from now on.
    pub(crate) fn show(&self, node: &NodeName, key: HostKey) {
        self.keys().insert(node.clone(), Shown::Key(key));
    }

    fn keys(&self) -> MutexGuard<'_, BTreeMap<NodeName, Shown>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the machine where there is none; the key that it shows, where that matters, and whether it was just made.
    fn shown(&self, node: &NodeName) -> (Option<HostKey>, Made) {
        let mut keys = self.keys();
        match keys.get(node).cloned() {
            None => (None, Made::Before),
            Some(Shown::Key(key)) => (Some(key), Made::Before),
            Some(Shown::Absent { next }) => {
                keys.insert(node.clone(), Shown::Key(next.clone()));
                self.count_made(node);
                (Some(next), Made::Now)
            }
        }
    }

    /// Cuts or restores power and network of a machine, not by the platform.
    pub(crate) async fn set_reach(&self, node: &NodeName, reach: Reach) {
        let is_broken = reach == Reach::Up && self.broken().contains(node);
        let reach = if is_broken { Reach::Partitioned } else { reach };
        self.nodes.set_reach(node, reach).await;
        self.parts.set_reach(node, reach).await;
        let power = if reach == Reach::Dead { Power::Stopped } else { Power::Running };
        self.power.lock().unwrap_or_else(PoisonError::into_inner).insert(node.clone(), power);
    }

    /// What was restarted by the platform.
    pub(crate) fn restarted(&self) -> Vec<NodeName> {
        self.restarted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long a machine that is restarted goes on as before; no time without it.
    pub(crate) fn take_to_stop(&self, stopping: Duration) {
        *self.stopping.lock().unwrap_or_else(PoisonError::into_inner) = stopping;
    }

    /// How many the platform has restarted at once.
    pub(crate) fn most_at_once(&self) -> usize {
        self.restarting.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    fn count(&self, change: isize) {
        let mut restarting = self.restarting.lock().unwrap_or_else(PoisonError::into_inner);
        restarting.0 = restarting.0.saturating_add_signed(change);
        restarting.1 = restarting.1.max(restarting.0);
    }

    /// A machine that is added has an agent from the moment of its enrolment.
    pub(crate) fn furnish(&self, node: &NodeName) -> std::net::IpAddr {
        self.nodes.add(node.as_str());
        self.parts.add(node.as_str()).address.ip()
    }

    fn machine(&self, name: &NodeName) -> Machine {
        let power = self.power.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied();
        Machine {
            name: name.clone(),
            id: Some(self.id(name)),
            power: power.unwrap_or(Power::Running),
            address: None,
            entry: Gate::new("192.0.2.1"),
            user: "root".to_owned(),
            host_key: None,
        }
    }
}

#[async_trait]
impl Machines for FleetMachines {
    fn lacks(&self, _: Ability) -> Option<&'static str> {
        None
    }

    async fn look(&self, name: &NodeName) -> Result<Option<Machine>, Error> {
        let is_absent = matches!(self.keys().get(name), Some(Shown::Absent { .. }));
        Ok((!is_absent).then(|| self.machine(name)))
    }

    async fn list(&self) -> Result<Vec<Machine>, Error> {
        Ok(Vec::new())
    }

    async fn create(&self, spec: &MachineSpec) -> Result<Machine, Error> {
        Ok(self.machine(&spec.name))
    }

    async fn start(&self, name: &NodeName) -> Result<Machine, Error> {
        self.set_reach(name, Reach::Up).await;
        Ok(self.machine(name))
    }

    async fn stop(&self, name: &NodeName) -> Result<(), Error> {
        self.set_reach(name, Reach::Dead).await;
        Ok(())
    }

    async fn restart(&self, name: &NodeName) -> Result<Machine, Error> {
        self.restarted.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
        let stopping = *self.stopping.lock().unwrap_or_else(PoisonError::into_inner);
        self.count(1);
        sleep(stopping).await;
        self.set_reach(name, Reach::Dead).await;
        sleep(Duration::from_secs(3)).await;
        self.set_reach(name, Reach::Up).await;
        self.count(-1);
        Ok(self.machine(name))
    }

    async fn delete(&self, name: &NodeName) -> Result<(), Error> {
        self.set_reach(name, Reach::Dead).await;
        Ok(())
    }
}

/// Whether a machine was there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    Before,
    Now,
}

/// What an enrolment comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Outcome {
    /// The machine runs, with its agent.
    #[default]
    Helps,
    DoesNotHelp,
    KeyChanged,
    /// The agent that takes the place of the running one does not come up.
    Breaks,
}

/// Enrolment as a test wants it.
#[derive(Debug, Clone)]
pub(crate) struct ScriptedEnrolment {
    machines: FleetMachines,
    outcome: Arc<Mutex<Outcome>>,
    asked: Arc<Mutex<Vec<NodeName>>>,
    /// How long the agent is away meanwhile.
    lasting: Arc<Mutex<Duration>>,
    /// Whether what machines come from tells their host keys.
    told_keys: Arc<AtomicBool>,
}

impl ScriptedEnrolment {
    pub(crate) fn new(machines: FleetMachines) -> Self {
        ScriptedEnrolment {
            machines,
            outcome: Arc::default(),
            asked: Arc::default(),
            lasting: Arc::default(),
            told_keys: Arc::default(),
        }
    }

    /// What machines come from tells their host keys: none is shown by the machine itself, and pinned.
    pub(crate) fn is_told_keys(&self) {
        self.told_keys.store(true, Ordering::SeqCst);
    }

    /// How long the agent is away until the new one answers.
    pub(crate) fn takes(&self, lasting: Duration) {
        *self.lasting.lock().unwrap_or_else(PoisonError::into_inner) = lasting;
    }

    pub(crate) fn comes_to(&self, outcome: Outcome) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = outcome;
    }

    /// Which machines were to be enrolled, in order.
    pub(crate) fn asked(&self) -> Vec<NodeName> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Enrolment for ScriptedEnrolment {
    async fn enrol(
        &self,
        platform: &Platform,
        name: &NodeName,
        journal: &dyn Journal,
    ) -> Result<Enrolled, NotEnrolled> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
        let outcome = *self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let (host_key, made) = self.machines.shown(name);
        let pinned = platform.machine(name).and_then(|machine| machine.host_key.clone());
        if made == Made::Before && pinned.is_some() && host_key.is_some() && pinned != host_key {
            return Err(key_changed());
        }
        if let (None, Some(key)) = (pinned, &host_key) {
            let machine = platform.machine(name).expect("it is described").clone();
            let id = Some(self.machines.id(name));
            let machine = PlannedMachine { id, host_key: Some(key.clone()), ..machine };
            let step =
                Step { machine: name.clone(), action: Action::Pin(key.clone()), certain: true };
            let written = if self.told_keys.load(Ordering::SeqCst) {
                journal.found(&machine).await
            } else {
                journal.ends(&step, &machine).await
            };
            written.expect("the store takes it");
        }
        match outcome {
            Outcome::Helps => {
                let address = match platform.address(name) {
                    Some(address) => address,
                    None => self.machines.furnish(name),
                };
                let lasting = *self.lasting.lock().unwrap_or_else(PoisonError::into_inner);
                if !lasting.is_zero() {
                    self.machines.set_reach(name, Reach::Partitioned).await;
                    sleep(lasting).await;
                }
                self.machines.set_reach(name, Reach::Up).await;
                Ok(Enrolled { address, gate: None, host_key })
            }
            Outcome::DoesNotHelp => {
                let failure = Failure::new(FailureCode::NodeUnavailable, "nobody listens there");
                Err(NotEnrolled::Failed(failure))
            }
            Outcome::KeyChanged => Err(key_changed()),
            Outcome::Breaks => {
                self.machines.break_agent(name).await;
                let failure = Failure::new(FailureCode::NodeUnavailable, "it does not come up");
                Err(NotEnrolled::Failed(failure))
            }
        }
    }
}

fn key_changed() -> NotEnrolled {
    let message = "it has another host key than the pinned one";
    NotEnrolled::HostKeyChanged(Failure::new(FailureCode::NodeUnavailable, message))
}

/// Credentials that are given anew when a test says so.
#[derive(Debug, Clone, Default)]
pub(crate) struct GivenOnce {
    news: Arc<Notify>,
    /// What services that begin from now on were given, and as which.
    said: Arc<Mutex<(u64, Configured)>>,
}

impl GivenOnce {
    pub(crate) fn give(&self) {
        self.news.notify_one();
    }

    pub(crate) fn say(&self, given: u64, configured: Configured) {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = (given, configured);
    }

    pub(crate) fn added_to(&self, mut vault: Vault) -> Vault {
        let (given, configured) = self.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        vault.secrets.given = given;
        vault.secrets.configured = configured;
        vault
    }
}

#[async_trait]
impl Credentials for GivenOnce {
    async fn changed(&self) {
        self.news.notified().await;
    }
}
