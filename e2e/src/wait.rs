//! Waiting for a condition, with a bound and a reason.

use std::time::Duration;

use anyhow::bail;
use tokio::time::Instant;

/// Asks again until there is an answer; fails with the last reason when the time is over.
pub async fn until<T, F>(
    what: &str,
    within: Duration,
    mut ask: impl FnMut() -> F,
) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let give_up = Instant::now() + within;
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(err) if Instant::now() > give_up => bail!("{what}: not within {within:?}: {err:#}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}
