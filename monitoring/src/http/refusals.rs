//! What the interface says no with: the status codes of this service.

use chassis::http::Refusal;
use chassis::records;

/// 503 if the store is away, else 500.
pub(super) fn of_records(err: &records::Error) -> Refusal {
    if err.is_retryable() {
        return Refusal::unavailable("STORE_UNAVAILABLE", "the store does not answer");
    }
    tracing::error!(error = err as &dyn std::error::Error, "a record cannot be read");
    Refusal::internal()
}
