//! What the interface says no with: the status codes of this service.

use chassis::http::Refusal;
use chassis::records;
use common::failure::{Failure, FailureCode};
use common::problem::Problem;

use crate::records::Error;

pub(super) fn of(err: &Error) -> Refusal {
    match err {
        Error::Records(records::Error::Unreadable { .. }) => {
            tracing::error!(error = err as &dyn std::error::Error, "a record cannot be read");
            Refusal::internal()
        }
        Error::Records(records::Error::Store(_) | records::Error::Changed) => {
            Refusal::unavailable("STORE_UNAVAILABLE", "the store does not take the change")
        }
        Error::Deposed => Refusal::unavailable("NOT_LEADING", "another platform initializer leads"),
        Error::NotLeading => {
            Refusal::unavailable("NOT_READY", "the platform initializer is still starting")
        }
        Error::Bus(_) | Error::TooMuchOwed => Refusal::unavailable(
            "BUS_UNAVAILABLE",
            "the bus has not taken the answers to earlier requests yet",
        ),
        Error::Routes(_) | Error::Unanswered => {
            Refusal::unavailable("ROUTE_FAILED", "the load balancer does not answer")
        }
    }
}

/// The request was done, and did not end well.
pub(super) fn of_failure(failure: &Failure) -> Refusal {
    let is_absent = matches!(
        failure.code,
        FailureCode::ServiceUnknown | FailureCode::NodeUnknown | FailureCode::UnknownInstance
    );
    let is_final = matches!(
        failure.code,
        FailureCode::Superseded
            | FailureCode::SingleProcess
            | FailureCode::ChangeUnderway
            | FailureCode::NoNodeFits
    );
    let status = match (is_absent, is_final) {
        (true, _) => 404,
        (false, true) => 409,
        (false, false) => 503,
    };
    let title = "The platform could not do it";
    Refusal(Problem::new(status, failure.code.as_str(), title, failure.message.clone()))
}

pub(super) fn never_started() -> Refusal {
    let detail = "the platform was neither started nor stopped yet";
    Refusal(Problem::new(404, "NOT_FOUND", "There is no status yet", detail))
}

pub(super) fn request_unknown() -> Refusal {
    let detail = "no request of this id was accepted in the last 8 days";
    Refusal(Problem::new(404, "REQUEST_UNKNOWN", "There is no such request", detail))
}

pub(super) fn key_invalid() -> Refusal {
    let problem = Problem::new(
        422,
        "IDEMPOTENCY_KEY_INVALID",
        "The header Idempotency-Key cannot be used",
        "here it is a UUID",
    );
    Refusal(problem.field("Idempotency-Key"))
}

pub(super) fn key_taken() -> Refusal {
    let detail = "the id was used for another request";
    Refusal(Problem::new(409, "IDEMPOTENCY_MISMATCH", "The request id is taken", detail))
}

pub(super) fn unconfirmed() -> Refusal {
    let detail = "to stop the platform, send {\"confirm\": \"stop platform\"}";
    let problem = Problem::new(422, "FIELD_INVALID", "The stop is not confirmed", detail);
    Refusal(problem.field("confirm"))
}
