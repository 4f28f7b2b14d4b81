//! `GET /api/v1/operations/{request id}`: how a request ended, once it has.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use common::id::RequestId;
use common::name::LegacyName;
use common::record::operation::Outcome;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::problems::ApiError;
use crate::commands::Error;
use crate::context::Context;
use crate::domain::access::{Action, Ownership, Person};
use crate::domain::hints::hint;
use crate::records::requests::{self, Asked, Kind};

pub(super) async fn show(
    context: Data<Context>,
    person: Person,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let store = context.ports.store.as_ref();
    let id: RequestId = id.parse().map_err(|_| Error::RequestUnknown)?;
    let asked = requests::load(store, id).await?.ok_or(Error::RequestUnknown)?.record;
    if !person.may(Action::SeeOperations, Ownership::of(&asked.by)) {
        return Err(Error::RequestUnknown.into());
    }
    let operation = requests::operation(store, id, asked.kind).await?;
    let operation = operation.ok_or(Error::RequestUnknown)?;
    Ok(HttpResponse::Ok().json(view(id, &asked, operation.outcome.as_ref())))
}

#[derive(Debug, Serialize)]
struct View<'a> {
    request_id: RequestId,
    kind: Kind,
    instance: &'a LegacyName,
    accepted_at: Timestamp,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a Value>,
}

fn view<'a>(id: RequestId, asked: &'a Asked, outcome: Option<&'a Outcome>) -> View<'a> {
    let (status, failure, details) = match outcome {
        None => ("accepted", None, None),
        Some(Outcome::Succeeded { details }) => ("succeeded", None, details.as_ref()),
        Some(Outcome::Failed { failure, details }) => {
            let failure = json!({
                "code": failure.code,
                "message": failure.message,
                "hint": hint(failure.code),
            });
            ("failed", Some(failure), details.as_ref())
        }
        Some(Outcome::Superseded) => ("superseded", None, None),
    };
    View {
        request_id: id,
        kind: asked.kind,
        instance: &asked.instance,
        accepted_at: asked.at,
        status,
        failure,
        details,
    }
}
