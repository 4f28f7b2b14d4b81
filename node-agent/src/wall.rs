//! Holds the firewall up. Where it is wanted, nothing is started or built while it does not stand.

use std::sync::Arc;
use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use common::port::{Cause, containers};
use tokio::sync::{Mutex, Notify};

use crate::ports::{Firewall, Rules};

/// Whoever changes the machine's rules, what runs already is behind them again after this time. What
/// is started in between does not wait for it: it looks for itself.
const EVERY: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct Wall {
    firewall: Arc<dyn Firewall>,
    /// None where the machine is not to have one.
    rules: Option<Rules>,
    /// Whether it could be made to stand when last tried. Held while somebody tries.
    stood: Mutex<bool>,
    /// A start found that it cannot be made to stand any more.
    fell: Notify,
}

impl Wall {
    pub(crate) fn new(firewall: Arc<dyn Firewall>, rules: Option<Rules>) -> Self {
        Wall { firewall, rules, stood: Mutex::default(), fell: Notify::new() }
    }

    /// Makes it stand now, or refuses: an app or a build could reach what it must not. Where the last
    /// try failed only [`hold_up`](Self::hold_up) tries again, so that callers wait for one at most.
    pub(crate) async fn must_stand(&self) -> Result<(), containers::Error> {
        let Some(rules) = &self.rules else { return Ok(()) };
        let mut stood = self.stood.lock().await;
        if !*stood {
            return Err(containers::Error::Unavailable("the firewall does not stand".into()));
        }
        let applied = self.firewall.apply(rules).await;
        *stood = applied.is_ok();
        applied.map_err(|err| {
            self.fell.notify_one();
            containers::Error::Unavailable(err)
        })
    }

    async fn build(&self, rules: &Rules) -> Result<(), Cause> {
        let mut stood = self.stood.lock().await;
        let applied = self.firewall.apply(rules).await;
        *stood = applied.is_ok();
        applied
    }

    /// Runs until the process stops. Registers the condition `firewall` where there is to be one.
    pub(crate) async fn hold_up(&self, lifecycle: &Lifecycle) {
        let Some(rules) = &self.rules else { return };
        let condition = lifecycle.condition("firewall");
        let beat = lifecycle.beat("firewall");
        while !lifecycle.is_stopping() {
            beat.now();
            let wait = match self.build(rules).await {
                Ok(()) => {
                    condition.holds();
                    EVERY
                }
                Err(err) => {
                    condition.fails(err.to_string());
                    tracing::warn!(
                        error = &*err as &dyn std::error::Error,
                        "the firewall does not hold; trying again"
                    );
                    RETRY
                }
            };
            tokio::select! {
                biased;
                () = lifecycle.stopping() => {}
                () = self.fell.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use async_trait::async_trait;

    use super::*;

    /// Holds until somebody takes its program away.
    #[derive(Debug, Default)]
    struct Fragile {
        broken: AtomicBool,
        /// Whether the rules stand in the machine.
        holds: AtomicBool,
    }

    #[async_trait]
    impl Firewall for Fragile {
        async fn apply(&self, _: &Rules) -> Result<(), Cause> {
            let broken = self.broken.load(Ordering::Acquire);
            self.holds.store(!broken, Ordering::Release);
            if broken { Err("no iptables".into()) } else { Ok(()) }
        }
    }

    /// Runs a test while a wall is held up.
    async fn with_wall(test: impl AsyncFnOnce(&Fragile, &Wall, &Lifecycle)) {
        let firewall = Arc::new(Fragile::default());
        let wall = Wall::new(Arc::clone(&firewall) as _, Some(Rules::default()));
        assert!(wall.must_stand().await.is_err(), "it was never built");
        let lifecycle = Lifecycle::new();
        let life = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            test(&firewall, &wall, &lifecycle).await;
        };
        tokio::select! {
            biased;
            () = life => {}
            () = wall.hold_up(&lifecycle) => panic!("the wall was given up"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wall_that_cannot_be_held_up_any_more_does_not_stand() {
        with_wall(async |firewall, wall, lifecycle| {
            wall.must_stand().await.unwrap();
            firewall.broken.store(true, Ordering::Release);
            tokio::time::sleep(EVERY).await;
            assert!(!lifecycle.is_ready());
            assert!(wall.must_stand().await.is_err());
            firewall.broken.store(false, Ordering::Release);
            tokio::time::sleep(RETRY).await;
            assert!(wall.must_stand().await.is_ok() && lifecycle.is_ready());
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_wall_that_was_taken_down_stands_before_anything_is_started() {
        with_wall(async |firewall, wall, _| {
            firewall.holds.store(false, Ordering::Release);
            wall.must_stand().await.unwrap();
            assert!(firewall.holds.load(Ordering::Acquire), "nobody looked");
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_that_finds_no_wall_is_refused_and_has_it_built_again_at_once() {
        with_wall(async |firewall, wall, lifecycle| {
            firewall.broken.store(true, Ordering::Release);
            assert!(wall.must_stand().await.is_err(), "it was believed to stand");
            firewall.broken.store(false, Ordering::Release);
            assert!(wall.must_stand().await.is_err(), "a caller waited for it");
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert!(wall.must_stand().await.is_ok() && lifecycle.is_ready());
        })
        .await;
    }
}
