//! A service that keeps a thing, as who speaks for people asks it: it does the work, and says no in its own words.

use super::Cause;
use crate::problem::Problem;

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the service that keeps it cannot be reached")]
    Unavailable(#[source] Cause),
    #[error("{}", .0.detail)]
    Refused(Box<Problem>),
}

impl Error {
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Unavailable(_))
    }
}
