//! The delays of the simulation, in microseconds.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::lock;

#[derive(Debug, Default)]
pub(super) struct Timeline {
    now: u64,
    made: u64,
    /// When each delay ends, and its number.
    ends: BinaryHeap<Reverse<(u64, u64)>>,
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Debug)]
enum Waiting {
    Asleep(Option<Waker>),
    Over,
}

impl Timeline {
    pub(super) fn now(&self) -> u64 {
        self.now
    }

    pub(super) fn sleep(timeline: &Arc<Mutex<Timeline>>, span: Duration) -> Sleep {
        let mut inner = lock(timeline);
        inner.made += 1;
        let number = inner.made;
        let end = inner.now + u64::try_from(span.as_micros()).unwrap_or(u64::MAX / 2);
        inner.ends.push(Reverse((end, number)));
        inner.waiting.insert(number, Waiting::Asleep(None));
        drop(inner);
        Sleep { timeline: Arc::clone(timeline), number }
    }

    /// When the next delay ends.
    pub(super) fn next(&self) -> Option<u64> {
        self.ends.peek().map(|Reverse((end, _))| *end)
    }

    /// Ends the next delay if its time has come; says whether it had.
    pub(super) fn fire_next(&mut self, elapsed: u64) -> bool {
        while let Some(Reverse((end, number))) = self.ends.peek().copied() {
            if end > elapsed {
                break;
            }
            self.ends.pop();
            // Nobody waits for it any more.
            let Some(waiting) = self.waiting.get_mut(&number) else { continue };
            self.now = self.now.max(end);
            if let Waiting::Asleep(Some(waker)) = std::mem::replace(waiting, Waiting::Over) {
                waker.wake();
            }
            return true;
        }
        self.now = self.now.max(elapsed);
        false
    }
}

/// A delay; see [`super::Stage::sleep`].
#[derive(Debug)]
pub(crate) struct Sleep {
    timeline: Arc<Mutex<Timeline>>,
    number: u64,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match lock(&self.timeline).waiting.get_mut(&self.number) {
            Some(Waiting::Asleep(waker)) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            Some(Waiting::Over) | None => Poll::Ready(()),
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        lock(&self.timeline).waiting.remove(&self.number);
    }
}
