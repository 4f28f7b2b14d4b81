//! I5: what is there in the end is what was wished for. The wishes are known from those who made them; of
//! the platform's records only the order in which they were accepted is taken, and how each ended.

use std::collections::{BTreeMap, BTreeSet};

use common::digest::{Digest, ImageRef};
use common::id::RequestId;
use common::message::DeploymentCommand;
use common::name::{AppName, InstanceName, LegacyName};
use common::port::edge::Upstream;
use common::port::store::Path;
use common::record::deployment::Deployment;
use common::record::operation::{Operation, Outcome};
use common::record::path;
use common::record::release::{Release, Source};
use common::service::ServiceName;

use super::windows::Came;
use super::{Checker, Invariant, Violation, decoded};
use crate::user::{self, Wish};
use crate::world::Truth;

type Checked = Result<(), Violation>;

/// What was wished for, and what was accepted of it.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    asked: BTreeMap<RequestId, Asked>,
    /// In the order in which they were made: what was released before and is again is the newest again.
    releases: BTreeMap<AppName, Vec<Made>>,
    instances: BTreeMap<LegacyName, Accepted>,
    /// In which order the deployment manager heard of requests.
    heard: BTreeMap<RequestId, usize>,
}

/// A wish, with the moment at which it was made first.
#[derive(Debug)]
struct Asked {
    wish: Wish,
    at: u64,
}

/// A release.
#[derive(Debug, Clone)]
struct Made {
    number: u32,
    bundle: bool,
    asked: u64,
    /// When its maker knew that it is there.
    done: Option<u64>,
}

/// What was accepted of one instance, in order.
#[derive(Debug, Default)]
struct Accepted {
    goals: Vec<Goal>,
    counts: Vec<Count>,
    /// The releases that its last deploy may be of, and all that any deploy may have been of.
    releases: BTreeSet<(AppName, u32)>,
    all_releases: BTreeSet<(AppName, u32)>,
    /// What other programs asked by themselves.
    foreign: Vec<Goal>,
}

/// Whether an instance is to run.
#[derive(Debug, Clone, Copy)]
struct Goal {
    request: RequestId,
    runs: bool,
}

/// How many replicas somebody wants.
#[derive(Debug, Clone, Copy)]
struct Count {
    replicas: u32,
    /// None: what an instance begins with.
    by: Option<(RequestId, &'static str)>,
}

/// What holds in the end, as far as that is certain.
struct Wanted<'a> {
    runs: Option<bool>,
    releases: &'a BTreeSet<(AppName, u32)>,
    counts: BTreeSet<usize>,
}

impl Checker {
    /// Somebody wishes for something, or insists on it.
    pub(crate) fn wished(&mut self, request: RequestId, wish: &Wish, now: u64) {
        if let Wish::Release { app, number, bundle } = wish {
            let made = Made { number: *number, bundle: *bundle, asked: now, done: None };
            self.wishes.releases.entry(app.clone()).or_default().push(made);
        }
        self.wishes.asked.entry(request).or_insert_with(|| Asked { wish: wish.clone(), at: now });
    }

    /// Its maker knows that a release is there.
    pub(crate) fn released(&mut self, wish: &Wish, now: u64) {
        let Wish::Release { app, number, .. } = wish else { return };
        let made = self.wishes.releases.get_mut(app).into_iter().flatten();
        if let Some(made) = made.rev().find(|made| made.number == *number) {
            made.done.get_or_insert(now);
        }
    }

    /// Another program sent a command by itself.
    pub(crate) fn sent_by_others(&mut self, request: RequestId, command: &DeploymentCommand) {
        self.sent.insert(request, command.kind());
        let (instance, runs) = match command {
            DeploymentCommand::Deploy { instance } => (instance, true),
            DeploymentCommand::Stop { instance } => (instance, false),
            DeploymentCommand::AnswerNode(_) => return,
        };
        let known = self.wishes.instances.entry(instance.clone()).or_default();
        known.foreign.push(Goal { request, runs });
    }

