//! Calls about parts of the platform: of its lifecycle manager only.

use actix_web::web::{Data, Json, Path, Query};
use actix_web::{HttpResponse, Responder};
use chassis::http::Caller;
use common::agent::{
    BuildCode, Built, Consent, EnsurePart, PushImage, RegistryAt, RemovePart, RestartPart, ShareIs,
    TailQuery,
};
use common::digest::Digest;
use common::name::PartName;

use super::AgentRefusal;
use super::orders::speaks_for_itself;
use crate::parts::Parts;

pub(super) async fn ensure(
    parts: Data<Parts>,
    caller: Caller,
    Json(body): Json<EnsurePart>,
) -> Result<impl Responder, AgentRefusal> {
    speaks_for_itself(caller, body.issuer)?;
    Ok(Json(parts.ensure(body.issuer, &body.spec).await?))
}

pub(super) async fn remove(
    parts: Data<Parts>,
    caller: Caller,
    Json(body): Json<RemovePart>,
) -> Result<impl Responder, AgentRefusal> {
    speaks_for_itself(caller, body.issuer)?;
    parts.remove(body.issuer, &body.removal).await?;
    Ok(HttpResponse::NoContent())
}

pub(super) async fn restart(
    parts: Data<Parts>,
    caller: Caller,
    Json(body): Json<RestartPart>,
) -> Result<impl Responder, AgentRefusal> {
    speaks_for_itself(caller, body.issuer)?;
    Ok(Json(parts.restart(body.issuer, &body.name).await?))
}

pub(super) async fn consent(
    parts: Data<Parts>,
    Json(asked): Json<Consent>,
) -> Result<impl Responder, AgentRefusal> {
    Ok(Json(parts.consent_to(&asked).await?))
}

pub(super) async fn list(parts: Data<Parts>) -> Result<impl Responder, AgentRefusal> {
    Ok(Json(parts.list().await?))
}

pub(super) async fn logs(
    parts: Data<Parts>,
    name: Path<PartName>,
    query: Query<TailQuery>,
) -> Result<impl Responder, AgentRefusal> {
    Ok(Json(parts.logs(&name, query.tail).await?))
}

pub(super) async fn images(parts: Data<Parts>) -> Result<impl Responder, AgentRefusal> {
    Ok(Json(parts.images().await?))
}

/// What fails in the middle breaks the answer off, and no engine takes half an archive.
pub(super) async fn image_archive(
    parts: Data<Parts>,
    image: Path<Digest>,
) -> Result<impl Responder, AgentRefusal> {
    let archive = parts.image_archive(&image).await?;
    Ok(HttpResponse::Ok().content_type("application/x-tar").streaming(archive))
}

pub(super) async fn push_image(
    parts: Data<Parts>,
    caller: Caller,
    Json(body): Json<PushImage>,
) -> Result<impl Responder, AgentRefusal> {
    speaks_for_itself(caller, body.issuer)?;
    Ok(Json(Built { image: parts.push_image(body.issuer, &body.image, &body.repository).await? }))
}

pub(super) async fn registry(
    parts: Data<Parts>,
    caller: Caller,
    Json(body): Json<RegistryAt>,
) -> Result<impl Responder, AgentRefusal> {
    speaks_for_itself(caller, body.issuer)?;
    parts.registry_at(body.issuer, body.registry).await?;
    Ok(HttpResponse::NoContent())
}

pub(super) async fn share(
    parts: Data<Parts>,
    caller: Caller,
    Json(body): Json<ShareIs>,
) -> Result<impl Responder, AgentRefusal> {
    speaks_for_itself(caller, body.issuer)?;
    parts.share_is(body.issuer, &body.name, &body.access).await?;
    Ok(HttpResponse::NoContent())
}

pub(super) async fn build(
    parts: Data<Parts>,
    caller: Caller,
    Json(body): Json<BuildCode>,
) -> Result<impl Responder, AgentRefusal> {
    speaks_for_itself(caller, body.issuer)?;
    parts.build(body.issuer, &body.code).await?;
    Ok(HttpResponse::NoContent())
}
