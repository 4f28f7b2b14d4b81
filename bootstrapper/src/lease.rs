//! [`Lease`]: the right to change a platform, which one bootstrapper at a time has. It is a file on the platform's
//! first machine.
//!
//! Every holder makes a file with the next number, which only one can make; the highest number holds. A lease that is
//! not renewed ends: time is told by that machine's own clock, so nobody else's matters.

mod file;

use std::sync::Arc;
use std::time::Duration;

use common::port::host;
use common::port::{Entropy, Host};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use self::file::Folder;

/// How long a lease holds that is not renewed.
const HOLDS: Duration = Duration::from_secs(90);
const RENEW_EVERY: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Who wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// As people know him: `ops@laptop`.
    pub name: String,
    /// Tells apart who may be at work at the same time. A lease of one's own is taken over: it has no other process at
    /// work. Never what a copied file says.
    pub computer: String,
}

/// What a lease says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) holder: String,
    computer: String,
    /// Seconds since 1970, by the machine's clock.
    renewed_at: i64,
    holds_seconds: i64,
    released: bool,
}

/// Why there is no lease.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{holder} is at work on the platform, and was {seconds_ago} s ago")]
    Held { holder: String, seconds_ago: i64 },
    /// Somebody else took it, or it could not be renewed in time.
    #[error("the right to change the platform was lost")]
    Lost,
    /// What stands there is no lease.
    #[error("{path} is damaged")]
    Damaged { path: String },
    #[error("{program} failed: {complaint}")]
    Command { program: &'static str, complaint: String },
    #[error("the platform's first machine does not answer")]
    Host(#[from] host::Error),
}

/// A lease that is held.
#[derive(Debug)]
pub struct Lease {
    folder: Folder,
    number: u64,
    holder: Holder,
}

impl Lease {
    /// Takes the lease, or waits for it. `told` hears who holds it, once for each holder.
    pub async fn take(
        host: Arc<dyn Host>,
        entropy: Arc<dyn Entropy>,
        holder: &Holder,
        patience: Duration,
        told: impl Fn(&str) + Send,
    ) -> Result<Self, Error> {
        let folder = Folder::make(host, entropy).await?;
        let until = Instant::now() + patience;
        let mut waited_for = None;
        loop {
            let now = folder.clock().await?;
            let highest = folder.highest().await?;
            let number = highest.as_ref().map_or(0, |(number, _)| *number);
            let held = highest.map(|(_, claim)| claim).filter(|claim| claim.holds(now, holder));
            let Some(claim) = held else {
                let claim = Claim::new(holder, now);
                if folder.claim(number + 1, &claim).await? {
                    return Ok(Lease { folder, number: number + 1, holder: holder.clone() });
                }
                continue;
            };
            if Instant::now() >= until {
                let seconds_ago = now - claim.renewed_at;
                return Err(Error::Held { holder: claim.holder, seconds_ago });
            }
            if waited_for.as_ref() != Some(&claim.holder) {
                told(&claim.holder);
                waited_for = Some(claim.holder);
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Renews it for ever. Ends when it is lost.
    pub async fn keep(&self) -> Error {
        let mut renewed = Instant::now();
        loop {
            sleep(RENEW_EVERY).await;
            match self.renew(false).await {
                Ok(()) => renewed = Instant::now(),
                Err(Error::Host(err)) if err.is_retryable() => {}
                Err(err) => return err,
            }
            // Others may take it from then on.
            if renewed.elapsed() + RENEW_EVERY >= HOLDS {
                return Error::Lost;
            }
        }
    }

    /// Gives it back, so that nobody has to wait.
    pub async fn release(self) -> Result<(), Error> {
        self.renew(true).await
    }

    async fn renew(&self, released: bool) -> Result<(), Error> {
        let now = self.folder.clock().await?;
        match self.folder.highest().await? {
            Some((number, _)) if number == self.number => {}
            Some(_) | None => return Err(Error::Lost),
        }
        let claim = Claim { released, ..Claim::new(&self.holder, now) };
        self.folder.replace(self.number, &claim).await
    }
}

impl Claim {
    fn new(holder: &Holder, now: i64) -> Self {
        Claim {
            holder: holder.name.clone(),
            computer: holder.computer.clone(),
            renewed_at: now,
            holds_seconds: i64::try_from(HOLDS.as_secs()).unwrap_or(i64::MAX),
            released: false,
        }
    }

    /// Whether somebody else than `me` holds by it.
    fn holds(&self, now: i64, me: &Holder) -> bool {
        let is_over = now.saturating_sub(self.renewed_at) >= self.holds_seconds;
        !self.released && self.computer != me.computer && !is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_holds_until_it_is_over_released_or_ones_own() {
        let holder =
            |computer: &str| Holder { name: "ops".to_owned(), computer: computer.to_owned() };
        let claim = Claim::new(&holder("one"), 1000);
        assert!(claim.holds(1000, &holder("two")) && claim.holds(1089, &holder("two")));
        assert!(!claim.holds(1090, &holder("two")) && !claim.holds(1000, &holder("one")));
        // A clock that was put back ends nothing.
        assert!(claim.holds(900, &holder("two")));
        let released = Claim { released: true, ..claim };
        assert!(!released.holds(1000, &holder("two")));
    }
}
