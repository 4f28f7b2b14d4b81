//! How an agent's refusals are read.

use common::agent::{Refusal, STALE_EPOCH};
use common::failure::{Failure, FailureCode};
use common::port::Cause;
use common::port::containers;
use common::port::nodes::{Agent, Error};
use reqwest::Response;

pub(super) fn unreachable(agent: &Agent, source: impl Into<Cause>) -> Error {
    Error::Unreachable { node: agent.node.clone(), source: source.into() }
}

/// An answer that is not a success: a refusal, or something that is not the agent's.
pub(super) async fn refused(agent: &Agent, response: Response) -> Error {
    let status = response.status();
    let Ok(refusal) = response.json::<Refusal>().await else {
        return unreachable(agent, format!("the answer was {status}"));
    };
    if let (STALE_EPOCH, Some(seen)) = (refusal.problem.code.as_str(), refusal.seen) {
        return Error::StaleEpoch { node: agent.node.clone(), seen };
    }
    match refusal.problem.code.parse::<FailureCode>() {
        Ok(code) => {
            let failure = Failure { code, message: refusal.problem.detail, output: refusal.output };
            Error::Failed { node: agent.node.clone(), failure }
        }
        // What is no code of the closed list is between the programs, not about the app.
        Err(_) if status.is_server_error() => unreachable(agent, refusal.problem.detail),
        Err(_) => {
            let message = format!("the agent refused: {}", refusal.problem.detail);
            Error::Failed {
                node: agent.node.clone(),
                failure: Failure::new(FailureCode::Internal, message),
            }
        }
    }
}

/// A stream of output that ended before it was over.
pub(super) fn broken_off(err: reqwest::Error) -> containers::Error {
    containers::Error::Unavailable(err.into())
}
