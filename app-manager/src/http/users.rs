//! `/api/v1/users`.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json};
use chassis::config::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

use super::problems::ApiError;
use super::request::user_name;
use crate::commands::users;
use crate::context::Context;
use crate::domain::access::Role;
use crate::records::users::{User, all};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
    username: String,
    password: SecretString,
    role: Role,
}

pub(super) async fn list(context: Data<Context>) -> Result<HttpResponse, ApiError> {
    let users = all(context.ports.store.as_ref()).await?;
    Ok(HttpResponse::Ok().json(users.iter().map(view).collect::<Vec<_>>()))
}

pub(super) async fn make(
    context: Data<Context>,
    body: Json<NewUser>,
) -> Result<HttpResponse, ApiError> {
    let NewUser { username, password, role } = body.into_inner();
    let name = user_name(&username)?;
    let user = users::make(&context, name, role, password.expose().to_owned()).await?;
    Ok(HttpResponse::Created().json(view(&user)))
}

fn view(user: &User) -> Value {
    json!({ "username": user.name, "role": user.role, "created_at": user.created_at })
}
