//! What many routes take from a request: names in the path, the id of the request.

use actix_web::HttpRequest;
use common::id::RequestId;
use common::name::{self, AppName, LegacyName, UserName};
use common::problem::Problem;
use uuid::Uuid;

use super::problems::ApiError;
use crate::commands::Error;
use crate::context::Context;
use crate::domain::access::Person;
use crate::records::apps;

const LONGEST_KEY: usize = 200;

/// An app's name.
pub(super) fn app_name(text: &str) -> Result<AppName, ApiError> {
    text.parse().map_err(|err| refused("app", &err))
}

/// The name of an app that may be made now. One that differs from an app's only in case is taken: people
/// would take one for the other.
pub(super) async fn app_name_to_make(context: &Context, text: &str) -> Result<AppName, ApiError> {
    let refusal = match text.parse() {
        Ok(name) => return Ok(name),
        Err(err) => refused("app", &err),
    };
    let Ok(twin) = text.to_ascii_lowercase().parse::<AppName>() else { return Err(refusal) };
    let taken = apps::load(context.ports.store.as_ref(), &twin).await?;
    Err(if taken.is_some() { Error::NameTaken.into() } else { refusal })
}

/// An instance's name.
pub(super) fn instance_name(text: &str) -> Result<LegacyName, ApiError> {
    text.parse().map_err(|err| refused("name", &err))
}

/// A person's name.
pub(super) fn user_name(text: &str) -> Result<UserName, ApiError> {
    text.parse().map_err(|err| refused("username", &err))
}

pub(super) fn refused(field: &str, err: &name::Error) -> ApiError {
    let code = match err {
        name::Error::Invalid { .. } => "NAME_INVALID",
        name::Error::Reserved { .. } => "NAME_RESERVED",
    };
    let title = "The name cannot be taken";
    ApiError::new(Problem::new(422, code, title, err.to_string()).field(field))
}

/// The id of the request: `Idempotency-Key` if it has one, so that a repeat is told from a new request.
/// A key that is no UUID stands for one, a different one for each person.
pub(super) fn request_id(
    context: &Context,
    person: &Person,
    request: &HttpRequest,
) -> Result<RequestId, ApiError> {
    let Some(value) = request.headers().get("idempotency-key") else {
        return Ok(RequestId(context.ports.entropy.uuid()));
    };
    let key =
        value.to_str().ok().map(str::trim).filter(|key| (1..=LONGEST_KEY).contains(&key.len()));
    let Some(key) = key else {
        let detail = format!("it has 1 to {LONGEST_KEY} printable characters");
        return Err(ApiError::field("Idempotency-Key", "IDEMPOTENCY_KEY_INVALID", detail));
    };
    Ok(key.parse().unwrap_or_else(|_| {
        RequestId(Uuid::NAMESPACE_URL).derive(&format!("idempotency-key:{}:{key}", person.name))
    }))
}
