//! One caller at a time per container.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use common::name::ContainerName;
use tokio::sync::OwnedMutexGuard;

#[derive(Debug, Default)]
pub(super) struct Locks {
    of_name: Mutex<BTreeMap<ContainerName, Arc<tokio::sync::Mutex<()>>>>,
}

impl Locks {
    pub(super) async fn lock(&self, name: &ContainerName) -> OwnedMutexGuard<()> {
        let lock = {
            let mut of_name = self.of_name.lock().unwrap_or_else(PoisonError::into_inner);
            of_name.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(of_name.entry(name.clone()).or_default())
        };
        lock.lock_owned().await
    }
}
