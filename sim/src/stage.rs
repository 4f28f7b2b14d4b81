//! The stage: runs all futures of a simulated world in one thread, one event at a time.
//!
//! A *unit* is a future that lives and dies as a whole: a life of a service, a request on its way. What
//! wakes units at the same moment does not decide who goes first: the lowest number does. Time is
//! tokio's paused time, finer by microseconds: of two delays the shorter one ends first, and all that
//! follows from it happens before the other one's end.

mod ready;
mod timeline;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use self::ready::{Ready, UnitWaker};
pub(crate) use self::timeline::Sleep;
use self::timeline::Timeline;

/// Names a unit; later ones have higher numbers.
pub(crate) type UnitId = u64;

/// Who a unit ends with; 0: with nobody.
pub(crate) type Owner = u64;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs units. Cheap to share; one per world.
#[derive(Debug)]
pub(crate) struct Stage {
    started: Instant,
    ready: Arc<Ready>,
    timeline: Arc<Mutex<Timeline>>,
    wishes: Mutex<Wishes>,
}

/// What units asked for while they were polled: done as soon as they are not.
#[derive(Default)]
struct Wishes {
    next: UnitId,
    new: Vec<(UnitId, Owner, Task)>,
    ended: Vec<Owner>,
    paused: BTreeSet<Owner>,
    resumed: bool,
}

impl std::fmt::Debug for Wishes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wishes").field("next", &self.next).finish_non_exhaustive()
    }
}

struct Unit {
    owner: Owner,
    task: Task,
    waker: Waker,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stage {
    /// An empty stage; must be made inside of a tokio runtime.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Stage {
            started: Instant::now(),
            ready: Arc::default(),
            timeline: Arc::default(),
            wishes: Mutex::default(),
        })
    }

    /// Puts a future onto the stage. It ends with its owner.
    pub(crate) fn spawn(
        &self,
        owner: Owner,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> UnitId {
        let mut wishes = lock(&self.wishes);
        wishes.next += 1;
        let unit = wishes.next;
        wishes.new.push((unit, owner, Box::pin(task)));
        unit
    }

    /// Runs a future as a unit of its own; none if its owner ended before it did.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        owner: Owner,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        self.spawn(owner, async move {
            // Who asked may not wait any more.
            drop(sender.send(task.await));
        });
        receiver.await.ok()
    }

    /// Drops all units of an owner.
    pub(crate) fn end(&self, owner: Owner) {
        lock(&self.wishes).ended.push(owner);
    }

    /// Does not poll an owner's units until it is resumed.
    pub(crate) fn pause(&self, owner: Owner) {
        lock(&self.wishes).paused.insert(owner);
    }

    pub(crate) fn resume(&self, owner: Owner) {
        let mut wishes = lock(&self.wishes);
        wishes.paused.remove(&owner);
        wishes.resumed = true;
    }

    /// Completes after a span of simulated time.
    pub(crate) fn sleep(&self, span: Duration) -> Sleep {
        Timeline::sleep(&self.timeline, span)
    }

    /// Simulated time since the beginning, in microseconds.
    pub(crate) fn now(&self) -> u64 {
        lock(&self.timeline).now()
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Runs units until `ended` says so; it is asked after every event. The units are dropped then.
    pub(crate) async fn run(&self, mut ended: impl FnMut() -> bool) {
        let mut units: BTreeMap<UnitId, Unit> = BTreeMap::new();
        let mut held: BTreeSet<UnitId> = BTreeSet::new();
        loop {
            self.grant(&mut units, &mut held);
            if let Some(id) = self.ready.take() {
                self.poll(&mut units, &mut held, id);
                continue;
            }
            if ended() {
                return;
            }
            if !lock(&self.timeline).fire_next(self.elapsed()) {
                self.wait().await;
            }
        }
    }

    fn grant(&self, units: &mut BTreeMap<UnitId, Unit>, held: &mut BTreeSet<UnitId>) {
        let mut wishes = lock(&self.wishes);
        let (new, ended) = (std::mem::take(&mut wishes.new), std::mem::take(&mut wishes.ended));
        if std::mem::take(&mut wishes.resumed) {
            for id in std::mem::take(held) {
                self.ready.add(id);
            }
        }
        drop(wishes);
        for (id, owner, task) in new {
            let waker = Waker::from(Arc::new(UnitWaker { id, ready: Arc::clone(&self.ready) }));
            units.insert(id, Unit { owner, task, waker });
            self.ready.add(id);
        }
        for owner in ended {
            // Dropped after the map was left: what ends may wake others.
            let gone: Vec<UnitId> =
                units.iter().filter(|(_, unit)| unit.owner == owner).map(|(id, _)| *id).collect();
            for id in gone {
                drop(units.remove(&id));
            }
        }
    }

    fn poll(&self, units: &mut BTreeMap<UnitId, Unit>, held: &mut BTreeSet<UnitId>, id: UnitId) {
        let Some(unit) = units.get_mut(&id) else { return };
        if lock(&self.wishes).paused.contains(&unit.owner) {
            held.insert(id);
            return;
        }
        let waker = unit.waker.clone();
        if let Poll::Ready(()) = unit.task.as_mut().poll(&mut Context::from_waker(&waker)) {
            drop(units.remove(&id));
        }
    }

    /// Waits until a unit is woken, or the next delay ends.
    async fn wait(&self) {
        let next = lock(&self.timeline).next();
        let ready = self.ready.wait();
        match next {
            Some(at) => {
                let until = self.started + Duration::from_micros(at);
                tokio::select! {
                    biased;
                    () = ready => {}
                    () = tokio::time::sleep_until(until) => {}
                }
            }
            None => ready.await,
        }
    }
}
