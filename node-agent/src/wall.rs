//! Holds the firewall up. Where it is wanted, no container is started before it stands.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use common::port::containers;

use crate::ports::{Firewall, Rules};

/// Whoever changes the machine's rules, they hold again after this time.
const EVERY: Duration = Duration::from_secs(30);
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

    /// Refuses for as long as apps could reach what they must not.
    pub(crate) fn stands(&self) -> Result<(), containers::Error> {
        if self.stands.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(containers::Error::Unavailable("the firewall does not stand yet".into()))
    }

    /// Runs until the process stops. Registers the condition `firewall` where there is to be one.
    pub(crate) async fn hold_up(&self, lifecycle: &Lifecycle) {
        let Some(rules) = &self.rules else { return };
        let condition = lifecycle.condition("firewall");
        let beat = lifecycle.beat("firewall");
        while !lifecycle.is_stopping() {
            beat.now();
            let wait = match self.firewall.apply(rules).await {
                Ok(()) => {
                    self.stands.store(true, Ordering::Release);
                    condition.holds();
                    EVERY / 2
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
