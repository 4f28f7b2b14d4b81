//! [`MemoryShares`]: the shares that are known somewhere, in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use common::name::ShareName;
use common::port::share::{Access, Closed};
use common::port::{Cause, Share, Shares};

use super::MemoryShare;

/// Shares by their names. Clones know the same.
#[derive(Debug, Clone, Default)]
pub struct MemoryShares {
    known: Arc<Mutex<BTreeMap<ShareName, MemoryShare>>>,
    kept: Arc<Mutex<BTreeMap<ShareName, Access>>>,
}

impl MemoryShares {
    /// From now on this share is known.
    pub fn put(&self, name: &ShareName, share: &MemoryShare) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(name.clone(), share.clone());
    }

    /// What was last said of a share. Who reads it here still has to [`MemoryShares::put`] it.
    pub fn kept(&self, name: &ShareName) -> Option<Access> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

#[async_trait]
impl Shares for MemoryShares {
    async fn open(&self, name: &ShareName) -> Result<Arc<dyn Share>, Closed> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let share = known.get(name).cloned().ok_or_else(|| Closed::Unknown(name.clone()))?;
        Ok(Arc::new(share))
    }

    async fn keep(&self, name: &ShareName, access: &Access) -> Result<(), Cause> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(name.clone(), access.clone());
        Ok(())
    }
}
