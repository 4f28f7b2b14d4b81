//! The status codes: which error of a command answers with which problem.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use chassis::http::Refusal;
use chassis::{leading, records};
use common::failure::FailureCode;
use common::port::routes::Problem as RouteProblem;
use common::port::store;
use common::problem::Problem;

use crate::commands;

/// An error of a command as its HTTP answer.
#[derive(Debug)]
pub(super) struct Error(commands::Error);

impl<E: Into<commands::Error>> From<E> for Error {
    fn from(err: E) -> Self {
        Error(err.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        refusal(&self.0).status_code()
    }

    fn error_response(&self) -> HttpResponse {
        if let commands::Error::Stale(generation) = &self.0 {
            let body = RouteProblem { problem: refusal(&self.0).0, generation: Some(*generation) };
            return HttpResponse::Conflict()
                .content_type("application/problem+json")
                .body(serde_json::to_vec(&body).unwrap_or_default());
        }
        refusal(&self.0).error_response()
    }
}

/// The problem that tells an error of a command.
pub(super) fn refusal(err: &commands::Error) -> Refusal {
    match err {
        commands::Error::Stale(generation) => {
            let detail = format!("generation {generation} of the route stands");
            Refusal(Problem::new(409, "STALE_GENERATION", "A newer route stands", detail))
        }
        commands::Error::Invalid(invalid) => {
            let title = "The route cannot be as it was asked for";
            Refusal(Problem::new(422, "ROUTE_INVALID", title, invalid.to_string()))
        }
        commands::Error::Deployed(_) => {
            let title = "The name is taken by what the platform deployed";
            Refusal(Problem::new(409, "NAME_TAKEN", title, err.to_string()))
        }
        commands::Error::Unfit(unfit) => {
            let title = "The certificate cannot be shown to visitors of that name";
            Refusal(Problem::new(422, unfit.code(), title, unfit.to_string()))
        }
        commands::Error::NoCertificate(_) => {
            let title = "There is no such certificate";
            Refusal(Problem::new(404, "CERTIFICATE_UNKNOWN", title, err.to_string()))
        }
        commands::Error::Unsealed(cause) => {
            let title = "Certificates cannot be kept here";
            Refusal(Problem::new(503, "CERTIFICATES_OFF", title, cause.to_string()))
        }
        commands::Error::Failed(failure) => {
            let title = "The load balancer could not do it";
            let status = status_of(failure.code);
            Refusal(Problem::new(status, failure.code.as_str(), title, failure.message.clone()))
        }
        commands::Error::Records(err) => of_records(err),
    }
}

fn status_of(code: FailureCode) -> u16 {
    if code == FailureCode::UnknownInstance {
        404
    } else if matches!(
        code,
        FailureCode::Superseded | FailureCode::HostTaken | FailureCode::LbConfRejected
    ) {
        409
    } else {
        503
    }
}

fn of_records(err: &leading::Error) -> Refusal {
    match err {
        leading::Error::Records(
            records::Error::Store(store::Error::Refused(_)) | records::Error::Unreadable { .. },
        ) => {
            tracing::error!(
                error = err as &dyn std::error::Error,
                "a record is not as it should be"
            );
            Refusal::internal()
        }
        leading::Error::Records(
            records::Error::Changed
            | records::Error::Store(
                store::Error::Conflict { .. }
                | store::Error::Unavailable(_)
                | store::Error::OutcomeUnknown(_),
            ),
        ) => Refusal::unavailable("STORE_UNAVAILABLE", "the store does not take the change"),
        leading::Error::Deposed => {
            Refusal::unavailable("NOT_LEADING", "another load balancer leads")
        }
        leading::Error::NotLeading => {
            Refusal::unavailable("NOT_READY", "the load balancer is still starting")
        }
        leading::Error::Bus(_) => {
            Refusal::unavailable("BUS_UNAVAILABLE", "the bus does not take the message")
        }
    }
}
