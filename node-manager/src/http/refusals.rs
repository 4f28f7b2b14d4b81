//! What the interface says no with: the status codes of this service.

use std::io;

use chassis::http::Refusal;
use chassis::{leading, records};
use common::name::NodeName;
use common::problem::Problem;

/// 503 if the store is away, else 500.
pub(super) fn of_records(err: &records::Error) -> Refusal {
    if err.is_retryable() {
        return Refusal::unavailable("STORE_UNAVAILABLE", "the store does not answer");
    }
    tracing::error!(error = err as &dyn std::error::Error, "a record cannot be read");
    Refusal::internal()
}

/// What a leader could not write.
pub(super) fn of_leading(err: &leading::Error) -> Refusal {
    match err {
        leading::Error::Records(err) => of_records(err),
        leading::Error::Deposed | leading::Error::NotLeading => {
            Refusal::unavailable("NOT_LEADING", "another instance of the node manager leads")
        }
        leading::Error::Bus(_) => {
            Refusal::unavailable("BUS_UNAVAILABLE", "the bus does not answer")
        }
    }
}

/// The sample log cannot be read or written.
pub(super) fn of_log(err: &io::Error) -> Refusal {
    tracing::error!(error = err as &dyn std::error::Error, "the log of samples does not work");
    if err.kind() == io::ErrorKind::StorageFull {
        let detail = "the disk of the node manager is full";
        let problem = Problem::new(507, "INSUFFICIENT_STORAGE", "There is no space left", detail);
        return Refusal(problem);
    }
    Refusal::internal()
}

pub(super) fn node_unknown(node: &NodeName) -> Refusal {
    let detail = format!("no node is called {node}");
    Refusal(Problem::new(404, "NODE_UNKNOWN", "There is no such node", detail))
}

pub(super) fn last_node(node: &NodeName) -> Refusal {
    let detail = format!("no node but {node} lives and takes apps: they would have nowhere to go");
    let problem = Problem::new(409, "LAST_NODE", "It is the last node that takes apps", detail);
    Refusal(problem.hint("return another node, or add one, first; `avishkar nodes` lists them"))
}
