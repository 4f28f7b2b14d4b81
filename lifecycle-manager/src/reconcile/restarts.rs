//! Restarts that were asked for: begun if they may, carried out step by step, answered once.

mod work;

use std::time::Duration;

use async_trait::async_trait;
use chassis::owed;
use chassis::reconcile::{Outcome, Reconcile};
use chassis::records::{self, Stored};
use common::failure::{Failure, FailureCode};
use common::name::PartName;
use common::port::store::{Op, Version};
use common::record::path;
use jiff::Timestamp;

use super::SOON;
use crate::answers::{self, Ending};
use crate::domain::brake::Count;
use crate::domain::restart::{Asker, Decision, Facts, decide};
use crate::domain::target::{Family, Target};
use crate::domain::waits::elapsed;
use crate::fleet;
use crate::records::{
    Asked, Budget, Error, Restart, Stage, Work, budget_path, commit, load, restart_path, restarts,
    save, written,
};
use crate::shared::Shared;

/// The reconciler of restarts.
#[derive(Debug)]
pub(crate) struct Restarts<'a>(pub(crate) &'a Shared);

/// A target's record as it was read.
pub(super) struct Known {
    pub(super) restart: Restart,
    pub(super) version: Version,
}

#[async_trait]
impl Reconcile for Restarts<'_> {
    type Key = Target;
    type Error = Error;

    async fn keys(&self) -> Result<Vec<Target>, Error> {
        let mut targets = Vec::new();
        for family in Family::ALL {
            let names = self.0.ports.store.children(&restarts(family)).await?;
            targets.extend(names.iter().filter_map(|name| family.target(name)));
        }
        Ok(targets)
    }

    async fn reconcile(&self, target: &Target) -> Result<Outcome, Error> {
        let stored = load::<Restart>(self.0, &restart_path(target)).await?;
        let Some(Stored { record: restart, version }) = stored else {
            return Ok(Outcome::Settled);
        };
        let known = self.pay(Known { restart, version }).await?;
        if !self.0.is_settled() {
            return Ok(Outcome::Again(SOON));
        }
        match known.restart.stage.clone() {
            Stage::Underway { since, work } => self.go_on(known, since, work).await,
            Stage::Idle => match known.restart.waiting.first() {
                None => Ok(Outcome::Settled),
                Some(first) => {
                    let since = first.at;
                    self.begin(known, since).await
                }
            },
        }
    }
}

impl Restarts<'_> {
    /// Says what is owed. A crash before it is written down says it again under the same ids.
    async fn pay(&self, mut known: Known) -> Result<Known, Error> {
        if known.restart.owed.is_empty() {
            return Ok(known);
        }
        owed::publish(self.0.ports.bus.as_ref(), &known.restart.owed).await?;
        known.restart.owed.clear();
        self.saved(known).await
    }

    pub(super) async fn saved(&self, known: Known) -> Result<Known, Error> {
        let Known { restart, version } = known;
        let path = restart_path(&restart.target);
        let version = save(self.0, &path, &restart, Some(version)).await?;
        Ok(Known { restart, version })
    }

    async fn begin(&self, known: Known, since: Timestamp) -> Result<Outcome, Error> {
        let target = known.restart.target.clone();
        let now = self.0.ports.clock.now();
        let since = since.max(self.settled_at(now));
        let asker = asker(&known.restart);
        // Every restart that begins writes it: who has read it first sees all that began before, or begins anew.
        let (budget, budget_at) = budget(self.0).await?;
        let counts = matches!(target.family(), Family::Services | Family::Nodes);
        let facts = Facts {
            since,
            number: known.restart.number,
            last: known.restart.last,
            asker,
            asked_at_once: asked_at_once(self.0, target.family(), known.restart.asked).await?,
            braked: target.brake().is_some_and(|kind| self.0.brake(kind).holds()),
            is_next: self.is_next(&target, asker).await?,
            spent: if counts { &budget.spent } else { &[] },
            now,
        };
        match decide(&facts, &self.0.config.restart) {
            Decision::Wait(left) => Ok(Outcome::Again(left)),
            Decision::Refuse(failure) => self.conclude(known, Err(failure)).await,
            Decision::Begin { number } => match self.work_for(&known.restart, asker).await? {
                Ok(work) => {
                    let budget = counts.then_some((budget, budget_at));
                    self.started(known, (number, work), budget).await
                }
                Err(failure) => self.conclude(known, Err(failure)).await,
            },
        }
    }

    /// Writes down that it begins, with what it takes from the budget of all.
    async fn started(
        &self,
        known: Known,
        (number, work): (u32, Work),
        budget: Option<(Budget, Option<Version>)>,
    ) -> Result<Outcome, Error> {
        let Known { mut restart, version } = known;
        let target = restart.target.clone();
        let now = self.0.ports.clock.now();
        tracing::warn!(%target, number, "a restart begins");
        self.0.metrics.restarts.with_label_values(&[target.family().as_str()]).inc();
        restart.number = number;
        restart.last = Some(now);
        restart.failure = None;
        if let Work::Deployment { instance, request } = &work {
            restart.owed.push(work::deploy(instance, *request));
        }
        restart.stage = Stage::Underway { since: now, work };
        let mut changes = vec![records::put(restart_path(&target), &restart, Some(version))];
        if let Some((mut budget, at)) = budget {
            self.0.config.restart.limit.spend(&mut budget.spent, now);
            changes.push(records::put(budget_path(), &budget, at));
        }
        commit(self.0, changes).await?;
        Ok(Outcome::Again(Duration::ZERO))
    }

    /// Who has just begun to lead has not read yet what came with a request.
    fn settled_at(&self, now: Timestamp) -> Timestamp {
        let led_for = self.0.seat.led_for().unwrap_or_default();
        let settled_for = led_for.saturating_sub(self.0.config.window);
        now.saturating_sub(settled_for).unwrap_or(now)
    }

    /// Whether a machine is to be restarted, and the restart of another one has not ended yet. What a program asks for beside
    /// a machine that is away is refused later.
    async fn is_next(&self, target: &Target, asker: Asker) -> Result<bool, Error> {
        let Target::Node(node) = target else { return Ok(false) };
        if fleet::another_is_asked_for(self.0, node).await? {
            return Ok(true);
        }
        Ok(asker == Asker::Operator && fleet::another_boots(self.0, node).await?)
    }

    /// Ends all requests that wait, in one transaction with what is owed for them.
    pub(super) async fn conclude(
        &self,
        known: Known,
        result: Result<(), Failure>,
    ) -> Result<Outcome, Error> {
        let known = self.concluded(known, result).await?;
        self.pay(known).await?;
        Ok(Outcome::Settled)
    }

    /// The same, and what is owed is said later.
    pub(super) async fn concluded(
        &self,
        known: Known,
        result: Result<(), Failure>,
    ) -> Result<Known, Error> {
        let Known { mut restart, version } = known;
        let target = restart.target.clone();
        match &result {
            Ok(()) => tracing::info!(%target, "it was restarted"),
            Err(failure) => tracing::warn!(%target, %failure, "it was not restarted"),
        }
        self.0.metrics.restart_ended(target.family(), &result);
        let details = work::details(&restart.stage);
        let mut changes: Vec<Op> = Vec::new();
        for Asked { request, by, name, .. } in std::mem::take(&mut restart.waiting) {
            let (verb, kind) = (target.verb(), target.kind());
            let ending = Ending { request, by, verb, text: &name, kind };
            let (operation, owed) =
                answers::end(self.0, &ending, &result, details.as_ref()).await?;
            changes.extend(operation);
            restart.owed.extend(owed);
        }
        restart.stage = Stage::Idle;
        restart.failure = result.err();
        changes.insert(0, records::put(restart_path(&target), &restart, Some(version)));
        let done = commit(self.0, changes).await?;
        let version = done.first().and_then(written).ok_or(records::Error::Changed)?;
        Ok(Known { restart, version })
    }
}

