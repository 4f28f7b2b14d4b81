//! Turning rows into routes: who may come in, which bodies a path takes, how refusals look.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::guard::{self, Guard};
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{Data, ServiceConfig};
use actix_web::{
    Error, FromRequest, HttpMessage as _, HttpRequest, HttpResponse, ResponseError as _,
};
use chassis::http::{Endpoint, register};
use common::problem::Problem;
use futures::future::{Ready, ready};

use super::document_001;
use super::problems::ApiError;
use crate::context::Context;
use crate::domain::access::{Action, Grant, Person, grant};
use crate::people::token;

pub(super) fn mount(table: &'static [Endpoint<Action>], routes: &mut ServiceConfig) {
    let guarded = |row: &'static Endpoint<Action>| {
        Some((row.route)().wrap(from_fn(move |request, next| admit(row, request, next))))
    };
    let refuse = |row: &Endpoint<Action>, problem| refusal(row, &ApiError::new(problem));
    register(table.iter(), guarded, refuse, routes);
}

/// Where one path takes two kinds of bodies.
pub(super) fn json() -> impl Guard {
    body("application/json")
}

pub(super) fn multipart() -> impl Guard {
    body("multipart/form-data")
}

fn body(kind: &'static str) -> impl Guard {
    guard::fn_guard(move |context| {
        let content_type = context.head().headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
        content_type.trim_start().to_ascii_lowercase().starts_with(kind)
    })
}

/// A refusal as the callers of the route know it.
fn refusal(row: &Endpoint<Action>, error: &ApiError) -> HttpResponse {
    match row.document {
        None => error.error_response(),
        Some(_) => document_001::refusal(&error.problem),
    }
}

/// Lets in who may do what the route does, and gives document 001's routes their kind of refusal.
async fn admit<B: MessageBody + 'static>(
    row: &'static Endpoint<Action>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if row.access != Action::SignIn {
        match identify(&request, row.access) {
            Ok(person) => {
                request.extensions_mut().insert(person);
            }
            Err(error) => return Ok(request.into_response(refusal(row, &error))),
        }
    }
    let response = next.call(request).await?.map_into_boxed_body();
    Ok(match row.document {
        None => response,
        Some(_) => document_001::in_its_form(response),
    })
}

fn identify(request: &ServiceRequest, action: Action) -> Result<Person, ApiError> {
    let Some(context) = request.app_data::<Data<Context>>() else {
        return Err(ApiError::internal());
    };
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
    let Some(token) = token else { return Err(unknown("TOKEN_MISSING", "there is no token")) };
    let person =
        context.tokens.verify(token, context.ports.clock.now()).map_err(|err| match err {
            token::Error::Invalid => unknown("TOKEN_INVALID", "the token is not valid here"),
            token::Error::Expired => unknown("TOKEN_EXPIRED", "the token has expired"),
        })?;
    if grant(person.role, action) == Grant::Nothing {
        let detail = format!("the role {} may not do this", person.role);
        let problem = Problem::new(403, "FORBIDDEN", "This is not yours to do", detail);
        return Err(ApiError::new(problem.hint("ask an admin")));
    }
    Ok(person)
}

fn unknown(code: &str, detail: &str) -> ApiError {
    let problem = Problem::new(401, code, "Sign in first", detail);
    ApiError::new(problem.hint("sign in, and send the token as: Authorization: Bearer <token>"))
}

/// Who was let in.
impl FromRequest for Person {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(request.extensions().get::<Person>().cloned().ok_or_else(ApiError::internal))
    }
}
