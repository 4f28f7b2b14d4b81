//! The bus.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::message::Envelope;
use common::port::Bus;
use common::port::bus::{Consumer, Delivery, Error, Offset, Record};
use common::topic::{Topic, TopicName};
use testkit::MemoryBus;

use super::mischief;
use crate::call::{CallKind, Fault};
use crate::gate::{Call, Gate, Lost};
use crate::plant::Plant;
use crate::stage::Sleep;
use crate::step;

#[derive(Debug)]
pub(crate) struct SimBus {
    gate: Gate,
}

impl SimBus {
    pub(crate) fn new(gate: Gate) -> Self {
        SimBus { gate }
    }

    fn inner(&self) -> &MemoryBus {
        &self.gate.world.truth.bus
    }
}

fn lost(_: Lost) -> Error {
    Error::Unavailable("simulated".into())
}

#[async_trait]
impl Bus for SimBus {
    async fn ensure_topics(&self, topics: &[TopicName]) -> Result<(), Error> {
        let what = self.gate.world.essence(format_args!("ensure {} topics", topics.len()));
        self.gate.ask(CallKind::BusTopics, what, lost, self.inner().ensure_topics(topics)).await
    }

    async fn publish(&self, topic: &TopicName, record: Record) -> Result<Offset, Error> {
        let text = String::from_utf8_lossy(&record.payload);
        let what = self.gate.world.essence(format_args!("publish to {topic} {text}"));
        let step = step::of_publish(self.gate.life.service, topic, &record);
        let call = Call { kind: CallKind::BusPublish, what, step: &|| step };
        let (gate, topic) = (self.gate.clone(), topic.clone());
        let body = move |fault| async move {
            let bus = &gate.world.truth.bus;
            if fault == Fault::Twice {
                bus.publish(&topic, record.clone()).await?;
            }
            if gate.world.plant.is_none() {
                return bus.publish(&topic, record).await;
            }
            mischief::publish(&gate, &topic, record).await
        };
        self.gate.order(call, lost, body).await
    }

    async fn consume(&self, topic: &TopicName, group: &str) -> Result<Box<dyn Consumer>, Error> {
        let what = self.gate.world.essence(format_args!("consume {topic}"));
        let inner = self.inner().consume(topic, group);
        let inner = self.gate.ask(CallKind::BusConsume, what, lost, inner).await?;
        Ok(Box::new(SimConsumer {
            gate: self.gate.clone(),
            inner,
            topic: topic.clone(),
            held: None,
        }))
    }

    async fn end(&self, topic: &TopicName) -> Result<Offset, Error> {
        let what = self.gate.world.essence(format_args!("end of {topic}"));
        self.gate.ask(CallKind::BusConsume, what, lost, self.inner().end(topic)).await
    }

    async fn read(&self, topic: &TopicName, from: Offset) -> Result<Box<dyn Consumer>, Error> {
        let what = self.gate.world.essence(format_args!("read {topic}"));
        let inner = self.gate.ask(CallKind::BusConsume, what, lost, self.inner().read(topic, from));
        Ok(Box::new(SimConsumer {
            gate: self.gate.clone(),
            inner: inner.await?,
            topic: topic.clone(),
            held: None,
        }))
    }
}

#[derive(Debug)]
struct SimConsumer {
    gate: Gate,
    inner: Box<dyn Consumer>,
    topic: TopicName,
    /// What was taken and is on its way; a caller who asks again gets it.
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    result: Result<Delivery, Error>,
    arrives: Option<Sleep>,
}

impl SimConsumer {
    /// Takes the next record, and decides what becomes of it.
    async fn take(&mut self) -> Held {
        let result = self.inner.next().await;
        let draw = self.gate.world.draw(CallKind::BusNext, self.gate.life.number);
        self.gate.world.trace().meets(CallKind::BusNext, draw.fault);
        if draw.fault == Fault::Twice {
            self.gate.world.truth.bus.repeat_next_deliveries(1);
        }
        let result = match draw.fault {
            Fault::Refused => Err(lost(Lost::Known)),
            Fault::None
            | Fault::Slow
            | Fault::RequestLost
            | Fault::AnswerLost
            | Fault::Late
            | Fault::Twice
            | Fault::CrashBefore
            | Fault::CrashAfter => result,
        };
        let arrives =
            (draw.there > Duration::ZERO).then(|| self.gate.world.stage.sleep(draw.there));
        Held { result, arrives }
    }
}

/// How long a careless reader ponders over a record that it cannot read.
const STALLED: Duration = Duration::from_millis(250);

fn is_legible(record: &Record, topic: &TopicName) -> bool {
    let topic = topic.as_str().parse::<Topic>();
    topic.is_ok_and(|topic| Envelope::decode(&record.payload, topic).is_ok())
}

#[async_trait]
impl Consumer for SimConsumer {
    async fn next(&mut self) -> Result<Delivery, Error> {
        self.gate.alive().await;
        if self.held.is_none() {
            self.held = Some(self.take().await);
        }
        if let Some(arrives) = self.held.as_mut().and_then(|held| held.arrives.as_mut()) {
            arrives.await;
        }
        self.gate.alive().await;
        let Some(held) = self.held.take() else { return Err(lost(Lost::Known)) };
        let (world, topic) = (&self.gate.world, &self.topic);
        let is_cut =
            world.faults().cut.contains(&(self.gate.life.service, crate::fault::Port::Bus));
        let result = if is_cut { Err(lost(Lost::Known)) } else { held.result };
        let text = match &result {
            Ok(delivery) => String::from_utf8_lossy(&delivery.record.payload).into_owned(),
            Err(_) => "nothing".to_owned(),
        };
        let what = world.essence(format_args!("next of {topic} {text}"));
        let outcome = if result.is_ok() { "answered" } else { "failed" };
        world.trace().call(world.stage.now(), &self.gate.life.label, &what, outcome);
        let mut delivery = result?;
        if world.has(Plant::PoisonStalls) && !is_legible(&delivery.record, topic) {
            world.stage.sleep(STALLED).await;
            self.gate.alive().await;
        }
        if world.has(Plant::BusCommitsFirst) {
            drop(self.inner.commit(delivery.offset.next()).await);
        }
        if world.has(Plant::BusAgesRecords) && mischief::now_and_then(&self.gate, 40) {
            delivery.timestamp -= jiff::SignedDuration::from_hours(9 * 24);
        }
        Ok(delivery)
    }

    async fn commit(&mut self, position: Offset) -> Result<(), Error> {
        let world = Arc::clone(&self.gate.world);
        let what = world.essence(format_args!("commit {} of {}", position.0, self.topic));
        // A consumer cannot be lent to a call that outlives it: what arrives late never arrives.
        self.gate.commit_position(what, lost, self.inner.commit(position)).await
    }
}
