//! One reader of one topic.

use std::sync::Arc;

use async_trait::async_trait;
use common::port::bus::{Consumer, Delivery, Error, Offset};
use common::topic::TopicName;

use super::Shared;
use super::State;
use super::faults::{Availability, FailureMode, down};

#[derive(Debug)]
pub(super) struct MemoryConsumer {
    shared: Arc<Shared>,
    topic: TopicName,
    /// None for a reader that commits nothing.
    group: Option<String>,
    position: Offset,
}

impl MemoryConsumer {
    pub(super) fn new(
        shared: Arc<Shared>,
        topic: &TopicName,
        group: Option<String>,
        position: Offset,
    ) -> Self {
        MemoryConsumer { shared, topic: topic.clone(), group, position }
    }
}

fn take(
    state: &mut State,
    topic: &TopicName,
    position: &mut Offset,
) -> Option<Result<Delivery, Error>> {
    match state.faults.availability {
        Availability::Up => {}
        Availability::Stalled => return None,
        Availability::Down => return Some(Err(down())),
    }
    let delivery = match state.logs.at(topic, *position) {
        Ok(delivery) => delivery?,
        Err(err) => return Some(Err(err)),
    };
    if state.faults.repeats > 0 {
        state.faults.repeats -= 1;
    } else {
        *position = delivery.offset.next();
    }
    Some(Ok(delivery))
}

#[async_trait]
impl Consumer for MemoryConsumer {
    async fn next(&mut self) -> Result<Delivery, Error> {
        tokio::task::yield_now().await;
        let MemoryConsumer { shared, topic, position, .. } = self;
        shared.when(|state| take(state, topic, position)).await
    }

    async fn commit(&mut self, position: Offset) -> Result<(), Error> {
        let Some(group) = &self.group else { return Ok(()) };
        self.shared.reach().await?;
        self.shared.change(|state| {
            let failure = state.faults.commits.pop_front();
            if failure != Some(FailureMode::Refused) {
                state.logs.commit(&self.topic, group, position)?;
            }
            if failure.is_some() { Err(down()) } else { Ok(()) }
        })
    }
}
