//! Whether what a service cannot work without can be reached, for as long as the service runs.

use std::time::Duration;

use common::port::Store;
use tokio::time::{sleep, timeout};

use crate::lifecycle::{Condition, Lifecycle};

const LOOK_EVERY: Duration = Duration::from_secs(5);
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Says whether the store answers, until the process stops.
pub async fn watch_store(store: &dyn Store, condition: &Condition, lifecycle: &Lifecycle) {
    let beat = lifecycle.beat("readiness");
    let look = async {
        loop {
            beat.now();
            match timeout(ANSWERS_WITHIN, store.sync()).await {
                Ok(Ok(())) => condition.holds(),
                Ok(Err(err)) => condition.fails(err.to_string()),
                Err(_) => condition.fails("the store does not answer"),
            }
            sleep(LOOK_EVERY).await;
        }
    };
    tokio::select! {
        biased;
        () = lifecycle.stopping() => {}
        () = look => {}
    }
}
