//! `GET /api/v1/instances` and one of them.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use common::failure::Failure;
use common::name::{AppName, LegacyName, UserName};
use common::record::deployment::{self, Deployment};
use common::record::instance::Instance;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};

use super::problems::ApiError;
use super::request::instance_name;
use crate::commands::Error;
use crate::context::Context;
use crate::domain::access::{Action, Ownership, Person};
use crate::domain::hints::hint;
use crate::records::{apps, instances};

/// How many deployments are read at once.
const AT_ONCE: usize = 32;

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
    let views: Vec<Value> = stream::iter(seen_by(&context, &person).await?)
        .map(|instance| async move {
            let deployment = instances::deployment(store, &instance.name).await?;
            Ok::<Value, ApiError>(view(&instance, deployment.as_ref()))
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
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
    Ok(HttpResponse::Ok().json(view(&instance, deployment.as_ref())))
}

/// What the user asked for, and how far it is.
fn view(instance: &Instance, deployment: Option<&Deployment>) -> Value {
    let replicas: Vec<Value> = deployment.map(replicas).unwrap_or_default();
    let failure = instance.failure.as_ref().map(|failure| failure_view(failure, deployment));
    json!({
        "name": instance.name,
        "app": instance.app,
        "release": instance.release,
        "owner": instance.owner,
        "state": instance.state,
        "step": deployment.and_then(step),
        "url": instance.url,
        "request_id": instance.request,
        "wanted_replicas": instance.replicas,
        "replicas": replicas,
        "failure": failure,
        "waiting_for": (!instance.owed.is_empty()).then_some("bus"),
        "created_at": instance.created_at,
        "updated_at": instance.updated_at,
    })
}

fn replicas(deployment: &Deployment) -> Vec<Value> {
    let one = |slot: &deployment::Slot| {
        let node = slot.place.as_ref().map(|place| &place.node);
        json!({ "slot": slot.number, "node": node, "state": shown(slot.state) })
    };
    deployment.slots.iter().map(one).collect()
}

/// A replica's state as people see it: ready is what the edge serves.
fn shown(state: deployment::SlotState) -> &'static str {
    use deployment::SlotState as S;
    match state {
        S::Asked => "asked",
        S::Placed => "placed",
        S::Started => "started",
        S::Ready => "healthy",
        S::Routed => "ready",
        S::Leaving | S::Drained => "leaving",
    }
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
