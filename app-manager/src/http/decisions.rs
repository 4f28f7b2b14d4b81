//! `GET /api/v1/instances/{name}/decisions`: why an instance has as many replicas as it has, and what was
//! decided of its releases, places and ill replicas.
//!
//! The load balancer decides of the number and of ill replicas, the deployment manager of the rest, and each writes why; here it is shown to those who may see the instance.

use std::cmp::Reverse;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use chassis::records;
use common::record::course::Decision as Turn;
use common::record::deployment::Deployment;
use common::record::path;
use common::record::release::Release;
use common::record::route::Route;
use common::record::scale::{Decision, Hours, Scale, Scaling, UsualBounds};
use jiff::civil::Time;
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
    let route = records::load::<Route>(store, &path::route(&name)).await?;
    let route = route.map(|stored| stored.record);
    // What was decided before the instance was deployed anew says nothing of it.
    let scale = scale.filter(|scale| deployment.as_ref().is_some_and(|of| scale.is_for(of)));
    let serving = deployment.as_ref().and_then(|deployment| deployment.serving.as_ref());
    let number = serving.map_or(instance.release, |serving| serving.release);
    let release = apps::release(store, &instance.app, number).await?;
    let said = release.as_ref().and_then(|release| bounds_view(&release.release));
    let usual = match (&release, &said) {
        (Some(_), None) => records::load::<UsualBounds>(store, &path::usual_bounds()).await?,
        (_, _) => None,
    };
    // The load balancer goes by the same.
    let usual = usual.map(|usual| scaling_view(&usual.record.of(instance.replicas)));
    let decisions = scale.as_ref().map(|scale| scale.decisions.as_slice()).unwrap_or_default();
    let mut view = json!({
        "instance": name,
        "wanted_replicas": scale.as_ref().map_or(instance.replicas, |scale| scale.replicas),
        "scaling": said.as_ref().or(usual.as_ref()),
        "decisions": decisions.iter().rev().map(decision_view).collect::<Vec<_>>(),
        "course": course(deployment.as_ref(), route.as_ref()),
    });
    if usual.is_some() {
        put(&mut view, "scaling_by", json!("platform"));
    }
    Ok(HttpResponse::Ok().json(view))
}

/// The newest first, whoever decided.
fn course<'a>(deployment: Option<&'a Deployment>, route: Option<&'a Route>) -> Vec<&'a Turn> {
    let of_deployment = deployment.into_iter().flat_map(|one| &one.decisions);
    let of_route = route.into_iter().flat_map(|one| one.decisions.iter().chain(&one.restarts));
    let mut turns: Vec<&Turn> = of_deployment.chain(of_route).collect();
    turns.reverse();
    turns.sort_by_key(|turn| Reverse(turn.at));
    turns
}

/// What a release says of the number of its replicas, if anything.
pub(super) fn bounds_view(release: &Release) -> Option<Value> {
    let mut view = scaling_view(release.scaling.as_ref()?);
    if !release.hours.is_empty() {
        put(&mut view, "schedule", release.hours.iter().map(hours_view).collect());
    }
    Some(view)
}

fn put(view: &mut Value, key: &str, value: Value) {
    if let Value::Object(fields) = view {
        fields.insert(key.to_owned(), value);
    }
}

fn hours_view(hours: &Hours) -> Value {
    let Hours { days, from, to, zone, min, max } = hours;
    let minute = |time: &Time| time.strftime("%H:%M").to_string();
    let mut view = json!({
        "days": days, "from": minute(from), "to": minute(to), "zone": zone, "min": min,
    });
    if let Some(max) = max {
        put(&mut view, "max", json!(max));
    }
    view
}

/// The bounds under the names that an app says them by.
fn scaling_view(scaling: &Scaling) -> Value {
    let Scaling {
        min,
        max,
        cpu_percent,
        memory_percent,
        requests_per_second,
        latency_ms,
        cooldown_seconds,
        idle_seconds,
    } = scaling;
    let mut view = json!({
        "min": min,
        "max": max,
        "cpu": cpu_percent,
        "memory": memory_percent,
        "cooldown": cooldown_seconds,
    });
    for (key, bound) in [
        ("requests_per_second", requests_per_second),
        ("latency_ms", latency_ms),
        ("idle", idle_seconds),
    ] {
        if let Some(bound) = bound {
            put(&mut view, key, json!(bound));
        }
    }
    view
}

fn decision_view(decision: &Decision) -> Value {
    let Decision { at, from, to, kind, reason, load, fruitless: _ } = decision;
    json!({ "at": at, "from": from, "to": to, "kind": kind, "reason": reason, "load": load })
}
