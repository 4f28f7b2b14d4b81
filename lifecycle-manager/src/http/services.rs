//! `/api/v1/services` and `/api/v1/models`: what runs where, and which instances are models.

use actix_web::web::{Data, Json};
use chassis::http::Refusal;
use chassis::records::{self, readable};
use common::failure::Failure;
use common::id::Generation;
use common::name::NodeName;
use common::record::instance::{self, Instance};
use common::record::path;
use common::record::platform::{InstanceState, ServiceImage};
use common::service::ServiceName;
use jiff::Timestamp;
use serde::Serialize;

use super::refusals::of_records;
use crate::models::is_model;
use crate::records::{Rollout, load, rollout_path};
use crate::shared::Shared;

/// A placed service.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    service: ServiceName,
    /// The newest wish that was taken in.
    generation: Generation,
    instances: Vec<InstanceTold>,
    /// Why the newest wished version was backed out of.
    backed_out: Option<Failure>,
}

#[derive(Debug, Serialize)]
struct InstanceTold {
    node: NodeName,
    state: InstanceState,
    since: Timestamp,
    /// None for the platform's own.
    image: Option<ServiceImage>,
    failure: Option<Failure>,
}

pub(super) async fn list(shared: Data<Shared>) -> Result<Json<Vec<Told>>, Refusal> {
    let mut told = Vec::new();
    for service in ServiceName::ALL {
        let stored = readable(load::<Rollout>(&shared, &rollout_path(service)).await);
        let Some(stored) = stored.map_err(|err| of_records(&err))? else { continue };
        let rollout = stored.record;
        let instances = rollout.instances.into_iter().map(|one| InstanceTold {
            node: one.node,
            state: one.state,
            since: one.since,
            image: one.version.image,
            failure: one.failure,
        });
        told.push(Told {
            service,
            generation: rollout.wish,
            instances: instances.collect(),
            backed_out: rollout.refused.map(|refusal| refusal.failure),
        });
    }
    Ok(Json(told))
}

/// An instance of an app of kind model.
#[derive(Debug, Serialize)]
pub(super) struct Model {
    name: String,
    app: String,
    state: instance::State,
    url: Option<String>,
}

pub(super) async fn models(shared: Data<Shared>) -> Result<Json<Vec<Model>>, Refusal> {
    let store = shared.ports.store.as_ref();
    let found = records::sharded(store, &path::folder("instances")).await;
    let mut models = Vec::new();
    for (at, _) in found.map_err(|err| of_records(&err))? {
        let stored = readable(load::<Instance>(&shared, &at).await);
        let Some(stored) = stored.map_err(|err| of_records(&err))? else { continue };
        let instance = stored.record;
        let is_one = is_model(&shared, &instance.app, instance.release).await;
        if is_one.map_err(|err| of_records(&err))? {
            models.push(Model {
                name: instance.name.to_string(),
                app: instance.app.to_string(),
                state: instance.state,
                url: instance.url,
            });
        }
    }
    models.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Json(models))
}
