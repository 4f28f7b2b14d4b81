//! How the agent says no: a problem document with the last words of what failed, and the epoch heard.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use common::agent::{Refusal, STALE_EPOCH};
use common::failure::FailureCode;
use common::port::containers;
use common::problem::Problem;
use common::service::ServiceName;

use crate::agent::Error;
use crate::ledger::Conflict;

#[derive(Debug)]
pub(super) struct AgentRefusal(Box<Refusal>);

impl AgentRefusal {
    pub(super) fn new(problem: Problem) -> Self {
        AgentRefusal(Box::new(Refusal { problem, output: Vec::new(), seen: None }))
    }

    pub(super) fn forbidden(caller: ServiceName) -> Self {
        let detail = format!("{caller} may not ask this of an agent");
        AgentRefusal::new(Problem::new(
            403,
            "CALLER_FORBIDDEN",
            "This caller may not do this",
            detail,
        ))
    }

    pub(super) fn from_engine(err: containers::Error) -> Self {
        Error::Engine(err).into()
    }
}

impl From<Error> for AgentRefusal {
    fn from(err: Error) -> Self {
        match err {
            Error::Specification { field, rule } => AgentRefusal::new(
                Problem::new(422, "FIELD_INVALID", "The request is not taken", rule).field(field),
            ),
            Error::Conflict(Conflict::StaleEpoch { seen, .. }) => {
                let problem = Problem::new(
                    409,
                    STALE_EPOCH,
                    "A newer leader has spoken",
                    format!("epoch {seen}"),
                );
                AgentRefusal(Box::new(Refusal { problem, output: Vec::new(), seen: Some(seen) }))
            }
            Error::Conflict(_)
            | Error::Ledger(_)
            | Error::Start(_)
            | Error::Build(_)
            | Error::Engine(_)
            | Error::Code(_)
            | Error::UnknownPart(_) => failed(&err),
        }
    }
}

fn failed(err: &Error) -> AgentRefusal {
    let failure = err.to_failure();
    let status = if failure.code == FailureCode::NodeUnavailable {
        503
    } else if failure.code == FailureCode::InsufficientStorage {
        507
    } else if failure.code == FailureCode::UnknownInstance {
        404
    } else {
        409
    };
    tracing::warn!(error = err as &dyn std::error::Error, code = %failure.code, "refused");
    let problem = Problem::new(status, failure.code.as_str(), "The agent failed", failure.message);
    AgentRefusal(Box::new(Refusal { problem, output: failure.output, seen: None }))
}

impl fmt::Display for AgentRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.problem.code, self.0.problem.detail)
    }
}

impl std::error::Error for AgentRefusal {}

impl ResponseError for AgentRefusal {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status_code())
            .content_type("application/problem+json")
            .body(serde_json::to_vec(&*self.0).unwrap_or_default())
    }
}
