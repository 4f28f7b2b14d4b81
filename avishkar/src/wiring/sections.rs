//! The sections that every service on Kafka and ZooKeeper has besides its own.

use adapters::kafka::KafkaSettings;
use adapters::zookeeper::ZooKeeperSettings;
use chassis::config::Problem;
use chassis::{http, telemetry};
use common::service::ServiceName;

use super::{Frame, bus, store, take};

/// As they are written.
#[derive(Debug)]
pub(super) struct Sections {
    pub(super) http: http::Raw,
    pub(super) telemetry: telemetry::Config,
    pub(super) kafka: bus::Raw,
    pub(super) zookeeper: store::Raw,
}

/// A service's file as it is meant.
pub(super) struct Resolved<C> {
    pub(super) frame: Frame,
    pub(super) kafka: KafkaSettings,
    pub(super) zookeeper: ZooKeeperSettings,
    pub(super) own: C,
}

impl Sections {
    /// All problems at once: those that were found already, those of these sections, and those of the service's own,
    /// which are read where the listeners are known.
    pub(super) fn resolve<C>(
        self,
        service: ServiceName,
        mut problems: Vec<Problem>,
        own: impl FnOnce(&http::Config) -> Result<C, Vec<Problem>>,
    ) -> Result<Resolved<C>, Vec<Problem>> {
        let http = take(self.http.resolve(), &mut problems);
        let kafka = take(self.kafka.resolve(service), &mut problems);
        let zookeeper = take(self.zookeeper.resolve(), &mut problems);
        let own = http.as_ref().and_then(|http| take(own(http), &mut problems));
        match (http, kafka, zookeeper, own) {
            (Some(http), Some(kafka), Some(zookeeper), Some(own)) if problems.is_empty() => {
                let frame = Frame { http, telemetry: self.telemetry };
                Ok(Resolved { frame, kafka, zookeeper, own })
            }
            _ => Err(problems),
        }
    }
}