    /// An operation was made: its request is accepted.
    pub(super) fn note_accepted(&mut self, name: &str, now: u64) {
        let mut parts = name.splitn(3, '.');
        let (Some(request), Some(service), Some(kind)) = (parts.next(), parts.next(), parts.next())
        else {
            return;
        };
        let Ok(request) = request.parse::<RequestId>() else { return };
        if service == ServiceName::DeploymentManager.as_str() {
            if matches!(kind, "deploy-app" | "stop-app") {
                let next = self.wishes.heard.len();
                self.wishes.heard.entry(request).or_insert(next);
            }
        } else if service == ServiceName::AppManager.as_str() {
            match self.wishes.asked.get(&request).map(|asked| &asked.wish) {
                Some(wish) => {
                    match (wish, kind) {
                        (Wish::Schedule { app, instance, times }, "schedule") => {
                            let name = named(app, instance.as_ref());
                            self.effective += 1;
                            self.windows.plan(request, (app.clone(), name), times.0, now);
                        }
                        (Wish::Stop { instance }, "stop") => self.windows.take_away(instance),
                        _ => {}
                    }
                    self.wishes.accept(request, kind, now);
                }
                None if matches!(kind, "deploy" | "stop") => self.note_due(request, kind, now),
                // What was heard of others.
                None => {}
            }
        }
    }

    /// A request was made that no user made: a window of a schedule begins, or ends.
    fn note_due(&mut self, request: RequestId, kind: &str, now: u64) {
        match self.windows.come(request, kind) {
            Ok(Came::Begin { app, instance, since }) => {
                let releases = self.wishes.newest(&app, since, now);
                let known = self.wishes.instances.entry(instance).or_default();
                known.deploy(request, releases, None);
            }
            Ok(Came::End { instance }) => {
                let known = self.wishes.instances.entry(instance).or_default();
                known.goals.push(Goal { request, runs: false });
            }
            Err(what) => self.violate(Invariant::I2EffectOnce, what),
        }
    }

    /// The memory of a stopped instance is gone; it begins anew.
    pub(super) fn note_forgotten(&mut self, instance: &LegacyName) {
        if let Some(accepted) = self.wishes.instances.get_mut(instance) {
            accepted.counts = vec![Count { replicas: 1, by: None }];
        }
    }
}

/// The instance that is meant: of the app's own name if none is said.
fn named(app: &AppName, instance: Option<&InstanceName>) -> LegacyName {
    instance.cloned().unwrap_or_else(|| app.clone().into()).into()
}

impl Accepted {
    /// It is there, of a release, before anything of it runs: other programs may deploy it.
    fn schedule(&mut self, releases: BTreeSet<(AppName, u32)>) {
        if self.counts.is_empty() {
            self.counts.push(Count { replicas: 1, by: None });
        }
        if self.all_releases.is_empty() {
            self.all_releases.clone_from(&releases);
            self.releases = releases;
        }
    }

    /// What a step back from any of the releases that may be wanted now can lead to.
    fn older(&self) -> BTreeSet<(AppName, u32)> {
        let newest = self.releases.iter().map(|(_, number)| *number).max().unwrap_or_default();
        let older = self.all_releases.iter().filter(|(_, number)| *number < newest);
        older.cloned().collect()
    }

    fn deploy(
        &mut self,
        request: RequestId,
        releases: BTreeSet<(AppName, u32)>,
        replicas: Option<u32>,
    ) {
        self.goals.push(Goal { request, runs: true });
        if self.counts.is_empty() {
            self.counts.push(Count { replicas: 1, by: None });
        }
        if let Some(replicas) = replicas {
            self.counts.push(Count { replicas, by: Some((request, "deploy")) });
        }
        self.all_releases.extend(releases.iter().cloned());
        self.releases = releases;
    }
}

impl Wishes {
    /// Whether somebody asked for it.
    pub(super) fn is_asked(&self, request: RequestId) -> bool {
        self.asked.contains_key(&request)
    }

