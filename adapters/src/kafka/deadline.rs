//! Deadlines for calls of the library that block.

use std::time::Duration;

use common::port::bus::Error;
use tokio::time::timeout;

/// The library keeps its own deadlines; ours comes after them, for when it does not.
pub(super) const GRACE: Duration = Duration::from_secs(1);

/// Runs a blocking call aside. One that is late ends on its own; nobody waits for it.
#[expect(clippy::disallowed_methods, reason = "the library's calls block")]
pub(super) async fn blocking<T: Send + 'static>(
    within: Duration,
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    match timeout(within + GRACE, tokio::task::spawn_blocking(call)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(broken)) => Err(Error::Unavailable(broken.into())),
        Err(late) => Err(Error::Unavailable(late.into())),
    }
}
