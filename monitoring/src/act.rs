//! One step at a time: what was decided, and everything that is owed for it, in one transaction.
//!
//! Every step may be repeated: a record that says already what it should is left alone.

use chassis::leading::Error;
use chassis::records::{self as stored, Stored};
use common::id::RequestId;
use common::port::store::{Op, Version};

use crate::alerts;
use crate::domain::plan::{Done, Step};
use crate::domain::target::Target;
use crate::domain::verdict::Verdict;
use crate::records::{
    Incident, Phase, TargetRecord, budget, budget_path, incident, incident_path, target,
    target_path,
};
use crate::shared::Shared;

/// Writes one step down.
pub(crate) async fn carry_out(shared: &Shared, step: &Step) -> Result<Done, Error> {
    match step {
        Step::Pronounce { target, verdict, why } => pronounce(shared, target, *verdict, why).await,
        Step::Open { target, why } => open(shared, target, why).await,
        Step::Restart { target, number } => restart(shared, target, *number).await,
        Step::Close { target } => close(shared, target).await,
        Step::Calm { target } => calm(shared, target).await,
        Step::Forget { target } => forget(shared, target).await,
    }
}

/// The target's record; one that was never written is new.
async fn record_of(shared: &Shared, of: &Target) -> Result<(TargetRecord, Option<Version>), Error> {
    Ok(match target(shared, of).await? {
        Some(Stored { record, version }) => (record, Some(version)),
        None => (TargetRecord::new(of.clone(), shared.ports.clock.now()), None),
    })
}

fn put(record: &TargetRecord, version: Option<Version>) -> Op {
    stored::put(target_path(&record.target), record, version)
}

async fn pronounce(
    shared: &Shared,
    of: &Target,
    verdict: Verdict,
    why: &str,
) -> Result<Done, Error> {
    let (mut record, version) = record_of(shared, of).await?;
    if record.verdict == verdict {
        return Ok(Done::Recorded);
    }
    record.verdict = verdict;
    why.clone_into(&mut record.why);
    record.since = shared.ports.clock.now();
    shared.seat.commit(vec![put(&record, version)]).await?;
    tracing::info!(
        target.kind = of.kind_name(),
        target.name = of.name(),
        verdict = verdict.as_str(),
        why,
        "a verdict changed"
    );
    Ok(Done::Recorded)
}

async fn open(shared: &Shared, of: &Target, why: &str) -> Result<Done, Error> {
    let (mut record, version) = record_of(shared, of).await?;
    if let Some(open) = record.incident {
        return Ok(Done::Opened(open));
    }
    let id = RequestId(shared.ports.entropy.uuid());
    let opened_at = shared.ports.clock.now();
    let mut opened = Incident {
        schema: 1,
        id,
        target: of.clone(),
        text: why.to_owned(),
        opened_at,
        closed_at: None,
        restarts: 0,
        owed: Vec::new(),
        notices: Vec::new(),
    };
    owe(shared, &mut opened, Phase::Opened);
    record.incident = Some(id);
    let made = stored::put(incident_path(id), &opened, None);
    shared.seat.commit(vec![put(&record, version), made]).await?;
    tracing::warn!(target.kind = of.kind_name(), target.name = of.name(), incident.id = %id, why, "an incident is open");
    shared.dues_wake.wake(id);
    Ok(Done::Opened(id))
}

/// What everybody is to be told of this phase. Receivers are not told where too much is owed already.
fn owe(shared: &Shared, incident: &mut Incident, phase: Phase) {
    incident.owed.extend(alerts::messages(incident, phase));
    let receivers = &shared.config.receivers;
    if shared.may_owe_notices(receivers.len()) {
        let now = shared.ports.clock.now();
        incident.notices.extend(alerts::notices(incident, phase, receivers, now));
    } else {
        shared.metrics.notices_ended("dropped", receivers.len());
        tracing::error!(incident.id = %incident.id, "too many notices are owed; no receiver is told of this incident");
    }
}

async fn restart(shared: &Shared, of: &Target, number: u32) -> Result<Done, Error> {
    let (mut record, version) = record_of(shared, of).await?;
    if record.restarts >= number {
        return Ok(Done::Recorded);
    }
    let Some(id) = record.incident else { return Ok(Done::PutOff) };
    let Some(Stored { record: mut open, version: at }) = incident(shared, id).await? else {
        return Ok(Done::PutOff);
    };
    let Some(asking) = alerts::restart(id, of, number).filter(|_| !open.owes_restart()) else {
        return Ok(Done::PutOff);
    };
    let (mut spent, spent_at) = match budget(shared).await? {
        Some(Stored { record, version }) => (record, Some(version)),
        None => Default::default(),
    };
    spent.spend(shared.ports.clock.now(), shared.config.limit.restarts);
    record.restarts = number;
    open.restarts += 1;
    open.owed.push(asking);
    let changes = vec![
        put(&record, version),
        stored::put(incident_path(id), &open, Some(at)),
        stored::put(budget_path(), &spent, spent_at),
    ];
    shared.seat.commit(changes).await?;
    shared.metrics.restarts.with_label_values(&[of.kind_name()]).inc();
    tracing::warn!(target.kind = of.kind_name(), target.name = of.name(), incident.id = %id, number, "a restart is asked for");
    shared.dues_wake.wake(id);
    Ok(Done::Recorded)
}

async fn close(shared: &Shared, of: &Target) -> Result<Done, Error> {
    let (mut record, version) = record_of(shared, of).await?;
    let Some(id) = record.incident.take() else { return Ok(Done::Recorded) };
    let mut changes = vec![put(&record, version)];
    changes.extend(ended(shared, id).await?);
    shared.seat.commit(changes).await?;
    tracing::info!(target.kind = of.kind_name(), target.name = of.name(), incident.id = %id, "an incident is over");
    shared.dues_wake.wake(id);
    Ok(Done::Recorded)
}

/// The end of an incident. A restart that nobody was told of yet is not asked for any more.
async fn ended(shared: &Shared, id: RequestId) -> Result<Option<Op>, Error> {
    let Some(Stored { record: mut open, version }) = incident(shared, id).await? else {
        return Ok(None);
    };
    if open.closed_at.is_some() {
        return Ok(None);
    }
    open.closed_at = Some(shared.ports.clock.now());
    open.withdraw_restarts();
    owe(shared, &mut open, Phase::Closed);
    Ok(Some(stored::put(incident_path(id), &open, Some(version))))
}

async fn calm(shared: &Shared, of: &Target) -> Result<Done, Error> {
    let (mut record, version) = record_of(shared, of).await?;
    if record.restarts > 0 {
        record.restarts = 0;
        shared.seat.commit(vec![put(&record, version)]).await?;
    }
    Ok(Done::Recorded)
}

async fn forget(shared: &Shared, of: &Target) -> Result<Done, Error> {
    let Some(Stored { record, version }) = target(shared, of).await? else {
        return Ok(Done::Recorded);
    };
    let mut changes = vec![Op::Delete { path: target_path(of), version }];
    if let Some(id) = record.incident {
        changes.extend(ended(shared, id).await?);
    }
    shared.seat.commit(changes).await?;
    tracing::info!(
        target.kind = of.kind_name(),
        target.name = of.name(),
        "it is not there to be looked at any more"
    );
    if let Some(id) = record.incident {
        shared.dues_wake.wake(id);
    }
    Ok(Done::Recorded)
}
