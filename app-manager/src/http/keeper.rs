//! Asking the service that keeps what a route is about: it answers, or says no in its own words, or is away.

use std::time::Duration;

use chassis::http::Refusal;
use common::port::keeper::Error;
use tokio::time::timeout;

use super::problems::ApiError;

/// A service, as people are told of it where it does not answer.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) answers_within: Duration,
    /// What is said where it is away.
    pub(super) away: fn() -> Refusal,
}

impl Keeper {
    pub(super) async fn answer<T>(
        &self,
        asked: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, ApiError> {
        match timeout(self.answers_within, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Error::Refused(problem))) => Err(ApiError::new(*problem)),
            Ok(Err(err @ Error::Unavailable(_))) => {
                let Refusal(problem) = (self.away)();
                let error = &err as &dyn std::error::Error;
                tracing::warn!(error, code = problem.code, "a service cannot be asked");
                Err(ApiError::new(problem))
            }
            Err(_) => Err(ApiError::new((self.away)().0)),
        }
    }
}
