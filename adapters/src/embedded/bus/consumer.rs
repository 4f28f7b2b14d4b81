//! One reader of one topic.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use common::port::bus::{Consumer, Delivery, Error as BusError, Offset};

use super::log::Write;
use super::topics::{End, Place};
use super::{CALL_WITHIN, Shared, tables, unavailable};

/// How much is read ahead, at most.
const AHEAD: usize = 256;
const AHEAD_BYTES: usize = 1024 * 1024;

/// Where a consumer begins, and for whom.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) position: Offset,
    /// None commits nothing.
    pub(super) group: Option<String>,
}

#[derive(Debug)]
pub(super) struct LogConsumer {
    shared: Arc<Shared>,
    place: Place,
    group: Option<String>,
    /// What is delivered next.
    position: i64,
    ahead: VecDeque<Delivery>,
}

impl LogConsumer {
    pub(super) fn new(shared: Arc<Shared>, place: Place, start: Start) -> Self {
        let Offset(from) = start.position;
        // A position beyond the end is of a log that is no more: it means the beginning.
        let is_beyond = matches!(*place.ends.borrow(), End::At(end) if from > end);
        let position = if is_beyond { 0 } else { from };
        LogConsumer { shared, place, group: start.group, position, ahead: VecDeque::new() }
    }

    /// Reads on until `end`, which there is something before.
    async fn read_ahead(&mut self, end: i64) -> Result<(), BusError> {
        let (id, from) = (self.place.id, self.position);
        let look = move |transaction: &_| tables::read(transaction, id, from, AHEAD, AHEAD_BYTES);
        let read = self.shared.live.read(CALL_WITHIN, look).await;
        self.ahead = read.map_err(|cause| BusError::Unavailable(cause.into()))?.into();
        if self.ahead.is_empty() {
            // Whatever there was is thrown away already.
            self.position = end;
        }
        Ok(())
    }
}

#[async_trait]
impl Consumer for LogConsumer {
    async fn next(&mut self) -> Result<Delivery, BusError> {
        loop {
            if let Some(delivery) = self.ahead.pop_front() {
                self.position = delivery.offset.next().0;
                return Ok(delivery);
            }
            let end = *self.place.ends.borrow_and_update();
            match end {
                End::Stopped => return Err(self.shared.stopped()),
                End::At(end) if self.position < end => self.read_ahead(end).await?,
                End::At(_) => {
                    let changed = self.place.ends.changed().await;
                    changed.map_err(|_| self.shared.stopped())?;
                }
            }
        }
    }

    async fn commit(&mut self, position: Offset) -> Result<(), BusError> {
        let Some(group) = self.group.clone() else { return Ok(()) };
        let topic = self.place.id;
        let commit = |reply| Write::Commit { topic, group, position: position.0, reply };
        self.shared.queue.submit(0, commit).await.map_err(unavailable)
    }
}
