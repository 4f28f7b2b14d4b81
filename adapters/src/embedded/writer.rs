//! The thread that writes: it takes whatever waits, does it in one transaction, syncs, answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use redb::WriteTransaction;
use tokio::runtime::{self, Runtime};
use tokio::time::{Instant, sleep};

use super::database::Live;
use super::failure::{self, Error};
use super::queue::{self, Failure, Fate, Intake, Queue, Queued};

/// How many writes one transaction takes, at most.
const MOST: usize = 4096;
/// How often there is work without anybody asking for it.
const TICK: Duration = Duration::from_mins(1);
/// How long nothing is written after a failure that may pass.
const REST: Duration = Duration::from_millis(500);

/// What is written to one database.
pub(super) trait Work: Send + 'static {
    type Write: Write;

    /// Reads what it remembers from the database, which was just opened.
    fn load(&mut self, transaction: &WriteTransaction, opening: Opening)
    -> Result<(), redb::Error>;

    /// Does each write wholly or not at all and prepares its answer.
    fn run(
        &mut self,
        transaction: &WriteTransaction,
        writes: &mut [Self::Write],
    ) -> Result<Wrote, redb::Error>;

    /// What was run is durable: tells those who watch.
    fn committed(&mut self);

    /// These writes are not done, or nobody knows: keeps what must be done all the same.
    fn failed(&mut self, writes: &[Self::Write]);

    /// Nothing is read or written any more.
    fn stopped(&mut self);
}

pub(super) trait Write: Send + 'static {
    /// Sends the prepared answer, or the reason why there is none.
    fn settle(self, outcome: Result<(), &Failure>);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// At the start of this process.
    First,
    /// After a failure.
    Again,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrote {
    Nothing,
    Something,
}

/// Starts the thread, once the work is loaded. Blocks.
pub(super) fn start<W: Work>(
    name: &str,
    live: Arc<Live>,
    mut work: W,
    within: Duration,
) -> Result<Queue<W::Write>, Error> {
    load(&live, &mut work, Opening::First).map_err(|cause| {
        let path = live.medium().path().to_owned();
        Arc::try_unwrap(cause)
            .unwrap_or_else(|cause| Error::Failed { path, source: Box::new(cause) })
    })?;
    let path = live.medium().path().to_owned();
    let (queue, intake) = queue::new(path.clone(), within);
    let writer = Writer { live, work, intake, health: Health::Good };
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(move || writer.run()).map_err(|err| failure::of_io(&path, err))?;
    Ok(queue)
}

struct Writer<W: Work> {
    live: Arc<Live>,
    work: W,
    intake: Intake<W::Write>,
    health: Health,
}

enum Health {
    Good,
    /// Nothing is written until then.
    Resting {
        cause: Arc<Error>,
        until: Instant,
    },
    /// Nothing is written until somebody has looked at it.
    Dead {
        cause: Arc<Error>,
    },
}

impl<W: Work> Writer<W> {
    fn run(mut self) {
        match runtime::Builder::new_current_thread().enable_time().build() {
            Ok(timer) => self.work_off(&timer),
            Err(err) => {
                tracing::error!(error = &err as &dyn std::error::Error, "nothing is written");
            }
        }
        let path = self.live.medium().path().to_owned();
        self.live.let_go(Arc::new(Error::Closed { path }));
        self.work.stopped();
    }

