//! Ill replicas of a route get no requests, and those that are found well get them again: records which, and why, and which
//! were started again. Nobody waits for it; the edge's table follows the record.

use chassis::records::{self, Stored};
use common::name::LegacyName;
use common::port::edge::Upstream;
use common::record::course::{Decision, DecisionKind};
use common::record::path;
use common::record::route::{Route, RouteGoal};

use super::{ATTEMPTS, Error};
use crate::domain::illness::{Pace, why};
use crate::domain::restarts::{self, Restart};
use crate::reconcile::RouteKey;
use crate::records::{commit, route};
use crate::shared::Shared;

/// Decides on what stands, by what is known now.
pub(crate) async fn run(shared: &Shared, instance: &LegacyName) -> Result<(), Error> {
    for _ in 0..ATTEMPTS {
        match try_run(shared, instance).await {
            Err(err) if err.is_changed() => shared.ports.store.sync().await?,
            done => return done,
        }
    }
    Err(records::Error::Changed.into())
}

async fn try_run(shared: &Shared, instance: &LegacyName) -> Result<(), Error> {
    let found = route(&*shared.ports.store, instance).await?;
    let served = found.filter(|stored| stored.record.goal == RouteGoal::Served);
    let Some(Stored { mut record, version }) = served else { return Ok(()) };
    let decisions = decide(shared, &mut record);
    for decision in decisions.iter().cloned() {
        record.decided(decision);
    }
    let told = told(shared, &record);
    let restarted = restarts::take_in(&mut record, &told);
    if !decisions.is_empty() || !restarted.is_empty() {
        commit(shared, vec![records::put(path::route(instance), &record, Some(version))]).await?;
    }
    noted(shared, &told);
    for Decision { kind, reason, .. } in decisions.iter().chain(&restarted) {
        tracing::warn!(instance.name = %instance, ?kind, "the replicas that get requests: {reason}");
    }
    if !decisions.is_empty() {
        shared.table_changed();
    }
    if !restarted.is_empty() {
        shared.route_wake.wake(RouteKey::Route(instance.clone()));
    }
    Ok(())
}

/// Which replicas of a route agents started again, the last time of each.
fn told(shared: &Shared, route: &Route) -> Vec<Restart> {
    let (now, complaints) = (shared.up_for(), shared.complaints());
    let restart = |upstream: &Upstream| {
        let ended = complaints.ended(upstream.address(), now)?;
        Some(Restart { upstream: upstream.clone(), ended })
    };
    route.upstreams.iter().filter_map(restart).collect()
}

/// They stand in the record.
fn noted(shared: &Shared, told: &[Restart]) {
    let mut complaints = shared.complaints();
    for Restart { upstream, ended } in told {
        complaints.noted(upstream.address(), *ended);
    }
}

/// Changes what is left out, and says so of each replica.
fn decide(shared: &Shared, route: &mut Route) -> Vec<Decision> {
    let (at, now) = (shared.ports.clock.now(), shared.up_for());
    let pace = Pace::of(&route.decisions, at);
    let complaints = shared.complaints();
    let ill = complaints.left_out(&route.upstreams, &route.ill, pace, now);
    let decision = |upstream: &Upstream| {
        let address = upstream.address();
        let kind = match (route.ill.contains(&address), ill.contains(&address)) {
            (false, true) => DecisionKind::LeftOut,
            (true, false) => DecisionKind::PutBack,
            (true, true) | (false, false) => return None,
        };
        Some(Decision { at, kind, reason: why(upstream, kind, complaints.state(address, now)) })
    };
    let decisions = route.upstreams.iter().filter_map(decision).collect();
    route.ill = ill;
    decisions
}
