//! Between a service and a port: delays, faults and crashes happen here, and whatever happens is traced
//! and checked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::call::{CallKind, Fault};
use crate::fault::{Point, Port};
use crate::fleet::Spot;
use crate::life::Life;
use crate::step::Step;
use crate::trace::Essence;
use crate::world::World;

/// One service's way to the world.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    pub(crate) world: Arc<World>,
    pub(crate) life: Arc<Life>,
}

/// What a caller is told of a call that failed on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Nothing was done.
    Known,
    /// It may have been done.
    Unknown,
}

/// Tells a call on its way that nobody waits for it any more.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Gate {
    /// Who is dead asks nothing more.
    pub(crate) async fn alive(&self) {
        if self.life.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    fn is_cut(&self, kind: CallKind) -> bool {
        let faults = self.world.faults();
        let is_off = |spot: &Spot| faults.cut_off.contains(&spot.node);
        faults.cut.contains(&(self.life.service, Port::of(kind)))
            || self.life.spot.as_ref().is_some_and(is_off)
    }

    fn trace(&self, what: &Essence, outcome: &str) {
        let now = self.world.stage.now();
        self.world.trace().call(now, &self.life.label, what, outcome);
    }

    /// A call that changes nothing.
    pub(crate) async fn ask<T, E>(
        &self,
        kind: CallKind,
        what: Essence,
        lost: impl FnOnce(Lost) -> E,
        body: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.alive().await;
        let draw = self.world.draw(kind, self.life.number);
        if !draw.there.is_zero() {
            self.world.stage.sleep(draw.there).await;
            self.alive().await;
        }
        self.world.trace().meets(kind, draw.fault);
        let result = if draw.fault == Fault::Refused || self.is_cut(kind) {
            Err(lost(Lost::Known))
        } else {
            body.await
        };
        self.trace(&what, if result.is_ok() { "answered" } else { "failed" });
        if !draw.back.is_zero() {
            self.world.stage.sleep(draw.back).await;
        }
        self.alive().await;
        result
    }

    /// A call that changes something. It is on its way by itself: it may arrive though nobody waits for
    /// it any more.
    pub(crate) async fn order<T, E, F>(
        &self,
        call: Call<'_>,
        lost: impl Fn(Lost) -> E + Send + 'static,
        body: impl FnOnce(Fault) -> F + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let Call { kind, what, step } = call;
        self.alive().await;
        let step = step();
        if self.world.springs(&self.life, kind, step, Point::Before) {
            self.alive().await;
        }
        let draw = self.world.draw(kind, self.life.number);
        let forgotten = Arc::new(AtomicBool::new(false));
        let waiting = Waiting(Arc::clone(&forgotten));
        let gate = self.clone();
        let way = async move {
            if !draw.there.is_zero() {
                gate.world.stage.sleep(draw.there).await;
                let is_forgotten = gate.life.is_dead() || forgotten.load(Ordering::Relaxed);
                if is_forgotten && !draw.late {
                    return Err(lost(Lost::Unknown));
                }
                if is_forgotten {
                    gate.world.trace().meets(kind, Fault::Late);
                }
            }
            gate.world.trace().meets(kind, draw.fault);
            let result = match gate.stopped(kind, draw.fault) {
                Some(how) => Err(lost(how)),
                None => body(draw.fault).await,
            };
            gate.trace(&what, outcome(draw.fault, &result));
            gate.world.observe();
            gate.world.springs(&gate.life, kind, step, Point::After);
            // Even a refusal is lost on the way back.
            if draw.fault == Fault::AnswerLost { Err(lost(Lost::Unknown)) } else { result }
        };
        let result = if draw.there.is_zero() {
            way.await
        } else {
            let arrived = self.world.stage.call(0, way).await;
            match arrived {
                Some(result) => result,
                None => std::future::pending().await,
            }
        };
        drop(waiting);
        self.alive().await;
        if !draw.back.is_zero() {
            self.world.stage.sleep(draw.back).await;
            self.alive().await;
        }
        result
    }

    /// Whether a call does not arrive.
    fn stopped(&self, kind: CallKind, fault: Fault) -> Option<Lost> {
        match fault {
            Fault::Refused => Some(Lost::Known),
            Fault::RequestLost => Some(Lost::Unknown),
            Fault::None
            | Fault::Slow
            | Fault::AnswerLost
            | Fault::Late
            | Fault::Twice
            | Fault::CrashBefore
            | Fault::CrashAfter => self.is_cut(kind).then_some(Lost::Known),
        }
    }
}

/// What is asked; the step it is, if it is one of a deployment's, is looked up only where it matters.
pub(crate) struct Call<'a> {
    pub(crate) kind: CallKind,
    pub(crate) what: Essence,
    pub(crate) step: &'a (dyn Fn() -> Option<Step> + Sync),
}

fn outcome<T, E>(fault: Fault, result: &Result<T, E>) -> &'static str {
    match (fault, result) {
        (Fault::AnswerLost, Ok(_)) => "done, and the answer is lost",
        (_, Ok(_)) => "done",
        (Fault::RequestLost, Err(_)) => "lost on its way",
        (_, Err(_)) => "failed",
    }
}

impl Gate {
    /// Commits a position: an order that ends with who gives it.
    pub(crate) async fn commit_position<E>(
        &self,
        what: Essence,
        lost: impl Fn(Lost) -> E,
        body: impl Future<Output = Result<(), E>>,
    ) -> Result<(), E> {
        let kind = CallKind::BusCommit;
        self.alive().await;
        if self.world.springs(&self.life, kind, None, Point::Before) {
            self.alive().await;
        }
        let draw = self.world.draw(kind, self.life.number);
        if !draw.there.is_zero() {
            self.world.stage.sleep(draw.there).await;
            self.alive().await;
        }
        self.world.trace().meets(kind, draw.fault);
        let result = match self.stopped(kind, draw.fault) {
            Some(how) => Err(lost(how)),
            None => body.await,
        };
        self.trace(&what, outcome(draw.fault, &result));
        self.world.springs(&self.life, kind, None, Point::After);
        self.alive().await;
        if draw.fault == Fault::AnswerLost { Err(lost(Lost::Unknown)) } else { result }
    }
}

impl Gate {
    /// A call that changes nothing, and is a step all the same.
    pub(crate) async fn look<T, E>(
        &self,
        call: Call<'_>,
        lost: impl FnOnce(Lost) -> E,
        body: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let Call { kind, what, step } = call;
        self.alive().await;
        if self.world.springs(&self.life, kind, step(), Point::Before) {
            self.alive().await;
        }
        let looked = self.ask(kind, what, lost, body).await;
        self.world.springs(&self.life, kind, step(), Point::After);
        self.alive().await;
        looked
    }
}