    fn accept(&mut self, request: RequestId, kind: &str, now: u64) {
        let Some(Asked { wish, at }) = self.asked.get(&request) else { return };
        match (wish, kind) {
            (Wish::Deploy { app, instance, replicas }, "deploy") => {
                let releases = self.newest(app, *at, now);
                let known = self.instances.entry(named(app, instance.as_ref())).or_default();
                known.deploy(request, releases, *replicas);
            }
            (Wish::Schedule { app, instance, .. }, "schedule") => {
                let releases = self.newest(app, *at, now);
                let known = self.instances.entry(named(app, instance.as_ref())).or_default();
                known.schedule(releases);
            }
            (Wish::Scale { instance, replicas }, "scale") => {
                let known = self.instances.entry(instance.clone()).or_default();
                let by = Some((request, "scale"));
                known.counts.push(Count { replicas: *replicas, by });
            }
            (Wish::Stop { instance }, "stop") => {
                let known = self.instances.entry(instance.clone()).or_default();
                known.goals.push(Goal { request, runs: false });
            }
            (Wish::Rollback { instance }, "rollback") => {
                let known = self.instances.entry(instance.clone()).or_default();
                let older = known.older();
                known.deploy(request, older, None);
            }
            _ => {}
        }
    }

    /// The kind under which the app manager keeps what makes an instance run: a window of a schedule deploys.
    fn kind(&self, request: RequestId) -> &'static str {
        let asked = self.asked.get(&request);
        asked.and_then(|asked| asked.wish.kind()).unwrap_or("deploy")
    }

    /// The releases that may have been an app's newest one at a moment of this span.
    fn newest(&self, app: &AppName, from: u64, to: u64) -> BTreeSet<(AppName, u32)> {
        let made = self.releases.get(app).map(Vec::as_slice).unwrap_or_default();
        let sure = made.iter().rposition(|made| made.done.is_some_and(|at| at < from));
        let possible = made.iter().skip(sure.unwrap_or_default()).filter(|made| made.asked <= to);
        possible.map(|made| (app.clone(), made.number)).collect()
    }

    /// Whether a release is of a bundle.
    fn is_bundle(&self, app: &AppName, number: u32) -> bool {
        let mut made = self.releases.get(app).into_iter().flatten();
        made.any(|made| made.number == number && made.bundle)
    }

    /// What the wishes of an instance come to.
    fn wanted<'a>(&self, accepted: &'a Accepted, truth: &Truth) -> Wanted<'a> {
        let order = |goal: &Goal| self.heard.get(&goal.request).copied().unwrap_or(usize::MAX);
        let last = accepted.goals.last().copied();
        let mut goal = last;
        // Of what never ran nothing has to be stopped: nobody heard of it, and so nobody knows what came first.
        let mut is_known = true;
        for foreign in &accepted.foreign {
            // What was never heard has no effect.
            let is_heard = self.heard.contains_key(&foreign.request);
            is_known &= !is_heard || last.is_none_or(|last| order(&last) != usize::MAX);
            if is_heard && goal.is_none_or(|known| order(foreign) > order(&known)) {
                goal = Some(*foreign);
            }
        }
        let Some(goal) = goal else {
            let counts = BTreeSet::new();
            return Wanted { runs: Some(false), releases: &accepted.releases, counts };
        };
        let is_own = last.is_some_and(|last| last.request == goal.request);
        let (service, kind) = match (is_own, goal.runs) {
            (true, true) => (ServiceName::AppManager, self.kind(goal.request)),
            (true, false) => (ServiceName::AppManager, "stop"),
            (false, true) => (ServiceName::DeploymentManager, "deploy-app"),
            (false, false) => (ServiceName::DeploymentManager, "stop-app"),
        };
        let is_certain = is_known && succeeded(truth, goal.request, service, kind);
        let runs = is_certain.then_some(goal.runs);
        let releases = if is_certain { &accepted.releases } else { &accepted.all_releases };
        Wanted { runs, releases, counts: counts(accepted, truth) }
    }
}

