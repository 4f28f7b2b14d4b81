//! `scale app$<instance>$<n>`: records the wanted number of replicas. The deployment manager makes
//! it so; the scale reconciler tells how it ended.

use chassis::operations::{Acceptance, Request, conclude};
use chassis::records::{self, Stored};
use common::id::Generation;
use common::message::LoadBalancerCommand;
use common::name::LegacyName;
use common::port::store::{Op, Path};
use common::record::operation::Outcome;
use common::record::owed::Owed;
use common::record::path;
use common::record::scale::{Decision, DecisionKind, Scale};
use common::service::ServiceName;

use super::inbox::{accept, accept_ended};
use super::{ATTEMPTS, Error, outcome};
use crate::domain::balance::{known, words};
use crate::domain::scale;
use crate::reconcile::balance;
use crate::records::{deployment, scale as load_scale};
use crate::shared::Shared;

pub(super) async fn run(
    shared: &Shared,
    request: &Request,
    instance: &LegacyName,
    replicas: u32,
) -> Result<Acceptance, Error> {
    for _ in 0..ATTEMPTS {
        match try_run(shared, request, instance, replicas).await {
            Err(err) if err.is_changed() => {}
            done => return done,
        }
    }
    Err(records::Error::Changed.into())
}

async fn try_run(
    shared: &Shared,
    request: &Request,
    instance: &LegacyName,
    replicas: u32,
) -> Result<Acceptance, Error> {
    let store = &*shared.ports.store;
    store.sync().await?;
    let deployment = deployment(store, instance).await?;
    let most = shared.config.max_replicas;
    let scaling = match &deployment {
        Some(deployment) => balance::bounds(shared, deployment).await?,
        None => None,
    };
    let scaling = scaling.map(|described| (described.at(shared.ports.clock.now()).0, described.by));
    if let Some(failure) = scale::refusal(replicas, most, deployment.as_ref(), scaling) {
        shared.metrics.scales.with_label_values(&["failed"]).inc();
        return accept_ended(shared, request, Outcome::Failed { failure, details: None }).await;
    }
    let standing = load_scale(store, instance).await?;
    let known = standing.as_ref().map(|stored| &stored.record);
    let known = known.filter(|scale| deployment.as_ref().is_some_and(|of| scale.is_for(of)));
    let pinned = balance::pinned(shared, instance).await?;
    let mut new = Scale {
        schema: 1,
        instance: instance.clone(),
        replicas,
        generation: Generation(1),
        deployment: deployment.as_ref().map(|deployment| deployment.generation).unwrap_or_default(),
        request: request.id,
        owed: Vec::new(),
        decisions: known.map(|scale| scale.decisions.clone()).unwrap_or_default(),
    };
    new.decided(Decision {
        at: shared.ports.clock.now(),
        from: known::wanted(known, pinned, most),
        to: replicas,
        kind: DecisionKind::Asked,
        reason: words::asked(request.id, replicas),
        load: None,
        fruitless: 0,
    });
    let mut changes = Vec::new();
    if let Some(Stored { record: old, .. }) = &standing {
        new.generation = old.generation.next();
        new.owed.clone_from(&old.owed);
        changes.extend(supersede(shared, old, &mut new).await?);
    }
    let version = standing.map(|stored| stored.version);
    changes.push(records::put(path::scale(instance), &new, version));
    let accepted = accept(shared, request, changes).await?;
    shared.scale_wake.wake(instance.clone());
    shared.balance_wake.wake(instance.clone());
    Ok(accepted)
}

/// An older scale that is still under way ends here.
async fn supersede(shared: &Shared, old: &Scale, new: &mut Scale) -> Result<Option<Op>, Error> {
    let end = Outcome::Superseded;
    let ended = conclude(&*shared.ports.store, &operation(old), end.clone()).await?;
    if ended.is_some() {
        shared.metrics.scales.with_label_values(&["superseded"]).inc();
        new.owed.push(outcome::told(old.request, &command(old), &end));
    }
    Ok(ended)
}

/// Where the request of a scale is remembered.
pub(crate) fn operation(scale: &Scale) -> Path {
    path::operation(scale.request, ServiceName::LoadBalancer, command(scale).kind())
}

/// The command that a scale was accepted from.
pub(crate) fn command(scale: &Scale) -> LoadBalancerCommand {
    LoadBalancerCommand::Scale { instance: scale.instance.clone(), replicas: scale.replicas }
}

/// The message that tells how a scale ended.
pub(crate) fn told(scale: &Scale, end: &Outcome) -> Owed {
    outcome::told(scale.request, &command(scale), end)
}
