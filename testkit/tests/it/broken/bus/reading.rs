//! Consumers that hand out what another one reads, otherwise than it was.

use std::fmt;
use std::future::pending;
use std::time::Duration;

use async_trait::async_trait;
use common::port::Bus as _;
use common::port::bus::{Consumer, Delivery, Error, Offset};
use common::topic::TopicName;
use testkit::MemoryBus;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

const MOMENT: Duration = Duration::from_millis(5);
const FAR_BEHIND: i64 = 30;

/// Changes what is read; nothing comes of what is left out.
pub(super) struct Altered {
    inner: Box<dyn Consumer>,
    alter: Box<dyn Fn(Delivery) -> Option<Delivery> + Send + Sync>,
}

impl Altered {
    pub(super) fn boxed(
        inner: Box<dyn Consumer>,
        alter: impl Fn(Delivery) -> Option<Delivery> + Send + Sync + 'static,
    ) -> Box<dyn Consumer> {
        Box::new(Altered { inner, alter: Box::new(alter) })
    }
}

impl fmt::Debug for Altered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Altered")
    }
}

#[async_trait]
impl Consumer for Altered {
    async fn next(&mut self) -> Result<Delivery, Error> {
        loop {
            if let Some(delivery) = (self.alter)(self.inner.next().await?) {
                return Ok(delivery);
            }
        }
    }

    async fn commit(&mut self, position: Offset) -> Result<(), Error> {
        self.inner.commit(position).await
    }
}

/// Commits what a function makes of a position, or nothing.
pub(super) struct Committing {
    inner: Box<dyn Consumer>,
    commit: Box<dyn FnMut(Offset) -> Result<Option<Offset>, Error> + Send>,
}

impl Committing {
    pub(super) fn boxed(
        inner: Box<dyn Consumer>,
        mut commit: impl FnMut(Offset) -> Option<Offset> + Send + 'static,
    ) -> Box<dyn Consumer> {
        Box::new(Committing { inner, commit: Box::new(move |position| Ok(commit(position))) })
    }

    pub(super) fn refusing(inner: Box<dyn Consumer>) -> Box<dyn Consumer> {
        let refused = || Error::Unavailable("a reader has no position".into());
        Box::new(Committing { inner, commit: Box::new(move |_| Err(refused())) })
    }
}

impl fmt::Debug for Committing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Committing")
    }
}

#[async_trait]
impl Consumer for Committing {
    async fn next(&mut self) -> Result<Delivery, Error> {
        self.inner.next().await
    }

    async fn commit(&mut self, position: Offset) -> Result<(), Error> {
        match (self.commit)(position)? {
            Some(position) => self.inner.commit(position).await,
            None => Ok(()),
        }
    }
}

/// Once it has committed, commits all that it hands out.
#[derive(Debug)]
pub(super) struct HandedOut {
    inner: Box<dyn Consumer>,
    commits: bool,
}

impl HandedOut {
    pub(super) fn new(inner: Box<dyn Consumer>) -> Self {
        HandedOut { inner, commits: false }
    }
}

#[async_trait]
impl Consumer for HandedOut {
    async fn next(&mut self) -> Result<Delivery, Error> {
        let delivery = self.inner.next().await?;
        if self.commits {
            self.inner.commit(delivery.offset.next()).await?;
        }
        Ok(delivery)
    }

    async fn commit(&mut self, position: Offset) -> Result<(), Error> {
        self.commits = true;
        self.inner.commit(position).await
    }
}

/// Reads on where it has committed.
#[derive(Debug)]
pub(super) struct Seeking {
    pub(super) inner: Box<dyn Consumer>,
    pub(super) bus: MemoryBus,
    pub(super) topic: TopicName,
    pub(super) group: String,
}

#[async_trait]
impl Consumer for Seeking {
    async fn next(&mut self) -> Result<Delivery, Error> {
        self.inner.next().await
    }

    async fn commit(&mut self, position: Offset) -> Result<(), Error> {
        self.inner.commit(position).await?;
        self.inner = self.bus.consume(&self.topic, &self.group).await?;
        Ok(())
    }
}

/// Reads only while it may.
pub(super) struct Gated {
    inner: Box<dyn Consumer>,
    may_read: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Gated {
    pub(super) fn boxed(
        inner: Box<dyn Consumer>,
        may_read: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Box<dyn Consumer> {
        Box::new(Gated { inner, may_read: Box::new(may_read) })
    }
}

impl fmt::Debug for Gated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gated")
    }
}

#[async_trait]
impl Consumer for Gated {
    async fn next(&mut self) -> Result<Delivery, Error> {
        while !(self.may_read)() {
            sleep(MOMENT).await;
        }
        self.inner.next().await
    }

    async fn commit(&mut self, position: Offset) -> Result<(), Error> {
        self.inner.commit(position).await
    }
}

/// Waits for what does not come.
#[derive(Debug)]
pub(super) struct Never;

#[async_trait]
impl Consumer for Never {
    async fn next(&mut self) -> Result<Delivery, Error> {
        pending().await
    }

    async fn commit(&mut self, _position: Offset) -> Result<(), Error> {
        Ok(())
    }
}

/// Looks for a record once; then, as it was made, fails or is never woken.
#[derive(Debug)]
pub(super) struct Impatient {
    pub(super) inner: Box<dyn Consumer>,
    pub(super) gives_up: bool,
}

#[async_trait]
impl Consumer for Impatient {
    async fn next(&mut self) -> Result<Delivery, Error> {
        match timeout(MOMENT, self.inner.next()).await {
            Ok(read) => read,
            Err(late) if self.gives_up => Err(Error::Unavailable(late.into())),
            Err(_) => pending().await,
        }
    }

    async fn commit(&mut self, position: Offset) -> Result<(), Error> {
        self.inner.commit(position).await
    }
}

/// Takes a record, and has not handed it out yet.
#[derive(Debug)]
pub(super) struct Dropping(pub(super) Box<dyn Consumer>);

#[async_trait]
impl Consumer for Dropping {
    async fn next(&mut self) -> Result<Delivery, Error> {
        let delivery = self.0.next().await?;
        yield_now().await;
        Ok(delivery)
    }

    async fn commit(&mut self, position: Offset) -> Result<(), Error> {
        self.0.commit(position).await
    }
}

/// Far behind, it reads two records at once and hands out the second first.
#[derive(Debug)]
pub(super) struct Hasty {
    pub(super) inner: Box<dyn Consumer>,
    pub(super) bus: MemoryBus,
    pub(super) topic: TopicName,
    pub(super) held: Option<Delivery>,
}

#[async_trait]
impl Consumer for Hasty {
    async fn next(&mut self) -> Result<Delivery, Error> {
        if let Some(held) = self.held.take() {
            return Ok(held);
        }
        let first = self.inner.next().await?;
        let Offset(end) = self.bus.end(&self.topic).await?;
        if end - first.offset.0 < FAR_BEHIND {
            return Ok(first);
        }
        let second = self.inner.next().await?;
        self.held = Some(first);
        Ok(second)
    }

    async fn commit(&mut self, position: Offset) -> Result<(), Error> {
        self.inner.commit(position).await
    }
}
