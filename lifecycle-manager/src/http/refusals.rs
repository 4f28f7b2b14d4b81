//! What the interface says no with: the status codes of this service.

use chassis::http::Refusal;
use chassis::records;
use common::failure::{Failure, FailureCode};
use common::name::NodeName;
use common::problem::Problem;

use crate::commands;
use crate::records::Error;
use crate::shared::Shared;

/// 503 if the store is away, else 500.
pub(super) fn of_records(err: &records::Error) -> Refusal {
    if err.is_retryable() {
        return Refusal::unavailable("STORE_UNAVAILABLE", "the store does not answer");
    }
    tracing::error!(error = err as &dyn std::error::Error, "a record cannot be read");
    Refusal::internal()
}

pub(super) fn of_ours(err: &Error) -> Refusal {
    match err {
        Error::Records(err) => of_records(err),
        Error::Deposed | Error::NotLeading => not_leading(),
        Error::Bus(_) => Refusal::unavailable("BUS_UNAVAILABLE", "the bus does not answer"),
    }
}

pub(super) fn of_command(err: &commands::Error) -> Refusal {
    match err {
        commands::Error::Records(err) => of_records(err),
        commands::Error::Bus(_) => {
            Refusal::unavailable("BUS_UNAVAILABLE", "the bus does not answer")
        }
        commands::Error::Crowded => {
            let detail = "so many wait for the same restart that no more are taken";
            Refusal(Problem::new(429, "TOO_MANY_ATTEMPTS", "Too many wait for the same", detail))
        }
    }
}

fn not_leading() -> Refusal {
    Refusal::unavailable("NOT_LEADING", "another instance of the lifecycle manager leads")
}

/// Why a request is not even looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum No {
    NotLeading,
    NotReady,
    PathsOff,
    KeyInvalid,
    KeyUsed,
}

impl From<No> for Refusal {
    fn from(no: No) -> Self {
        let (status, code, title, detail) = match no {
            No::NotLeading => return not_leading(),
            No::NotReady => {
                let detail = "the lifecycle manager has just begun to look";
                return Refusal::unavailable("NOT_READY", detail);
            }
            No::PathsOff => (
                404,
                "DOCUMENT_000_PATHS_OFF",
                "This path is switched off",
                "the setting lifecycle.document_000_paths has it",
            ),
            No::KeyInvalid => (
                422,
                "IDEMPOTENCY_KEY_INVALID",
                "The idempotency key is not usable",
                "the header Idempotency-Key has to be a UUID",
            ),
            No::KeyUsed => (
                409,
                "IDEMPOTENCY_MISMATCH",
                "The idempotency key was used before",
                "the same idempotency key was used for something else",
            ),
        };
        Refusal(Problem::new(status, code, title, detail))
    }
}

/// Who has not looked at the platform yet restarts nothing.
pub(super) fn ready(shared: &Shared) -> Result<(), No> {
    if shared.seat.epoch().is_none() {
        return Err(No::NotLeading);
    }
    if shared.is_settled() { Ok(()) } else { Err(No::NotReady) }
}

pub(super) fn node_unknown(node: &NodeName) -> Refusal {
    let detail = format!("no machine is called {node}");
    Refusal(Problem::new(404, "NODE_UNKNOWN", "There is no such node", detail))
}

/// How a failed request is told where the caller waits for it.
pub(super) fn failed(failure: &Failure) -> Refusal {
    let status = match failure.code {
        FailureCode::ServiceUnknown
        | FailureCode::NodeUnknown
        | FailureCode::AppUnknown
        | FailureCode::ReleaseUnknown
        | FailureCode::UnknownInstance => 404,
        FailureCode::RestartTooSoon => 429,
        FailureCode::Superseded
        | FailureCode::HostTaken
        | FailureCode::LbConfRejected
        | FailureCode::NoCanary
        | FailureCode::ErrorsRose
        | FailureCode::SingleProcess
        | FailureCode::NotAModel
        | FailureCode::ChangeUnderway => 409,
        FailureCode::Internal => 500,
        FailureCode::InsufficientStorage => 507,
        FailureCode::RestartHeld
        | FailureCode::MachinesExhausted
        | FailureCode::NoNodeFits
        | FailureCode::PortsExhausted
        | FailureCode::FrontPortsExhausted
        | FailureCode::NodeUnavailable
        | FailureCode::DeadlineExceeded
        | FailureCode::HealthTimeout
        | FailureCode::ImageUnavailable
        | FailureCode::PortTaken
        | FailureCode::RouteFailed
        | FailureCode::ShareUnavailable => 503,
        FailureCode::BundleUnrecognised
        | FailureCode::BundleUnavailable
        | FailureCode::BuildFailed
        | FailureCode::BuildTimeout
        | FailureCode::AppExited
        | FailureCode::OomKilled
        | FailureCode::CrashLoop
        | FailureCode::ReplicasOutOfBounds
        | FailureCode::ScheduleEndBeforeStart
        | FailureCode::ScheduleInPast
        | FailureCode::ScheduleMissed
        | FailureCode::ShareUnknown
        | FailureCode::ShareRefused
        | FailureCode::CodeUnfit
        | FailureCode::CodeMismatch => 502,
    };
    let title = "The request failed";
    Refusal(Problem::new(status, failure.code.as_str(), title, failure.message.clone()))
}
