//! A session: what ephemeral records live as long as.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio_util::sync::CancellationToken;

use super::Shared;
use super::tree::Write;

/// The number of a session within this process; what earlier processes left is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SessionId(pub(super) u64);

impl SessionId {
    pub(super) const FIRST: SessionId = SessionId(1);
}

/// One client's session. It ends when this is dropped, and its watches with it.
#[derive(Debug)]
pub(super) struct Session {
    id: SessionId,
    shared: Arc<Shared>,
    next: Arc<AtomicU64>,
    ended: CancellationToken,
}

impl Session {
    /// The first session of a store.
    pub(super) fn begin(shared: Arc<Shared>, id: SessionId) -> Self {
        let next = Arc::new(AtomicU64::new(id.0 + 1));
        Session { id, shared, next, ended: CancellationToken::new() }
    }

    pub(super) fn another(&self) -> Self {
        let id = SessionId(self.next.fetch_add(1, Ordering::Relaxed));
        let (shared, next) = (Arc::clone(&self.shared), Arc::clone(&self.next));
        Session { id, shared, next, ended: CancellationToken::new() }
    }

    pub(super) fn id(&self) -> SessionId {
        self.id
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(super) fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }
}

impl Drop for Session {
    /// In turn with what the session has asked for, so that nothing is made after its end.
    fn drop(&mut self) {
        self.ended.cancel();
        if !self.shared.queue.leave(Write::End { session: self.id }) {
            let session = self.id.0;
            tracing::warn!(session, "too busy to end a session: its records stay until the start");
        }
    }
}
