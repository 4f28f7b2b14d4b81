//! `GET /api/v1/instances/{name}/decisions`: why an instance has as many replicas as it has.
//!
//! The load balancer decides, and writes why beside the number; here it is shown to those who may see the instance.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use chassis::records;
use common::record::path;
use common::record::scale::{Decision, Scale, Scaling};
use serde_json::{Value, json};

use super::instances::one;
use super::problems::ApiError;
use super::request::instance_name;
use crate::context::Context;
use crate::domain::access::{Action, Person};
use crate::records::{apps, instances};

pub(super) async fn show(
    context: Data<Context>,
    person: Person,
    name: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let name = instance_name(&name)?;
    let instance = one(&context, &person, &name, Action::SeeInstances).await?;
    let store = context.ports.store.as_ref();
    let deployment = instances::deployment(store, &name).await?;
    let scale = records::load::<Scale>(store, &path::scale(&name)).await?;
    let scale = scale.map(|stored| stored.record);
    // What was decided before the instance was deployed anew says nothing of it.
    let scale = scale.filter(|scale| deployment.as_ref().is_some_and(|of| scale.is_for(of)));
    let serving = deployment.as_ref().and_then(|deployment| deployment.serving.as_ref());
    let number = serving.map_or(instance.release, |serving| serving.release);
    let release = apps::release(store, &instance.app, number).await?;
    let scaling = release.and_then(|release| release.release.scaling);
    let decisions = scale.as_ref().map(|scale| scale.decisions.as_slice()).unwrap_or_default();
    Ok(HttpResponse::Ok().json(json!({
        "instance": name,
        "wanted_replicas": scale.as_ref().map_or(instance.replicas, |scale| scale.replicas),
        "scaling": scaling.as_ref().map(scaling_view),
        "decisions": decisions.iter().rev().map(decision_view).collect::<Vec<_>>(),
    })))
}

/// The bounds under the names that an app says them by.
pub(super) fn scaling_view(scaling: &Scaling) -> Value {
    let Scaling { min, max, cpu_percent, memory_percent, cooldown_seconds } = scaling;
    json!({
        "min": min,
        "max": max,
        "cpu": cpu_percent,
        "memory": memory_percent,
        "cooldown": cooldown_seconds,
    })
}

fn decision_view(decision: &Decision) -> Value {
    let Decision { at, from, to, kind, reason, load, fruitless: _ } = decision;
    json!({ "at": at, "from": from, "to": to, "kind": kind, "reason": reason, "load": load })
}
