//! Turns at work that takes much of the machine: who waits too long for one is told to come again.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::Error;

/// The next free place.
pub(super) async fn turn(
    places: &Semaphore,
    within: Duration,
) -> Result<SemaphorePermit<'_>, Error> {
    match timeout(within, places.acquire()).await {
        Ok(Ok(turn)) => Ok(turn),
        Ok(Err(_)) | Err(_) => Err(Error::Busy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_told_to_come_again() {
        let places = Semaphore::new(1);
        let held = turn(&places, Duration::from_secs(1)).await.unwrap();
        let refused = turn(&places, Duration::from_secs(1)).await;
        assert!(matches!(refused, Err(Error::Busy)), "{refused:?}");
        drop(held);
        assert!(turn(&places, Duration::from_secs(1)).await.is_ok());
    }
}
