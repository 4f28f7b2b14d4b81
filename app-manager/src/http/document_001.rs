//! Document 001's paths: the same commands, in its form of answers: `{data, message, status}`.
//!
//! Owns that form and its few status codes; whatever goes wrong with the caller's input is a 400.

pub(super) mod base_apps;
pub(super) mod deployed_apps;
pub(super) mod scheduled_apps;

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use chassis::http::Refusal;
use common::problem::Problem;
use serde::Serialize;
use serde_json::json;

use super::problems::ApiError;

/// A success.
fn success(status: StatusCode, data: impl Serialize, message: &str) -> HttpResponse {
    HttpResponse::build(status).json(json!({ "data": data, "message": message, "status": true }))
}

/// A refusal; its code stands before the sentence.
pub(super) fn refusal(problem: &Problem) -> HttpResponse {
    let mut text = format!("{}: {}", problem.code, problem.detail);
    if let Some(hint) = &problem.hint {
        text.push_str(&format!(" ({hint})"));
    }
    let body = json!({ "data": null, "message": [{ "error": text }], "status": false });
    let mut response = HttpResponse::build(status(problem.status));
    if matches!(problem.status, 429 | 503) {
        response.insert_header((RETRY_AFTER, "2"));
    }
    response.json(body)
}

/// The codes that document 001's callers know.
fn status(native: u16) -> StatusCode {
    match native {
        401 | 403 => StatusCode::UNAUTHORIZED,
        405 => StatusCode::METHOD_NOT_ALLOWED,
        409 => StatusCode::CONFLICT,
        500..=599 => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// Whatever a route answers, in document 001's form.
pub(super) fn in_its_form(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    if response.status().is_success() {
        return response;
    }
    let closes =
        response.response().head().connection_type() == actix_web::http::ConnectionType::Close;
    let error = response.response().error();
    let problem = error.and_then(|error| {
        let ours = error.as_error::<ApiError>().map(|error| error.problem.as_ref().clone());
        ours.or_else(|| error.as_error::<Refusal>().map(|refusal| refusal.0.clone()))
    });
    let native = response.status();
    let unexplained = || {
        let detail = "the request was refused";
        Problem::new(native.as_u16(), "UNEXPLAINED", "The request was refused", detail)
    };
    let mut answer = refusal(&problem.unwrap_or_else(unexplained));
    if closes {
        answer.head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
    }
    response.into_response(answer)
}
