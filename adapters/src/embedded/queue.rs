//! What waits to be written: bounded, each with a deadline, answered once it is durable.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::failure::Error;

/// A write takes at least one unit of the queue, and one more for each of these bytes.
const UNIT: usize = 1024;
/// How many units may wait: 16 MiB.
const UNITS: usize = 16 * 1024;
/// Places for writes that come without room being asked for: the ends of sessions.
const SPARE: usize = 1024;
/// How long closing may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(30);

/// Why a write has no answer.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) fate: Fate,
    pub(super) cause: Arc<Error>,
}

/// What became of a write without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was not done and never will be.
    Undone,
    /// It may have been done, or still be.
    Unknown,
}

/// The way back to whoever waits for a write.
#[derive(Debug)]
pub(super) struct Reply<T> {
    sender: oneshot::Sender<Result<T, Failure>>,
    answer: Option<T>,
}

impl<T> Reply<T> {
    /// What will be answered as soon as it is durable.
    pub(super) fn prepare(&mut self, answer: T) {
        self.answer = Some(answer);
    }

    pub(super) fn settle(self, outcome: Result<(), &Failure>) {
        let answer = match outcome {
            Ok(()) => self.answer.map(Ok),
            Err(failure) => Some(Err(failure.clone())),
        };
        if let Some(answer) = answer {
            // Whoever gave up waiting does not want to know.
            drop(self.sender.send(answer));
        }
    }
}

/// A write on its way, with the room that it takes until it is settled.
#[derive(Debug)]
pub(super) struct Queued<J> {
    pub(super) write: J,
    pub(super) room: Option<OwnedSemaphorePermit>,
}

/// The end of the queue that takes writes. The writer stops when it is dropped.
#[derive(Debug)]
pub(super) struct Queue<J> {
    sender: mpsc::Sender<Queued<J>>,
    room: Arc<Semaphore>,
    within: Duration,
    path: PathBuf,
    closing: CancellationToken,
    ended: CancellationToken,
}

/// The end of the queue that the writer reads.
#[derive(Debug)]
pub(super) struct Intake<J> {
    pub(super) writes: mpsc::Receiver<Queued<J>>,
    /// Whether somebody asked to stop.
    pub(super) closing: CancellationToken,
    /// Tells that the writer has ended, however it did.
    _ended: DropGuard,
}

/// A queue for the database at `path`; each of its writes is done `within` that time.
pub(super) fn new<J>(path: PathBuf, within: Duration) -> (Queue<J>, Intake<J>) {
    let (sender, writes) = mpsc::channel(UNITS + SPARE);
    let (closing, ended) = (CancellationToken::new(), CancellationToken::new());
    let intake = Intake { writes, closing: closing.clone(), _ended: ended.clone().drop_guard() };
    let room = Arc::new(Semaphore::new(UNITS));
    (Queue { sender, room, within, path, closing, ended }, intake)
}

impl<J> Queue<J> {
    /// Waits until the write, of so many bytes, is done and durable.
    pub(super) async fn submit<T>(
        &self,
        size: usize,
        write: impl FnOnce(Reply<T>) -> J,
    ) -> Result<T, Failure> {
        let deadline = Instant::now() + self.within;
        let units = u32::try_from((1 + size / UNIT).min(UNITS)).unwrap_or(u32::MAX);
        let asking = Arc::clone(&self.room).acquire_many_owned(units);
        let Ok(Ok(room)) = timeout_at(deadline, asking).await else {
            return Err(self.failure(Fate::Undone, Reason::Overloaded));
        };
        let (sender, answer) = oneshot::channel();
        let queued = Queued { write: write(Reply { sender, answer: None }), room: Some(room) };
        // There are as many places as units, so it is never full.
        if self.sender.try_send(queued).is_err() {
            return Err(self.failure(Fate::Undone, Reason::Closed));
        }
        match timeout_at(deadline, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(self.failure(Fate::Unknown, Reason::Closed)),
            Err(_) => Err(self.failure(Fate::Unknown, Reason::Overloaded)),
        }
    }

    /// Leaves a write that nobody waits for, without waiting for room. False if there is no place.
    pub(super) fn leave(&self, write: J) -> bool {
        match self.sender.try_send(Queued { write, room: None }) {
            // Nothing is written any more, and what ends with the process is gone at the next start.
            Ok(()) | Err(TrySendError::Closed(_)) => true,
            Err(TrySendError::Full(_)) => false,
        }
    }

    /// Does what is in the queue, closes the database, and returns once it is closed.
    pub(super) async fn close(&self) -> Result<(), Error> {
        self.closing.cancel();
        let ended = timeout(CLOSE_WITHIN, self.ended.cancelled()).await;
        ended.map_err(|_| Error::Overloaded { path: self.path.clone() })
    }

    fn failure(&self, fate: Fate, reason: Reason) -> Failure {
        let path = self.path.clone();
        let cause = match reason {
            Reason::Overloaded => Error::Overloaded { path },
            Reason::Closed => Error::Closed { path },
        };
        Failure { fate, cause: Arc::new(cause) }
    }
}

#[derive(Clone, Copy)]
enum Reason {
    Overloaded,
    Closed,
}

#[cfg(test)]
mod tests {
    use super::*;

    type Sized = (usize, Reply<()>);

    fn queue() -> (Queue<Sized>, Intake<Sized>) {
        new(PathBuf::from("file"), Duration::from_secs(5))
    }

    #[tokio::test(start_paused = true)]
    async fn what_finds_no_room_was_never_queued() {
        let (queue, mut intake) = queue();
        let submit = async |size: usize| queue.submit(size, |reply| (size, reply)).await;
        let large = UNITS * UNIT / 2;
        let (first, second) = tokio::join!(submit(large), submit(large));
        assert_eq!(first.unwrap_err().fate, Fate::Unknown, "nobody read the queue");
        assert_eq!(second.unwrap_err().fate, Fate::Undone);
        assert_eq!(intake.writes.try_recv().unwrap().write.0, large);
        assert!(intake.writes.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_given_once_it_is_settled() {
        let (queue, mut intake) = queue();
        let answering = async {
            for settled in [Ok(()), Err(Fate::Unknown)] {
                let (_, mut reply) = intake.writes.recv().await.unwrap().write;
                reply.prepare(());
                let cause = Arc::new(Error::Closed { path: PathBuf::new() });
                let outcome = settled.map_err(|fate| Failure { fate, cause });
                reply.settle(outcome.as_ref().copied());
            }
        };
        let asking = async {
            assert!(queue.submit(1, |reply| (1, reply)).await.is_ok());
            queue.submit(1, |reply| (1, reply)).await.unwrap_err().fate
        };
        assert_eq!(tokio::join!(asking, answering).0, Fate::Unknown);
        drop(intake);
        let late = queue.submit(1, |reply| (1, reply)).await.unwrap_err();
        assert_eq!(late.fate, Fate::Undone);
        queue.close().await.unwrap();
    }
}
