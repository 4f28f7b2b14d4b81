//! `POST /api/v1/login` and `POST /api/v1/login/one-time`.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json};
use chassis::config::SecretString;
use serde::Deserialize;
use serde_json::json;

use super::problems::ApiError;
use super::request::user_name;
use crate::commands::sign_in::{self, Session};
use crate::commands::{Error, users};
use crate::context::Context;
use crate::domain::access::Person;
use crate::people::token::Issued;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    username: String,
    password: SecretString,
    #[serde(default)]
    session: Session,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OneTime {
    token: SecretString,
    username: String,
    password: SecretString,
    #[serde(default)]
    session: Session,
}

pub(super) async fn sign_in(
    context: Data<Context>,
    body: Json<SignIn>,
) -> Result<HttpResponse, ApiError> {
    let SignIn { username, password, session } = body.into_inner();
    // A name that nobody can have is a wrong one, not a malformed request.
    let name = username.parse().map_err(|_| Error::WrongCredentials)?;
    let password = password.expose().to_owned();
    let (person, issued) = sign_in::sign_in(&context, &name, password, session).await?;
    Ok(HttpResponse::Ok().json(view(&person, &issued)))
}

pub(super) async fn one_time(
    context: Data<Context>,
    body: Json<OneTime>,
) -> Result<HttpResponse, ApiError> {
    let OneTime { token, username, password, session } = body.into_inner();
    let name = user_name(&username)?;
    let password = password.expose().to_owned();
    let person = users::make_first(&context, token.expose(), name, password).await?;
    let issued = sign_in::token(&context, &person, session)?;
    Ok(HttpResponse::Created().json(view(&person, &issued)))
}

fn view(person: &Person, issued: &Issued) -> serde_json::Value {
    json!({
        "token": issued.token,
        "username": person.name,
        "role": person.role,
        "expires_at": issued.expires_at,
    })
}
