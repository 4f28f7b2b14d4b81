//! `GET /api/v1/instances` and one of them.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use common::failure::Failure;
use common::name::{AppName, LegacyName, UserName};
use common::port::routes::Visitors;
use common::record::deployment::{self, Deployment};
use common::record::instance::Instance;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::problems::ApiError;
use super::replicas::{self, Measured};
use super::request::instance_name;
use crate::commands::Error;
use crate::context::Context;
use crate::domain::access::{Action, Ownership, Person};
use crate::domain::hints::hint;
use crate::records::{apps, instances};

/// How many deployments are read at once.
const AT_ONCE: usize = 32;
/// How long an answer waits for what visitors ask: it is shown where it is there.
const TRAFFIC_WITHIN: Duration = Duration::from_secs(1);

/// The instances that a person may see, by name.
pub(super) async fn seen_by(context: &Context, person: &Person) -> Result<Vec<Instance>, ApiError> {
    let store = context.ports.store.as_ref();
    let apps = apps::all(store).await?;
    let owners: BTreeMap<AppName, UserName> =
        apps.into_iter().map(|app| (app.name, app.owner)).collect();
    let all = instances::all(store).await?.into_iter().map(|stored| stored.record);
    let is_seen = |instance: &Instance| {
        let ownership = Ownership { owner: &instance.owner, app_owner: owners.get(&instance.app) };
        person.may(Action::SeeInstances, ownership)
    };
    Ok(all.filter(is_seen).collect())
}

/// An instance to which a person may do this.
pub(super) async fn one(
    context: &Context,
    person: &Person,
    name: &LegacyName,
    action: Action,
) -> Result<Instance, ApiError> {
    let store = context.ports.store.as_ref();
    let stored = instances::load(store, name).await?.ok_or(Error::InstanceUnknown)?;
    let instance = stored.record;
    let app = apps::load(store, &instance.app).await?;
    let app_owner = app.as_ref().map(|app| &app.record.owner);
    if person.may(action, Ownership { owner: &instance.owner, app_owner }) {
        Ok(instance)
    } else {
        Err(Error::InstanceUnknown.into())
    }
}

pub(super) async fn list(context: Data<Context>, person: Person) -> Result<HttpResponse, ApiError> {
    let store = context.ports.store.as_ref();
    let seen: Vec<(Instance, Option<Deployment>)> = stream::iter(seen_by(&context, &person).await?)
        .map(|instance| async move {
            let deployment = instances::deployment(store, &instance.name).await?;
            Ok::<_, ApiError>((instance, deployment))
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let deployments = seen.iter().filter_map(|(_, deployment)| deployment.as_ref());
    let told = told(&context, deployments).await?;
    let views: Vec<Value> = seen
        .iter()
        .map(|(instance, deployment)| view(instance, deployment.as_ref(), &told))
        .collect();
    Ok(HttpResponse::Ok().json(views))
}

pub(super) async fn show(
    context: Data<Context>,
    person: Person,
    name: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let name = instance_name(&name)?;
    let instance = one(&context, &person, &name, Action::SeeInstances).await?;
    let deployment = instances::deployment(context.ports.store.as_ref(), &name).await?;
    let told = told(&context, deployment.iter()).await?;
    Ok(HttpResponse::Ok().json(view(&instance, deployment.as_ref(), &told)))
}

/// What others say of instances now.
struct Told {
    measured: Measured,
    /// Of those that are served; nothing while nobody counts.
    visitors: BTreeMap<LegacyName, Visitors>,
}

async fn told<'a>(
    context: &Context,
    deployments: impl Iterator<Item = &'a Deployment>,
) -> Result<Told, ApiError> {
    let asked = timeout(TRAFFIC_WITHIN, context.ports.routes.visitors());
    let (measured, visitors) = futures::join!(replicas::measure(context, deployments), asked);
    let visitors = visitors.ok().and_then(Result::ok).unwrap_or_default();
    Ok(Told { measured: measured?, visitors })
}

/// What the user asked for, and how far it is.
fn view(instance: &Instance, deployment: Option<&Deployment>, told: &Told) -> Value {
    let replicas = deployment.map(|deployment| replicas::views(deployment, &told.measured));
    let serving = deployment.and_then(|deployment| deployment.serving.as_ref());
    let failure = instance.failure.as_ref().or_else(|| since_then(deployment?));
    let failure = failure.map(|failure| failure_view(failure, deployment));
    json!({
        "name": instance.name,
        "app": instance.app,
        "release": instance.release,
        "serving": serving.map(|serving| serving.release),
        "owner": instance.owner,
        "state": instance.state,
        "step": deployment.and_then(step),
        "url": instance.url,
        "request_id": instance.request,
        "wanted_replicas": instance.replicas,
        "replicas": replicas.unwrap_or_default(),
        "canary": deployment.and_then(canary_view),
        "traffic": told.visitors.get(&instance.name),
        "failure": failure,
        "waiting_for": (!instance.owed.is_empty()).then_some("bus"),
        "created_at": instance.created_at,
        "updated_at": instance.updated_at,
    })
}

fn canary_view(deployment: &Deployment) -> Option<Value> {
    let canary = deployment.canary.as_ref()?;
    Some(json!({
        "release": deployment.release,
        "share": canary.share,
        "promoted": canary.promoted,
    }))
}

/// How far the deployment manager is, while it is at work.
fn step(deployment: &Deployment) -> Option<deployment::State> {
    use deployment::State as S;
    match deployment.state {
        S::Accepted
        | S::Placing
        | S::Building
        | S::Starting
        | S::Routing
        | S::Undoing
        | S::Stopping => Some(deployment.state),
        S::Running | S::Failed | S::Stopped | S::Removed => None,
    }
}

/// What went wrong with a deployment that was said to run.
fn since_then(deployment: &Deployment) -> Option<&Failure> {
    deployment.failure.as_ref().filter(|_| deployment.state == deployment::State::Running)
}

/// The message that told of a failure is one line; the app's last words stand in the deployment.
fn failure_view(failure: &Failure, deployment: Option<&Deployment>) -> Value {
    let same = deployment
        .and_then(|deployment| deployment.failure.as_ref())
        .filter(|other| other.code == failure.code);
    let output = if failure.output.is_empty() { same.map(|same| &same.output) } else { None };
    json!({
        "code": failure.code,
        "message": failure.message,
        "hint": hint(failure.code),
        "output": output.unwrap_or(&failure.output),
    })
}
