//! The independent checker. It reads what is really there (the store's tree and its journal, the nodes'
//! containers, the tables the edge took, the bus) and never what a service remembers.
//!
//! Every change is checked when it is made; [`settled()`] says what is wrong once nothing goes wrong any
//! more. The invariants are those of the platform's fault catalogue.

mod balance;
mod commands;
mod courses;
mod fleet;
mod leases;
mod outcomes;
mod releases;
mod served;
mod settled;
mod states;
mod visits;
mod windows;
mod wishes;
mod writers;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;

use common::id::{Epoch, Generation, RequestId, SlotNumber};
use common::name::{InstanceName, LegacyName, NodeName};
use common::port::edge::Table;
use common::port::nodes::Issuer;
use common::port::store::Path;
use common::record::deployment::Deployment;
use common::service::ServiceName;
use testkit::store::Committed;

use self::balance::Balance;
use self::courses::Courses;
use self::fleet::Keeping;
pub(crate) use self::fleet::kept;
use self::served::held;
pub(crate) use self::settled::{empty, settled};
pub(crate) use self::states::{rare, table};
use self::visits::Visits;
pub(crate) use self::visits::{Demand, ServedFrom};
use self::windows::Windows;
use self::wishes::Wishes;
use self::writers::Writer;
use crate::life::Life;
use crate::settings::Settings;
use crate::world::Truth;

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// Every accepted request has exactly one outcome, readable by its id.
    I1NoLostCommand,
    /// No two routable containers of one slot; what is placed stays where it is.
    I2EffectOnce,
    /// A port has one owner, and is not given out again within its quarantine.
    I3PortExclusive,
    /// No instance's door leads to another's container.
    I4NoMisroute,
    /// Replicas, containers, registry, leases and upstreams are the same once all is calm.
    I5NoOrphan,
    /// Who is served stays served.
    I6KeepServing,
    /// Everything settles in time.
    I7Converge,
    /// Generations and epochs never decrease, and only allowed changes of state occur.
    I8Monotone,
    /// Only the leader writes.
    I9SingleWriter,
    /// Running is said of what runs, and nothing is in progress past its deadline.
    I10HonestStatus,
    /// One instance's trouble stays its own.
    I11BlastRadius,
    /// Nothing is left of what was stopped.
    I12Bounded,
    /// Every part of the platform runs where it is wanted, once, on a machine that lives, and no other does.
    P1Placed,
    /// No part lives twice on a machine.
    P2OncePerMachine,
    /// One verdict, one restart.
    P3RestartOnce,
    /// Where too much looks dead at once, or is said to be, nothing is restarted.
    P4BrakeHolds,
    /// The platform runs, or does not, as it was wished last.
    P5AsWished,
    /// Whatever becomes of the platform, it touches no app.
    P6AppsUntouched,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// An invariant that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub invariant: Invariant,
    /// One sentence.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

impl Violation {
    pub(crate) fn new(invariant: Invariant, what: String) -> Self {
        Violation { invariant, what }
    }
}

/// A replica, wherever it is.
type Replica = (InstanceName, SlotNumber, Generation);

/// A deployment as one transaction changed it.
struct Change<'a> {
    path: &'a Path,
    before: Option<&'a Deployment>,
    after: Option<&'a Deployment>,
}

/// What the checker has seen.
#[derive(Debug)]
pub(crate) struct Checker {
    settings: Settings,
    pub(crate) violations: Vec<Violation>,
    /// Who writes under which number of the store's clients.
    writers: BTreeMap<u64, Writer>,
    epochs: BTreeMap<ServiceName, Epoch>,
    /// The highest epoch that each node has obeyed.
    obeyed: BTreeMap<(NodeName, ServiceName), Epoch>,
    /// The highest table that the edge took, as it was sent.
    highest: (Epoch, Generation),
    tables: usize,
    last: Option<Table>,
    /// Front ports that another program had when the edge was asked before it was given that table.
    said_closed: BTreeSet<u16>,
    /// Whether containers may have changed since the last look.
    pub(crate) stirred: bool,
    ran: BTreeSet<Replica>,
    served: BTreeSet<(LegacyName, SocketAddr)>,
    /// Services that lived twice at once: the position of the one may be behind what the other has done.
    pub(crate) doubled: BTreeSet<ServiceName>,
    /// When something happened to nodes last.
    struck: BTreeMap<NodeName, u64>,
    /// When ports were released, and by whom they had been leased.
    released: BTreeMap<Path, (u64, LegacyName)>,
    /// When another program had a front port last.
    held: BTreeMap<u16, u64>,
    /// When a clock jumped last.
    jumped: Option<u64>,
    /// The newest stop of each instance.
    stops: BTreeMap<LegacyName, Generation>,
    /// Since when each instance's newest generation is under way.
    pub(crate) began: BTreeMap<LegacyName, (Generation, u64)>,
    /// When each instance was told to run for the first time.
    pub(crate) deployed: BTreeMap<LegacyName, u64>,
    /// Requests that other programs put onto the bus, with the kind of their operation.
    pub(crate) sent: BTreeMap<RequestId, &'static str>,
    /// As they were written last.
    deployments: BTreeMap<Path, Deployment>,
    /// Operations that have no outcome yet.
    open: BTreeSet<Path>,
    windows: Windows,
    wishes: Wishes,
    courses: Courses,
    balance: Balance,
    keeping: Keeping,
    pub(crate) visits: Visits,
    /// How many commands changed what is wanted.
    pub(crate) effective: u64,
    /// The changes of state that occurred: kind, from, to.
    pub(crate) edges: BTreeSet<(&'static str, String, String)>,
}

impl Checker {
    pub(crate) fn new(truth: &Truth, settings: &Settings) -> Self {
        truth.store.keep_journal();
        Checker {
            settings: settings.clone(),
            violations: Vec::new(),
            writers: BTreeMap::new(),
            epochs: BTreeMap::new(),
            obeyed: BTreeMap::new(),
            highest: (Epoch(0), Generation(0)),
            tables: 0,
            last: None,
            said_closed: BTreeSet::new(),
            stirred: false,
            ran: BTreeSet::new(),
            served: BTreeSet::new(),
            doubled: BTreeSet::new(),
            struck: BTreeMap::new(),
            released: BTreeMap::new(),
            held: BTreeMap::new(),
            jumped: None,
            stops: BTreeMap::new(),
            began: BTreeMap::new(),
            deployed: BTreeMap::new(),
            sent: BTreeMap::new(),
            deployments: BTreeMap::new(),
            open: BTreeSet::new(),
            windows: Windows::default(),
            wishes: Wishes::default(),
            courses: Courses::default(),
            balance: Balance::default(),
            keeping: Keeping::default(),
            visits: Visits::default(),
            effective: 0,
            edges: BTreeSet::new(),
        }
    }

