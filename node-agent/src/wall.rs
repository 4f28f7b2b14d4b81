//! Holds the firewall up. Where it is wanted, nothing is started or built while it does not stand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use common::port::containers;

use crate::ports::{Firewall, Rules};

/// Whoever changes the machine's rules, they hold again after this time.
const EVERY: Duration = Duration::from_secs(15);
const RETRY: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct Wall {
    firewall: Arc<dyn Firewall>,
    /// None where the machine is not to have one.
    rules: Option<Rules>,
    stands: AtomicBool,
}

impl Wall {
    pub(crate) fn new(firewall: Arc<dyn Firewall>, rules: Option<Rules>) -> Self {
        let stands = AtomicBool::new(rules.is_none());
        Wall { firewall, rules, stands }
    }

    /// Refuses for as long as an app or a build could reach what it must not.
    pub(crate) fn stands(&self) -> Result<(), containers::Error> {
        if self.stands.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(containers::Error::Unavailable("the firewall does not stand".into()))
    }

    /// Runs until the process stops. Registers the condition `firewall` where there is to be one.
    pub(crate) async fn hold_up(&self, lifecycle: &Lifecycle) {
        let Some(rules) = &self.rules else { return };
        let condition = lifecycle.condition("firewall");
        let beat = lifecycle.beat("firewall");
        while !lifecycle.is_stopping() {
            beat.now();
            let applied = self.firewall.apply(rules).await;
            self.stands.store(applied.is_ok(), Ordering::Release);
            let wait = match applied {
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
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use common::port::Cause;

    use super::*;

    /// Holds until somebody takes its program away.
    #[derive(Debug, Default)]
    struct Fragile {
        broken: AtomicBool,
    }

    #[async_trait]
    impl Firewall for Fragile {
        async fn apply(&self, _: &Rules) -> Result<(), Cause> {
            if self.broken.load(Ordering::Acquire) { Err("no iptables".into()) } else { Ok(()) }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wall_that_cannot_be_held_up_any_more_does_not_stand() {
        let firewall = Arc::new(Fragile::default());
        let wall = Wall::new(Arc::clone(&firewall) as _, Some(Rules::default()));
        assert!(wall.stands().is_err(), "it was never built");
        let lifecycle = Lifecycle::new();
        let life = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(wall.stands().is_ok());
            firewall.broken.store(true, Ordering::Release);
            tokio::time::sleep(EVERY).await;
            assert!(wall.stands().is_err());
            assert!(!lifecycle.is_ready());
            firewall.broken.store(false, Ordering::Release);
            tokio::time::sleep(RETRY).await;
            assert!(wall.stands().is_ok() && lifecycle.is_ready());
        };
        tokio::select! { biased; () = life => {}, () = wall.hold_up(&lifecycle) => {} }
    }
}
