//! I5: what is there in the end is what was wished for. The wishes are known from those who made them; of
//! the platform's records only the order in which they were accepted is taken, and how each ended.

mod alone;
mod found;
mod refused;
mod turns;

use std::collections::{BTreeMap, BTreeSet};

use common::id::RequestId;
use common::message::DeploymentCommand;
use common::name::{AppName, InstanceName, LegacyName};
use common::port::store::Path;
use common::record::operation::{Operation, Outcome};
use common::record::path;
use common::service::ServiceName;

pub(super) use self::found::kept;
pub(super) use self::refused::was_refused;
use self::turns::{Outlook, Releases, Turn};
use super::windows::Came;
use super::{Checker, Invariant, decoded};
use crate::user::Wish;
use crate::world::Truth;

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
    /// What other programs may deploy before anybody else does.
    first: Releases,
    turns: Vec<Taken>,
    /// What other programs asked by themselves.
    foreign: Vec<Goal>,
}

/// A turn, and under which request it was asked for.
#[derive(Debug)]
struct Taken {
    request: RequestId,
    at: u64,
    /// When it came to its end.
    done: Option<u64>,
    turn: Turn,
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
struct Wanted {
    runs: Option<bool>,
    is_certain: bool,
    outlook: Outlook,
    counts: BTreeSet<usize>,
}

impl Checker {
    /// Somebody wishes for something, or insists on it.
    pub(crate) fn wished(&mut self, request: RequestId, wish: &Wish, now: u64) {
        if let Wish::Release { app, number, bundle } = wish {
            let made = Made { number: *number, bundle: *bundle, asked: now, done: None };
            let known = self.wishes.releases.entry(app.clone()).or_default();
            // Who insists on the newest one makes no other.
            if known.last().is_none_or(|last| last.number != *number) {
                known.push(made);
            }
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
                        (Wish::Canary { app, share }, "deploy") => {
                            let (instance, share) = (named(app, None), *share);
                            self.note_share(instance, share, now);
                        }
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

    /// An operation came to its end.
    pub(super) fn note_done(&mut self, name: &str, now: u64) {
        let request = name.split('.').next().and_then(|request| request.parse().ok());
        let Some(request) = request else { return };
        let found = self.wishes.instances.iter_mut().find_map(|(instance, accepted)| {
            let last = accepted.turns.last().map(|taken| taken.request);
            let taken = accepted.turns.iter_mut().find(|taken| taken.request == request)?;
            taken.done = Some(now);
            let stays = u64::from(!matches!(taken.turn, Turn::Canary(..)));
            let is_last = last == Some(request);
            is_last.then(|| (instance.clone(), taken.at + stays))
        });
        // What an older request came to may be what a newer one asked for.
        if let Some((instance, before)) = found {
            self.forget_shares(&instance, before);
        }
    }

    /// A request was made that no user made: a window of a schedule begins, or ends.
    fn note_due(&mut self, request: RequestId, kind: &str, now: u64) {
        match self.windows.come(request, kind) {
            Ok(Came::Begin { app, instance, since }) => {
                let releases = self.wishes.newest(&app, since, now);
                let known = self.wishes.instances.entry(instance).or_default();
                known.run((request, "deploy", now), Turn::Whole(releases), None);
            }
            Ok(Came::End { instance }) => {
                let known = self.wishes.instances.entry(instance).or_default();
                known.stop(request, now);
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
    fn schedule(&mut self, releases: Releases) {
        if self.counts.is_empty() {
            self.counts.push(Count { replicas: 1, by: None });
        }
        if self.turns.is_empty() && self.first.is_empty() {
            self.first = releases;
        }
    }

    fn run(
        &mut self,
        (request, kind, at): (RequestId, &'static str, u64),
        turn: Turn,
        replicas: Option<u32>,
    ) {
        self.goals.push(Goal { request, runs: true });
        if self.counts.is_empty() {
            self.counts.push(Count { replicas: 1, by: None });
        }
        if let Some(replicas) = replicas {
            self.counts.push(Count { replicas, by: Some((request, kind)) });
        }
        self.turns.push(Taken { request, at, done: None, turn });
    }

    fn stop(&mut self, request: RequestId, at: u64) {
        self.goals.push(Goal { request, runs: false });
        self.turns.push(Taken { request, at, done: None, turn: Turn::Stop });
    }

    /// What its turns come to; `backed_out` is when the platform went back from a release of it by itself. Who was asked
    /// for something else meanwhile may have done that.
    fn outlook(&self, backed_out: Option<u64>) -> Outlook {
        let nexts = self.turns.iter().skip(1).map(|next| next.at).chain([u64::MAX]);
        let turns = self
            .turns
            .iter()
            .zip(nexts)
            .map(|(taken, next)| (&taken.turn, taken.done.is_some_and(|done| done < next)));
        let mut outlook = Outlook::of(&self.first, turns);
        let is_canary = |taken: &&Taken| matches!(taken.turn, Turn::Canary(..));
        let last = self.turns.iter().rfind(is_canary).map(|taken| taken.at);
        if backed_out > last || !self.foreign.is_empty() {
            outlook.doubt();
        }
        outlook
    }
}

impl Wishes {
    /// Whether somebody asked for it.
    pub(super) fn is_asked(&self, request: RequestId) -> bool {
        self.asked.contains_key(&request)
    }

    fn accept(&mut self, request: RequestId, kind: &str, now: u64) {
        let Some(asked) = self.asked.get(&request) else { return };
        let (wish, at) = (asked.wish.clone(), asked.at);
        let by = |kind| (request, kind, now);
        match (wish, kind) {
            (Wish::Deploy { app, instance, replicas }, "deploy") => {
                let turn = Turn::Whole(self.newest(&app, at, now));
                self.of(named(&app, instance.as_ref())).run(by("deploy"), turn, replicas);
            }
            (Wish::Canary { app, share }, "deploy") => {
                let turn = Turn::Canary(self.newest(&app, at, now), share);
                self.of(named(&app, None)).run(by("deploy"), turn, None);
            }
            (Wish::Schedule { app, instance, .. }, "schedule") => {
                let releases = self.newest(&app, at, now);
                self.of(named(&app, instance.as_ref())).schedule(releases);
            }
            (Wish::Scale { instance, replicas }, "scale") => {
                let by = Some((request, "scale"));
                self.of(instance).counts.push(Count { replicas, by });
            }
            (Wish::Stop { instance }, "stop") => self.of(instance).stop(request, now),
            (Wish::Promote { instance }, "promote") => {
                self.of(instance).run(by("promote"), Turn::Promote, None);
            }
            (Wish::Rollback { instance }, "rollback") => {
                self.of(instance).run(by("rollback"), Turn::Back, None);
            }
            _ => {}
        }
    }

    fn of(&mut self, instance: LegacyName) -> &mut Accepted {
        self.instances.entry(instance).or_default()
    }

    /// The kind under which the app manager keeps what makes an instance run: a window of a schedule deploys.
    fn kind(&self, request: RequestId) -> &'static str {
        let asked = self.asked.get(&request);
        asked.and_then(|asked| asked.wish.kind()).unwrap_or("deploy")
    }

    /// The releases that may have been an app's newest one at a moment of this span.
    fn newest(&self, app: &AppName, from: u64, to: u64) -> Releases {
        let made = self.releases.get(app).map(Vec::as_slice).unwrap_or_default();
        let sure = made.iter().rposition(|made| made.done.is_some_and(|at| at < from));
        let possible = made.iter().enumerate().skip(sure.unwrap_or_default());
        let possible = possible.filter(|(_, made)| made.asked <= to);
        possible.map(|(nth, made)| (app.clone(), nth, made.number)).collect()
    }

    /// Whether a release is of a bundle.
    fn is_bundle(&self, app: &AppName, number: u32) -> bool {
        let mut made = self.releases.get(app).into_iter().flatten();
        made.any(|made| made.number == number && made.bundle)
    }

    /// What the wishes of an instance come to.
    fn wanted(&self, accepted: &Accepted, truth: &Truth, backed_out: Option<u64>) -> Wanted {
        let outlook = accepted.outlook(backed_out);
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
            return Wanted { runs: Some(false), is_certain: true, outlook, counts };
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
        Wanted { runs, is_certain, outlook, counts: counts(accepted, truth) }
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

pub(super) fn is_success(operation: &Operation) -> bool {
    matches!(operation.outcome, Some(Outcome::Succeeded { .. }))
}

fn succeeded(truth: &Truth, request: RequestId, service: ServiceName, kind: &str) -> bool {
    let path = path::operation(request, service, kind);
    operation(truth, &path).is_some_and(|operation| is_success(&operation))
}
