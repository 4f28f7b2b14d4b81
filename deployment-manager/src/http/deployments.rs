//! `GET /api/v1/deployments/{instance}`: the record, without the messages it owes.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use chassis::http::Refusal;
use chassis::records;
use common::name::LegacyName;
use common::problem::Problem;
use common::record::deployment::{Deployment, State};

use crate::records as stored;
use crate::shared::Shared;

pub(super) async fn show(
    shared: Data<Arc<Shared>>,
    instance: Path<LegacyName>,
) -> Result<HttpResponse, Refusal> {
    let found = stored::deployment(shared.ports.store.as_ref(), &instance).await;
    let found = found.map_err(|err| refusal(&err))?.map(|stored| stored.record);
    let deployment = found.filter(|deployment| deployment.state != State::Removed);
    let deployment = deployment.ok_or_else(|| unknown(&instance))?;
    Ok(HttpResponse::Ok().json(Deployment { owed: Vec::new(), ..deployment }))
}

fn unknown(instance: &LegacyName) -> Refusal {
    let detail = format!("{instance} is not deployed");
    Refusal(Problem::new(404, "UNKNOWN_INSTANCE", "There is no such deployment", detail))
}

fn refusal(err: &records::Error) -> Refusal {
    if err.is_retryable() {
        return Refusal::unavailable("STORE_UNAVAILABLE", "the store cannot be reached");
    }
    tracing::error!(error = err as &dyn std::error::Error, "a deployment could not be shown");
    Refusal::internal()
}
