//! [`MemoryWebhooks`]: receivers that note what they are told, and fail on demand.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use common::port::Webhooks;
use common::port::webhooks::{Error, Notice};

/// How one attempt ends instead of well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The receiver was not told.
    Refused(u16),
    /// The receiver was told, and its answer is lost.
    AnswerLost,
    /// The receiver was told, and the caller waits for ever: a crash just after the request.
    AnswerStuck,
}

/// Receivers in memory; any name is one. Clones are the same receivers.
#[derive(Debug, Clone, Default)]
pub struct MemoryWebhooks {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    told: Vec<(String, Notice)>,
    faults: BTreeMap<String, VecDeque<Fault>>,
    attempts: usize,
    is_down: bool,
}

impl MemoryWebhooks {
    pub fn new() -> Self {
        MemoryWebhooks::default()
    }

    /// The next `count` attempts to tell this receiver fail so.
    pub fn fail(&self, receiver: &str, count: usize, fault: Fault) {
        let mut inner = self.inner();
        let faults = inner.faults.entry(receiver.to_owned()).or_default();
        faults.extend(std::iter::repeat_n(fault, count));
    }

    /// Whether from now on no receiver can be reached.
    pub fn set_down(&self, is_down: bool) {
        self.inner().is_down = is_down;
    }

    /// Everything that receivers were told, in order, repeats included.
    pub fn told(&self) -> Vec<(String, Notice)> {
        self.inner().told.clone()
    }

    /// How often somebody tried.
    pub fn attempts(&self) -> usize {
        self.inner().attempts
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attempt(&self, receiver: &str, notice: &Notice) -> Option<Result<(), Error>> {
        let mut inner = self.inner();
        inner.attempts += 1;
        if inner.is_down {
            return Some(Err(Error::Unavailable("the test made it so".into())));
        }
        let fault = inner.faults.get_mut(receiver).and_then(VecDeque::pop_front);
        if let Some(Fault::Refused(status)) = fault {
            return Some(Err(Error::Refused { status }));
        }
        inner.told.push((receiver.to_owned(), notice.clone()));
        match fault {
            Some(Fault::AnswerLost) => Some(Err(Error::Unavailable("the test made it so".into()))),
            Some(Fault::AnswerStuck) => None,
            Some(Fault::Refused(_)) | None => Some(Ok(())),
        }
    }
}

#[async_trait]
impl Webhooks for MemoryWebhooks {
    async fn tell(&self, receiver: &str, notice: &Notice) -> Result<(), Error> {
        tokio::task::yield_now().await;
        match self.attempt(receiver, notice) {
            Some(ended) => ended,
            None => std::future::pending().await,
        }
    }
}
