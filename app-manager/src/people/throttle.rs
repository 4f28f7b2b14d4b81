//! A brake on guessing: so many attempts a minute for one account, whether it exists or not.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const WINDOW: Duration = Duration::from_mins(1);
const ATTEMPTS: usize = 5;
/// How many accounts are remembered at once; beyond that, nobody new may try.
const ACCOUNTS: usize = 10_000;

/// Counts attempts. In memory: a restart forgives.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    attempts: Mutex<BTreeMap<String, VecDeque<Instant>>>,
}

impl Throttle {
    /// Notes an attempt, before it is made, so that many at once count as many. An error says how long
    /// to wait.
    pub(crate) fn attempt(&self, account: &str) -> Result<(), Duration> {
        let now = Instant::now();
        let mut all = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(account) && all.len() >= ACCOUNTS {
            all.retain(|_, times| times.back().is_some_and(|last| now - *last < WINDOW));
            if all.len() >= ACCOUNTS {
                return Err(WINDOW);
            }
        }
        let times = all.entry(account.to_owned()).or_default();
        times.retain(|time| now - *time < WINDOW);
        if times.len() >= ATTEMPTS {
            let oldest = times.front().copied().unwrap_or(now);
            return Err(WINDOW.saturating_sub(now - oldest));
        }
        times.push_back(now);
        Ok(())
    }

    /// The account's holder has shown to be who they are.
    pub(crate) fn forgive(&self, account: &str) {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).remove(account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_sixth_attempt_within_a_minute_has_to_wait() {
        let throttle = Throttle::default();
        for _ in 0..5 {
            assert_eq!(throttle.attempt("ann"), Ok(()));
            tokio::time::advance(Duration::from_secs(2)).await;
        }
        assert_eq!(throttle.attempt("ann"), Err(Duration::from_secs(50)));
        assert_eq!(throttle.attempt("bob"), Ok(()));
        tokio::time::advance(Duration::from_secs(50)).await;
        assert_eq!(throttle.attempt("ann"), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn signing_in_forgives() {
        let throttle = Throttle::default();
        for _ in 0..20 {
            assert_eq!(throttle.attempt("ann"), Ok(()));
            throttle.forgive("ann");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn memory_has_a_bound() {
        let throttle = Throttle::default();
        for number in 0..ACCOUNTS {
            assert_eq!(throttle.attempt(&format!("a{number}")), Ok(()));
        }
        assert_eq!(throttle.attempt("one.more"), Err(WINDOW));
        tokio::time::advance(WINDOW).await;
        assert_eq!(throttle.attempt("one.more"), Ok(()));
    }
}
