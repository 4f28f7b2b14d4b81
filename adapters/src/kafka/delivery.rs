//! The library's producer and the thread that hears what became of each record.
//!
//! The library has such a thread of its own, which spins for the last millisecond of each tenth of a
//! second: idle services spent most of their processor time there.

use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use common::port::bus::{Error, Offset};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseProducer, ProducerContext};
use tokio::sync::oneshot::Sender;

use super::closing::Closing;
use super::context::Context;
use super::failure;
use super::settings::KafkaSettings;

/// How long the thread listens at once; what is delivered wakes it. Once it is over it looks whether
/// the producer is still wanted.
const LISTEN: Duration = Duration::from_secs(1);

/// Whom to tell what became of a record.
pub(super) type Delivered = Sender<Result<Offset, KafkaError>>;

pub(super) type Producer = Closing<Arc<BaseProducer<Context>>>;

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Delivered>;

    fn delivery(&self, result: &DeliveryResult<'_>, tell: Box<Delivered>) {
        let delivered = match result {
            Ok(message) => Ok(Offset(message.offset())),
            Err((err, _)) => Err(err.clone()),
        };
        // Whoever gave up waiting has its own error.
        drop(tell.send(delivered));
    }
}

/// Starts a producer; its thread ends soon after it is dropped.
pub(super) fn start(settings: &KafkaSettings) -> Result<Arc<Producer>, Error> {
    let made = settings.producer().create_with_context(Context);
    let producer: Arc<BaseProducer<Context>> = Arc::new(made.map_err(failure::unavailable)?);
    let heard = Arc::downgrade(&producer);
    thread::Builder::new()
        .name("kafka-delivery".to_owned())
        .spawn(move || listen(&heard))
        .map_err(|err| Error::Unavailable(err.into()))?;
    Ok(Arc::new(Closing::new(producer)))
}

fn listen(producer: &Weak<BaseProducer<Context>>) {
    while let Some(producer) = producer.upgrade() {
        producer.poll(LISTEN);
    }
}
