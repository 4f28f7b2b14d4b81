//! What the interface says no with: the status codes of this service.

use std::io;

use chassis::http::Refusal;
use chassis::records;
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