/// When restarts were. Every restart that begins writes it, whoever wants it.
pub(super) async fn budget(shared: &Shared) -> Result<(Budget, Option<Version>), Error> {
    Ok(match load::<Budget>(shared, &budget_path()).await? {
        Some(Stored { record, version }) => (record, Some(version)),
        None => (Budget { schema: 1, ..Budget::default() }, None),
    })
}

fn asker(restart: &Restart) -> Asker {
    if restart.is_an_operators() { Asker::Operator } else { Asker::Program }
}

/// How many of a family programs have asked for of late, of those that there are. Apps are not counted: the deployment
/// manager never stops one before the next is ready. One that was asked for at `with` counts what was asked for about then
/// too: it may be its turn only when that is long ago, as its leader died, or the clock jumped.
pub(super) async fn asked_at_once(
    shared: &Shared,
    family: Family,
    with: Option<Timestamp>,
) -> Result<Count, Error> {
    let store = shared.ports.store.as_ref();
    let known = match family {
        Family::Apps | Family::Models => return Ok(Count::default()),
        Family::Nodes => fleet::names(shared).await?.len(),
        // Besides those that are placed there are the lifecycle manager and the platform initializer.
        Family::Services => store.children(&path::folder("platform/services")).await?.len() + 2,
    };
    let together = shared.config.together;
    let now = shared.ports.clock.now();
    let is_about =
        |one: Timestamp, other| elapsed(one, other) < together && elapsed(other, one) < together;
    let mut bad = 0;
    for name in store.children(&restarts(family)).await? {
        let Some(target) = family.target(&name) else { continue };
        let stored = load::<Restart>(shared, &restart_path(&target)).await?;
        let asked = stored.and_then(|stored| stored.record.asked);
        let counts =
            |at| elapsed(at, now) < together || with.is_some_and(|with| is_about(at, with));
        bad += usize::from(asked.is_some_and(counts));
    }
    Ok(Count { bad, known })
}

/// `missing`: what is not, where that is known.
fn late(within: Duration, missing: &[PartName]) -> Failure {
    let seconds = within.as_secs();
    let missing: Vec<&str> = missing.iter().map(PartName::as_str).collect();
    let message = if missing.is_empty() {
        format!("it was not ready again within {seconds} s")
    } else {
        let missing = missing.join(", ");
        format!("it was not ready again within {seconds} s; not back or not ready: {missing}")
    };
    Failure::new(FailureCode::DeadlineExceeded, message)
}
