//! Turning rows into routes: who may come in, which methods a path has, how refusals look.

use std::collections::BTreeMap;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{
    Error, FromRequest, HttpMessage as _, HttpRequest, HttpResponse, ResponseError as _, Route,
    guard,
};
use common::problem::Problem;
use futures::future::{Ready, ready};

use super::document_001;
use super::problems::ApiError;
use crate::context::Context;
use crate::domain::access::{Action, Grant, Person, grant};
use crate::people::token;

/// One row of the table of routes.
pub(super) struct Endpoint {
    pub(super) method: Method,
    pub(super) path: &'static str,
    /// What the caller must be allowed.
    pub(super) action: Action,
    pub(super) face: Face,
    /// What the body is, where one path takes two kinds.
    pub(super) body: Body,
    pub(super) route: fn() -> Route,
}

/// How answers look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    Native,
    Document001,
}

/// What a route's body must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    Any,
    Json,
    Multipart,
}

impl Body {
    fn is_taken(self, content_type: &str) -> bool {
        let content_type = content_type.trim_start().to_ascii_lowercase();
        match self {
            Body::Any => true,
            Body::Json => content_type.starts_with("application/json"),
            Body::Multipart => content_type.starts_with("multipart/form-data"),
        }
    }
}

pub(super) fn register(endpoints: &'static [Endpoint], routes: &mut ServiceConfig) {
    let mut by_path: BTreeMap<&str, Vec<&'static Endpoint>> = BTreeMap::new();
    for endpoint in endpoints {
        by_path.entry(endpoint.path).or_default().push(endpoint);
    }
    for (path, endpoints) in by_path {
        let mut resource = web::resource(path);
        for endpoint in &endpoints {
            resource = resource.route(route(endpoint));
        }
        let methods: Vec<Method> = endpoints.iter().map(|row| row.method.clone()).collect();
        let face = endpoints.first().map_or(Face::Native, |row| row.face);
        let refuse = move |request: HttpRequest| ready(no_such_method(&request, &methods, face));
        routes.service(resource.default_service(web::route().to(refuse)));
    }
}

fn route(endpoint: &'static Endpoint) -> Route {
    let body = endpoint.body;
    let content = guard::fn_guard(move |context| {
        let content_type = context.head().headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
        body.is_taken(content_type)
    });
    (endpoint.route)()
        .method(endpoint.method.clone())
        .guard(content)
        .wrap(from_fn(move |request, next| admit(endpoint, request, next)))
}

/// The path exists, but not for this method, or not for such a body.
fn no_such_method(request: &HttpRequest, methods: &[Method], face: Face) -> HttpResponse {
    let problem = if methods.contains(request.method()) {
        let detail = "send the body as the kind that this path takes";
        Problem::new(415, "CONTENT_TYPE_INVALID", "The body is of another kind", detail)
    } else {
        let detail = "this path does not take this method";
        Problem::new(405, "METHOD_NOT_ALLOWED", "The method is not allowed", detail)
    };
    let mut allowed: Vec<&str> = methods.iter().map(Method::as_str).collect();
    allowed.dedup();
    let error = ApiError::new(problem);
    let mut response = match face {
        Face::Native => error.error_response(),
        Face::Document001 => document_001::refusal(&error.problem),
    };
    if let Ok(value) = HeaderValue::from_str(&allowed.join(", ")) {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}

/// Lets in who may do what the route does, and gives document 001's routes their kind of refusal.
async fn admit<B: MessageBody + 'static>(
    endpoint: &'static Endpoint,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if endpoint.action != Action::SignIn {
        match identify(&request, endpoint.action) {
            Ok(person) => {
                request.extensions_mut().insert(person);
            }
            Err(error) => {
                let response = match endpoint.face {
                    Face::Native => error.error_response(),
                    Face::Document001 => document_001::refusal(&error.problem),
                };
                return Ok(request.into_response(response));
            }
        }
    }
    let response = next.call(request).await?.map_into_boxed_body();
    Ok(match endpoint.face {
        Face::Native => response,
        Face::Document001 => document_001::in_its_form(response),
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
