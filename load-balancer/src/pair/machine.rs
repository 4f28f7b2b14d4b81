//! [`Machine`]: the other edge's machine, as the node manager judges it. Silence of a load balancer says nothing of the
//! edge beside it, which may serve visitors on what it had; this verdict does.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chassis::records::{Error, load};
use common::name::NodeName;
use common::port::Store;
use common::record::node::{Alive, Node, Verdict};
use common::record::path;
use tokio::time::Instant;

/// For how long what was read is believed: many may ask at once.
const BELIEVED: Duration = Duration::from_secs(1);

/// Where the other edge stands.
#[derive(Debug)]
pub(crate) struct Machine {
    store: Arc<dyn Store>,
    ip: Option<IpAddr>,
    seen: Mutex<Option<(Instant, bool)>>,
}

impl Machine {
    pub(crate) fn new(store: Arc<dyn Store>, ip: Option<IpAddr>) -> Self {
        Machine { store, ip, seen: Mutex::default() }
    }

    /// Whether it is recorded dead, or is no node of the platform (any more). What cannot be read is neither.
    pub(super) async fn is_written_off(&self) -> bool {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, written_off)) = seen.filter(|(at, _)| at.elapsed() < BELIEVED) {
            return written_off;
        }
        let written_off = match self.look().await {
            Ok(verdict) => verdict.is_none_or(|verdict| verdict == Verdict::Dead),
            Err(err) => {
                tracing::debug!(
                    error = &err as &dyn std::error::Error,
                    "the other edge's node is not known"
                );
                false
            }
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Some((Instant::now(), written_off));
        written_off
    }

    /// What is said of its node; none where it is no node.
    async fn look(&self) -> Result<Option<Verdict>, Error> {
        let store = &*self.store;
        for name in store.children(&path::folder("nodes")).await? {
            let Ok(name) = name.parse::<NodeName>() else { continue };
            let node = load::<Node>(store, &path::node(&name)).await?;
            if node.is_some_and(|node| Some(node.record.ip) == self.ip) {
                let alive = load::<Alive>(store, &path::alive(&name)).await?;
                return Ok(Some(alive.map_or(Verdict::Live, |alive| alive.record.verdict)));
            }
        }
        Ok(None)
    }
}
