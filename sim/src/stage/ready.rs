//! Which units were woken.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker};

use super::{UnitId, lock};

#[derive(Debug, Default)]
pub(super) struct Ready {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    woken: BTreeSet<UnitId>,
    root: Option<Waker>,
}

impl Ready {
    pub(super) fn add(&self, id: UnitId) {
        let mut inner = lock(&self.inner);
        inner.woken.insert(id);
        let root = inner.root.take();
        drop(inner);
        if let Some(root) = root {
            root.wake();
        }
    }

    /// The first of them.
    pub(super) fn take(&self) -> Option<UnitId> {
        lock(&self.inner).woken.pop_first()
    }

    /// Completes once there is one.
    pub(super) async fn wait(&self) {
        poll_fn(|context| {
            let mut inner = lock(&self.inner);
            if inner.woken.is_empty() {
                inner.root = Some(context.waker().clone());
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }
}

pub(super) struct UnitWaker {
    pub(super) id: UnitId,
    pub(super) ready: Arc<Ready>,
}

impl Wake for UnitWaker {
    fn wake(self: Arc<Self>) {
        self.ready.add(self.id);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.add(self.id);
    }
}
