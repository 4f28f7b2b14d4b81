//! Waiting for a condition, with a bound and a reason.

use std::time::Duration;

use anyhow::bail;
use tokio::time::Instant;

/// The first pause before it is asked again, and the longest: many of the questions are work for what is asked about.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

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
    let mut pause = FIRST_PAUSE;
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(err) if Instant::now() > give_up => bail!("{what}: not within {within:?}: {err:#}"),
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause = (pause * 5 / 4).min(LONGEST_PAUSE);
    }
}
