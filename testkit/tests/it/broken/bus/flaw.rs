//! [`Flaw`]: what a broken bus does otherwise; by itself, nothing.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use common::port::bus::{Consumer, Error, Offset, Record};
use common::port::{Bus, Clock};
use common::topic::TopicName;
use testkit::contract::bus::World;
use testkit::{ManualClock, MemoryBus};

#[async_trait]
pub(super) trait Flaw: Debug + Send + Sync + 'static {
    async fn ensure_topics(&self, bus: &MemoryBus, topics: &[TopicName]) -> Result<(), Error> {
        bus.ensure_topics(topics).await
    }

    async fn publish(
        &self,
        bus: &MemoryBus,
        topic: &TopicName,
        record: Record,
    ) -> Result<Offset, Error> {
        bus.publish(topic, record).await
    }

    async fn consume(
        &self,
        bus: &MemoryBus,
        topic: &TopicName,
        group: &str,
    ) -> Result<Box<dyn Consumer>, Error> {
        bus.consume(topic, group).await
    }

    async fn end(&self, bus: &MemoryBus, topic: &TopicName) -> Result<Offset, Error> {
        bus.end(topic).await
    }

    async fn read(
        &self,
        bus: &MemoryBus,
        topic: &TopicName,
        from: Offset,
    ) -> Result<Box<dyn Consumer>, Error> {
        bus.read(topic, from).await
    }

    /// What becomes of the bus between two processes.
    async fn restart(&self, _bus: &MemoryBus) {}
}

/// A bus in memory with a flaw.
#[derive(Debug, Clone)]
struct Flawed {
    bus: MemoryBus,
    flaw: Arc<dyn Flaw>,
}

#[async_trait]
impl Bus for Flawed {
    async fn ensure_topics(&self, topics: &[TopicName]) -> Result<(), Error> {
        self.flaw.ensure_topics(&self.bus, topics).await
    }

    async fn publish(&self, topic: &TopicName, record: Record) -> Result<Offset, Error> {
        self.flaw.publish(&self.bus, topic, record).await
    }

    async fn consume(&self, topic: &TopicName, group: &str) -> Result<Box<dyn Consumer>, Error> {
        self.flaw.consume(&self.bus, topic, group).await
    }

    async fn end(&self, topic: &TopicName) -> Result<Offset, Error> {
        self.flaw.end(&self.bus, topic).await
    }

    async fn read(&self, topic: &TopicName, from: Offset) -> Result<Box<dyn Consumer>, Error> {
        self.flaw.read(&self.bus, topic, from).await
    }
}

/// Buses with one flaw.
pub(super) struct Buses {
    clock: Arc<ManualClock>,
    flaw: Arc<dyn Flaw>,
    last: Mutex<Option<Flawed>>,
}

impl Buses {
    pub(super) fn with(flaw: impl Flaw) -> Self {
        let clock = Arc::new(ManualClock::ticking());
        Buses { clock, flaw: Arc::new(flaw), last: Mutex::default() }
    }
}

#[async_trait(?Send)]
impl World for Buses {
    async fn open(&self) -> Arc<dyn Bus> {
        let bus = Flawed { bus: MemoryBus::new(self.clock.clone()), flaw: Arc::clone(&self.flaw) };
        Arc::new(self.last.lock().unwrap().insert(bus).clone())
    }

    async fn reopen(&self) -> Arc<dyn Bus> {
        let bus = self.last.lock().unwrap().clone().unwrap();
        self.flaw.restart(&bus.bus).await;
        Arc::new(bus)
    }

    fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }
}
