//! How a request is refused: an RFC 9457 problem document with the request's id.

use std::fmt;

use actix_web::error::{JsonPayloadError, PathError, QueryPayloadError};
use actix_web::http::StatusCode;
use actix_web::http::header::{ContentType, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use common::problem::Problem;

tokio::task_local! {
    /// The id of the request that is being answered.
    pub(super) static REQUEST_ID: String;
}

/// An error answer. Handlers return it as their error; its status is the problem's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(pub Problem);

impl Refusal {
    /// 503: the store or the bus is away; the caller may try again.
    pub fn unavailable(code: &str, detail: impl Into<String>) -> Self {
        let hint = "try again in a few seconds; running apps go on answering";
        Refusal(Problem::new(503, code, "Not available now", detail).hint(hint))
    }

    /// 500: a broken invariant. What exactly is in the log, not in the answer.
    pub fn internal() -> Self {
        let detail = "the platform failed; its log has the details under this request id";
        Refusal(Problem::new(500, "INTERNAL", "The platform failed", detail))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.detail)
    }
}

impl std::error::Error for Refusal {}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut problem = self.0.clone();
        problem.request_id = REQUEST_ID.try_with(String::clone).ok();
        let mut response = HttpResponse::build(self.status_code());
        response.content_type("application/problem+json");
        if matches!(problem.status, 429 | 503) {
            response.insert_header((RETRY_AFTER, "2"));
        }
        response.body(serde_json::to_vec(&problem).unwrap_or_default())
    }
}

/// JSON bodies up to 64 KiB; what is wrong with one is said as a problem.
pub fn json_config() -> web::JsonConfig {
    web::JsonConfig::default().limit(64 * 1024).error_handler(|err, _: &HttpRequest| {
        let problem = match &err {
            JsonPayloadError::Overflow { .. } | JsonPayloadError::OverflowKnownLength { .. } => {
                Problem::new(413, "BODY_TOO_LARGE", "The body is too large", "at most 64 KiB")
            }
            JsonPayloadError::ContentType => Problem::new(
                415,
                "CONTENT_TYPE_INVALID",
                "The body is not JSON",
                "send it as application/json",
            ),
            JsonPayloadError::Deserialize(source) => json_problem(source),
            JsonPayloadError::Serialize(_) | JsonPayloadError::Payload(_) | _ => {
                Problem::new(400, "JSON_INVALID", "The body could not be read", "send it again")
            }
        };
        Refusal(problem).into()
    })
}

fn json_problem(source: &serde_json::Error) -> Problem {
    let detail: String = source.to_string().chars().filter(|c| !c.is_control()).take(200).collect();
    if detail.starts_with("unknown field") {
        Problem::new(422, "UNKNOWN_FIELD", "The body has a field that is not known", detail)
    } else if source.is_data() {
        Problem::new(422, "FIELD_INVALID", "A field of the body is not what it should be", detail)
    } else {
        Problem::new(400, "JSON_INVALID", "The body is not JSON", detail)
    }
}

/// What is wrong with a part of the path is said as a problem.
pub fn path_config() -> web::PathConfig {
    web::PathConfig::default().error_handler(|err: PathError, _: &HttpRequest| {
        let detail: String =
            err.to_string().chars().filter(|c| !c.is_control()).take(200).collect();
        Refusal(Problem::new(422, "NAME_INVALID", "A part of the path is not a name", detail))
            .into()
    })
}

/// What is wrong with the query is said as a problem.
pub fn query_config() -> web::QueryConfig {
    web::QueryConfig::default().error_handler(|err: QueryPayloadError, _: &HttpRequest| {
        let detail: String =
            err.to_string().chars().filter(|c| !c.is_control()).take(200).collect();
        Refusal(Problem::new(422, "QUERY_INVALID", "The query is not understood", detail)).into()
    })
}

/// 404 for a path that no route has.
pub(super) async fn route_unknown() -> HttpResponse {
    Refusal(Problem::new(404, "ROUTE_UNKNOWN", "There is nothing here", "no route has this path"))
        .error_response()
}

/// Plain text, as the common endpoints answer.
pub(super) fn text(body: impl Into<String>) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::plaintext()).body(body.into())
}