    /// How many windows of schedules began.
    pub(crate) fn windows(&self) -> u64 {
        self.windows.began
    }

    pub(crate) fn violate(&mut self, invariant: Invariant, what: String) {
        // One and the same is told once.
        let violation = Violation::new(invariant, what);
        if !self.violations.contains(&violation) {
            self.violations.push(violation);
        }
    }

    /// Looks at everything that changed since the last look; returns what it found wrong.
    pub(crate) fn observe(&mut self, truth: &Truth, now: u64) -> Vec<Violation> {
        let known = self.violations.len();
        if std::mem::take(&mut self.stirred) {
            let held = held(truth);
            self.note_running(&held);
            self.check_doors(&held);
        }
        for table in truth.edge.taken_since(self.tables) {
            self.tables += 1;
            self.check_table(&table, truth, now);
            self.last = Some(table);
            self.check_doors(&held(truth));
        }
        for committed in truth.store.take_journal() {
            self.check_committed(&committed, truth, now);
        }
        self.violations.get(known..).unwrap_or_default().to_vec()
    }

    fn check_committed(&mut self, committed: &Committed, truth: &Truth, now: u64) {
        let path = committed.path.as_str();
        let Some(kind) = path.strip_prefix("/avishkar/").and_then(|rest| rest.split('/').next())
        else {
            return;
        };
        if kind == "deployments" {
            let after: Option<Deployment> = decoded(committed.after.as_ref());
            let before = match &after {
                Some(after) => self.deployments.insert(committed.path.clone(), after.clone()),
                None => self.deployments.remove(&committed.path),
            };
            let change =
                Change { path: &committed.path, before: before.as_ref(), after: after.as_ref() };
            self.check_writer(committed, Some(&change));
            self.check_deployment(&change, now);
            self.check_running(&change, truth);
            self.check_courses(&change, truth, now);
            self.promise(&change);
            return;
        }
        self.check_writer(committed, None);
        match kind {
            "instances" => self.check_instance(committed, now),
            "apps" => self.check_release(committed),
            "routes" => self.check_route(committed, truth, now),
            "epochs" => self.check_epoch(committed),
            "alive" => self.check_verdict(committed),
            "ports" => self.check_lease(committed, now),
            "scale" => self.check_scale(committed, truth, now),
            "operations" => self.check_operation(committed, now),
            "platform" => self.check_platform(committed),
            "restarts" | "lifecycle" => self.check_keeping(committed, now),
            _ => {}
        }
    }

    /// A life of a service writes under its session.
    pub(crate) fn begins(&mut self, life: &Life) {
        let writer = Writer { service: life.service, epoch: None };
        self.writers.insert(life.session.session_number(), writer);
    }

    /// A node has done what a leader told it.
    pub(crate) fn order_taken(&mut self, node: &NodeName, issuer: Issuer, life: &Life) {
        self.stirred = true;
        let highest = self.obeyed.entry((node.clone(), issuer.service)).or_insert(issuer.epoch);
        if *highest > issuer.epoch {
            let highest = *highest;
            self.violate(
                Invariant::I9SingleWriter,
                format!("{node} obeyed {} of epoch {} after {highest}", life.label, issuer.epoch),
            );
        } else {
            *highest = issuer.epoch;
        }
    }

    /// Something happened to a node: what it had may not run for a while.
    pub(crate) fn struck(&mut self, node: &NodeName, now: u64) {
        self.stirred = true;
        self.struck.insert(node.clone(), now);
        self.forget_moves();
    }

    /// Another program has a front port, or gives it back.
    pub(crate) fn held(&mut self, port: u16, now: u64) {
        self.held.insert(port, now);
        self.forget_moves();
    }

    /// The clock of a service jumped: quarantines that it measures say nothing any more.
    pub(crate) fn clock_jumped(&mut self, now: u64) {
        self.released.clear();
        self.jumped = Some(now);
    }
}

/// A record as it is, where it is one.
fn decoded<T: serde::de::DeserializeOwned>(value: Option<&bytes::Bytes>) -> Option<T> {
    value.filter(|value| !value.is_empty()).and_then(|value| common::record::decode(value).ok())
}
