//! `/api/v1/platform/services/{service}`: another version of one service, one of its instances on another machine, or
//! another number of them.

use std::num::NonZeroU16;

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use chassis::http::Refusal;
use common::name::{LegacyName, NodeName};
use common::record::path;
use common::record::platform::ServiceImage;
use common::service::ServiceName;
use serde::Deserialize;

use super::platform::{answered, awaited, request_id};
use super::refusals;
use crate::commands::change::{Wanted, accept};
use crate::domain::change::Asked;
use crate::outcome::change_failure;
use crate::shared::Shared;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Upgrade {
    /// An image in the registry, or code on a share, by digest; null for the platform's own version.
    image: Option<ServiceImage>,
}

pub(super) async fn upgrade(
    shared: Data<Shared>,
    request: HttpRequest,
    service: Path<LegacyName>,
    body: Json<Upgrade>,
) -> Result<HttpResponse, Refusal> {
    let asked = Asked::Upgrade { image: body.into_inner().image };
    run(&shared, &request, Wanted { service: service.into_inner(), asked }).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Move {
    from: NodeName,
    to: NodeName,
}

pub(super) async fn relocate(
    shared: Data<Shared>,
    request: HttpRequest,
    service: Path<LegacyName>,
    body: Json<Move>,
) -> Result<HttpResponse, Refusal> {
    let Move { from, to } = body.into_inner();
    let asked = Asked::Move { from, to };
    run(&shared, &request, Wanted { service: service.into_inner(), asked }).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scale {
    instances: NonZeroU16,
}

pub(super) async fn scale(
    shared: Data<Shared>,
    request: HttpRequest,
    service: Path<LegacyName>,
    body: Json<Scale>,
) -> Result<HttpResponse, Refusal> {
    let asked = Asked::Scale { instances: body.instances };
    run(&shared, &request, Wanted { service: service.into_inner(), asked }).await
}

async fn run(
    shared: &Shared,
    request: &HttpRequest,
    wanted: Wanted,
) -> Result<HttpResponse, Refusal> {
    let id = request_id(shared, request).ok_or_else(refusals::key_invalid)?;
    let kind = wanted.command().kind();
    let at = path::operation(id, ServiceName::PlatformInitializer, kind);
    answered(id, awaited(shared, &at, accept(shared, id, &wanted)), change_failure).await
}
