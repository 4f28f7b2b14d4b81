//! The publisher of owed messages: what an instance's record owes goes to the bus until the bus has
//! taken it, in order, and is then struck off the record.

use std::time::Duration;

use async_trait::async_trait;
use chassis::owed;
use chassis::reconcile::{Outcome, Reconcile};
use chassis::records;
use common::name::LegacyName;
use common::port::bus;
use common::record::instance::Instance;
use common::record::path;
use tokio::time::timeout;

use crate::context::Context;
use crate::records::{deciding, instances};

const WITHIN: Duration = Duration::from_secs(10);

/// Why messages are still owed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Records(#[from] records::Error),
    #[error("the bus did not take what is owed")]
    Bus(#[source] bus::Error),
    #[error("the bus does not answer")]
    Silent,
}

/// Publishes what instances owe.
pub(crate) struct Publisher<'a>(pub(crate) &'a Context);

#[async_trait]
impl Reconcile for Publisher<'_> {
    type Key = LegacyName;
    type Error = Error;

    async fn keys(&self) -> Result<Vec<LegacyName>, Error> {
        Ok(instances::names(self.0.ports.store.as_ref()).await?)
    }

    async fn reconcile(&self, name: &LegacyName) -> Result<Outcome, Error> {
        let store = self.0.ports.store.as_ref();
        let path = path::instance(name);
        let stored = records::load::<Instance>(store, &path).await?;
        let owed = stored.map(|stored| stored.record.owed).unwrap_or_default();
        if owed.is_empty() {
            return Ok(Outcome::Settled);
        }
        let published = timeout(WITHIN, owed::publish(self.0.ports.bus.as_ref(), &owed)).await;
        let published =
            published.map_err(|_| Error::Silent).and_then(|sent| sent.map_err(Error::Bus));
        if let Err(err) = published {
            self.0.metrics.publish_failures.inc();
            return Err(err);
        }
        for message in &owed {
            self.0.metrics.published.inc();
            // Nobody may be waiting for it.
            drop(self.0.published.send(message.message_id));
        }
        let is_published = |id| owed.iter().any(|message| message.message_id == id);
        let strike_off = || async {
            let stored = records::load::<Instance>(store, &path).await?;
            let Some(mut stored) = stored else { return Ok(()) };
            let before = stored.record.owed.len();
            stored.record.owed.retain(|message| !is_published(message.message_id));
            if stored.record.owed.len() < before {
                records::save(store, &path, &stored.record, Some(stored.version)).await?;
            }
            Ok::<(), records::Error>(())
        };
        deciding(store, strike_off).await?;
        Ok(Outcome::Settled)
    }
}
