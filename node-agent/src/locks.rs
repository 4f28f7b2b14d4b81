//! One caller at a time per name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

#[derive(Debug)]
pub(crate) struct Locks<N> {
    of_name: Mutex<BTreeMap<N, Arc<tokio::sync::Mutex<()>>>>,
}

impl<N> Default for Locks<N> {
    fn default() -> Self {
        Locks { of_name: Mutex::default() }
    }
}

impl<N: Clone + Ord> Locks<N> {
    pub(crate) async fn lock(&self, name: &N) -> OwnedMutexGuard<()> {
        self.of(name).lock_owned().await
    }

    /// None if another has it.
    pub(crate) fn try_lock(&self, name: &N) -> Option<OwnedMutexGuard<()>> {
        self.of(name).try_lock_owned().ok()
    }

    fn of(&self, name: &N) -> Arc<tokio::sync::Mutex<()>> {
        let mut of_name = self.of_name.lock().unwrap_or_else(PoisonError::into_inner);
        of_name.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(of_name.entry(name.clone()).or_default())
    }
}