    fn work_off(&mut self, timer: &Runtime) {
        while let Some(batch) = timer.block_on(self.gather()) {
            let (mut writes, room): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|queued| (queued.write, queued.room)).unzip();
            let outcome = timer.block_on(async { self.serve(&mut writes) });
            match &outcome {
                Ok(()) => self.work.committed(),
                Err(_) => self.work.failed(&writes),
            }
            for write in writes {
                write.settle(outcome.as_ref().copied());
            }
            drop(room);
        }
    }

    /// All that waits; nothing when it is time for other work; none at the end.
    async fn gather(&mut self) -> Option<Vec<Queued<W::Write>>> {
        let tick = if matches!(self.health, Health::Good) { TICK } else { REST };
        let Intake { writes, closing, .. } = &mut self.intake;
        let mut batch = Vec::new();
        loop {
            let is_open = !writes.is_closed();
            tokio::select! {
                biased;
                () = closing.cancelled(), if is_open => writes.close(),
                taken = writes.recv_many(&mut batch, MOST) => {
                    return (taken > 0).then_some(batch);
                }
                () = sleep(tick) => return Some(batch),
            }
        }
    }

    fn serve(&mut self, writes: &mut [W::Write]) -> Result<(), Failure> {
        self.recover().map_err(|cause| Failure { fate: Fate::Undone, cause })?;
        let (live, work) = (&self.live, &mut self.work);
        let written = catch_unwind(AssertUnwindSafe(|| write(live, work, writes)));
        let written = written.unwrap_or_else(|panic| {
            let cause = failure::of_panic(live.medium().path(), panic.as_ref());
            Err(Failure { fate: Fate::Unknown, cause: Arc::new(cause) })
        });
        match &written {
            Ok(()) => self.health = Health::Good,
            Err(failure) => self.give_way(&failure.cause),
        }
        written
    }

    /// Makes sure that there is a database to write to.
    fn recover(&mut self) -> Result<(), Arc<Error>> {
        match &self.health {
            Health::Good => Ok(()),
            Health::Dead { cause } => Err(Arc::clone(cause)),
            Health::Resting { cause, until } if Instant::now() < *until => Err(Arc::clone(cause)),
            Health::Resting { .. } if self.live.lost().is_none() => Ok(()),
            Health::Resting { .. } => {
                let opened = self.reopen();
                if let Err(cause) = &opened {
                    self.rest(Arc::clone(cause));
                }
                opened
            }
        }
    }

    /// Lets go of a database that failed, as redb refuses to write to it, and opens it again for
    /// those who read, if there is hope.
    fn give_way(&mut self, cause: &Arc<Error>) {
        tracing::error!(error = cause.as_ref() as &dyn std::error::Error, "nothing is written");
        self.live.let_go(Arc::clone(cause));
        self.rest(Arc::clone(cause));
        if cause.is_passing()
            && let Err(cause) = self.reopen()
        {
            self.rest(cause);
        }
    }

    fn rest(&mut self, cause: Arc<Error>) {
        self.health = if cause.is_passing() {
            Health::Resting { cause, until: Instant::now() + REST }
        } else {
            self.work.stopped();
            self.live.end(&cause);
            Health::Dead { cause }
        };
    }

    fn reopen(&mut self) -> Result<(), Arc<Error>> {
        let reopened = self.live.reopen().map_err(Arc::new);
        let loaded = reopened.and_then(|()| load(&self.live, &mut self.work, Opening::Again));
        if let Err(cause) = &loaded {
            self.live.let_go(Arc::clone(cause));
        }
        loaded
    }
}

fn load<W: Work>(live: &Live, work: &mut W, opening: Opening) -> Result<(), Arc<Error>> {
    let loading = || {
        let mut transaction = live.begin_write()?;
        transaction.set_two_phase_commit(true);
        work.load(&transaction, opening).map_err(|err| live.failed(err))?;
        transaction.commit().map_err(|err| live.failed(err.into()))
    };
    catch_unwind(AssertUnwindSafe(loading)).unwrap_or_else(|panic| {
        Err(Arc::new(failure::of_panic(live.medium().path(), panic.as_ref())))
    })
}

/// One transaction. In two phases: with one, a page that rots after a crash could not be told from
/// one that was never written, and the last transaction would be taken back in silence.
fn write<W: Work>(live: &Live, work: &mut W, writes: &mut [W::Write]) -> Result<(), Failure> {
    let undone = |cause| Failure { fate: Fate::Undone, cause };
    let mut transaction = live.begin_write().map_err(undone)?;
    transaction.set_two_phase_commit(true);
    match work.run(&transaction, writes).map_err(|err| undone(live.failed(err)))? {
        Wrote::Nothing => transaction.abort().map_err(|err| undone(live.failed(err.into()))),
        Wrote::Something => transaction.commit().map_err(|err| {
            let cause = live.failed(err.into());
            Failure { fate: Fate::Unknown, cause }
        }),
    }
}
