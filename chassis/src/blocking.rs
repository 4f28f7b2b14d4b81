//! Work that would hold up everything else on its thread (checking an archive, hashing a password):
//! run beside the async threads, with a deadline, and told to stop when nobody waits any more.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task;

/// Why there is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the work took longer than its deadline")]
    DeadlineExceeded,
    #[error("the work broke off")]
    BrokeOff,
}

/// Whether the work is still wanted. Long work looks at it again and again, and returns early.
#[derive(Debug, Clone, Default)]
pub struct Cancelled(Arc<AtomicBool>);

impl Cancelled {
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Sets the flag when the caller stops waiting, for whatever reason.
struct Caller(Cancelled);

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

thread_local! {
    static HERE: Cell<bool> = const { Cell::new(false) };
}

/// From now on, work that this thread asks for is done by itself and at once: for a simulation, whose
/// time must not depend on other threads.
pub fn stay_on_this_thread() {
    HERE.set(true);
}

/// Runs `work` on a thread for blocking work. A thread cannot be taken away: `work` returns early by
/// itself once its [`Cancelled`] is set, which is when the deadline has passed or the caller was dropped.
pub async fn run<T: Send + 'static>(
    deadline: Duration,
    work: impl FnOnce(&Cancelled) -> T + Send + 'static,
) -> Result<T, Error> {
    let cancelled = Cancelled::default();
    if HERE.get() {
        return Ok(work(&cancelled));
    }
    let caller = Caller(cancelled.clone());
    #[expect(clippy::disallowed_methods, reason = "services take this function instead")]
    let running = task::spawn_blocking(move || work(&cancelled));
    let result = tokio::time::timeout(deadline, running).await;
    drop(caller);
    match result {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_)) => Err(Error::BrokeOff),
        Err(_) => Err(Error::DeadlineExceeded),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::task::{Context, Poll, Waker};

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn the_result_comes_back() {
        assert_eq!(run(LONG, |_| 6 * 7).await, Ok(42));
    }

    #[test]
    fn in_a_simulation_the_result_is_there_at_once() {
        stay_on_this_thread();
        let here = std::thread::current().id();
        let done = std::pin::pin!(run(LONG, |_| std::thread::current().id()));
        let polled = done.poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(polled, Poll::Ready(Ok(here)));
    }

    #[tokio::test]
    async fn work_that_breaks_off_is_an_error_and_not_a_panic_of_the_caller() {
        assert_eq!(run(LONG, |_| assert_eq!(1, 2)).await, Err(Error::BrokeOff));
    }

    #[tokio::test]
    async fn after_the_deadline_the_work_is_told_to_stop() {
        let (sender, stopped) = mpsc::channel();
        let work = move |cancelled: &Cancelled| {
            while !cancelled.is_set() {
                std::thread::yield_now();
            }
            sender.send(()).unwrap();
        };
        assert_eq!(run(Duration::from_millis(1), work).await, Err(Error::DeadlineExceeded));
        stopped.recv_timeout(LONG).unwrap();
    }
}