/// The numbers of replicas that may be.
fn counts(accepted: &Accepted, truth: &Truth) -> BTreeSet<usize> {
    let all = accepted.counts.iter().map(|count| count.replicas);
    let last = accepted.counts.last();
    let is_certain = last.is_none_or(|count| match count.by {
        None => true,
        Some((request, kind)) => succeeded(truth, request, ServiceName::AppManager, kind),
    });
    let from = if is_certain { accepted.counts.len().saturating_sub(1) } else { 0 };
    all.skip(from).filter_map(|count| usize::try_from(count).ok()).collect()
}

fn operation(truth: &Truth, path: &Path) -> Option<Operation> {
    let value = truth.store.records(path).into_iter().next().map(|(_, value)| value);
    decoded(value.as_ref())
}

fn is_success(operation: &Operation) -> bool {
    matches!(operation.outcome, Some(Outcome::Succeeded { .. }))
}

fn succeeded(truth: &Truth, request: RequestId, service: ServiceName, kind: &str) -> bool {
    let path = path::operation(request, service, kind);
    operation(truth, &path).is_some_and(|operation| is_success(&operation))
}

/// Everybody has what they wished for, and nobody what nobody wished for.
pub(super) fn kept(checker: &Checker, truth: &Truth, deployments: &[Deployment]) -> Checked {
    let wishes = &checker.wishes;
    let table = truth.edge.table().map(|table| table.routes).unwrap_or_default();
    for row in &table {
        let is_known = wishes.instances.contains_key(&row.instance);
        demand(is_known, || format!("{} is served, and nobody asked for it", row.instance))?;
    }
    for (instance, accepted) in &wishes.instances {
        let wanted = wishes.wanted(accepted, truth);
        let row = table.iter().find(|row| row.instance == *instance);
        let runs = row.is_some_and(|row| !row.upstreams.is_empty());
        demand(wanted.runs.is_none_or(|wanted| wanted == runs), || {
            let (is, was) = if runs { ("served", "stopped") } else { ("not served", "deployed") };
            format!("{instance} is {is}, and was {was} last")
        })?;
        let Some(row) = row.filter(|_| runs) else { continue };
        let count = row.upstreams.len();
        demand(wanted.counts.contains(&count), || {
            format!("{instance} has {count} replicas, and {:?} were asked for", wanted.counts)
        })?;
        for upstream in &row.upstreams {
            check_release(wishes, truth, deployments, (instance, upstream), wanted.releases)?;
        }
    }
    Ok(())
}

/// Behind an upstream is one of the releases that were asked for.
fn check_release(
    wishes: &Wishes,
    truth: &Truth,
    deployments: &[Deployment],
    (instance, upstream): (&LegacyName, &Upstream),
    allowed: &BTreeSet<(AppName, u32)>,
) -> Checked {
    // On a node that is lost nobody knows.
    let Some(container) = truth.listener(upstream.address()) else { return Ok(()) };
    let deployment = deployments.iter().find(|one| one.instance == *instance);
    let is_it = |(app, number): &(AppName, u32)| {
        if wishes.is_bundle(app, *number) {
            deployment.is_some_and(|one| is_built_from(truth, one, app, *number))
        } else {
            container.image == user::image(app, *number)
        }
    };
    demand(allowed.iter().any(is_it), || {
        let image: &ImageRef = &container.image;
        format!("{instance} serves {image}, and {allowed:?} was asked for")
    })
}

/// Whether what a deployment serves was made from the bundle of a release.
fn is_built_from(truth: &Truth, deployment: &Deployment, app: &AppName, number: u32) -> bool {
    let Some(serving) = &deployment.serving else { return false };
    let path = path::release(app, serving.release);
    let value = truth.store.records(&path).into_iter().next().map(|(_, value)| value);
    let source = decoded::<Release>(value.as_ref()).map(|release| release.source);
    match source {
        Some(Source::Bundle { bundle, .. }) => bundle == Digest::of(&user::bundle(app, number)),
        Some(Source::Image { .. }) | None => false,
    }
}

fn demand(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(Violation::new(Invariant::I5NoOrphan, what())) }
}
