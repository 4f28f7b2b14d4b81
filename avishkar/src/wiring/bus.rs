//! The bus: Kafka.

use std::sync::Arc;

use adapters::kafka::{KafkaBus, KafkaSettings};
use anyhow::Context as _;
use chassis::config::Problem;
use common::port::Bus;
use common::service::ServiceName;
use serde::{Deserialize, Serialize};

/// `[kafka]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Raw {
    /// `host:port` of each broker, separated by commas.
    brokers: String,
}

impl Raw {
    pub(crate) fn resolve(self, service: ServiceName) -> Result<KafkaSettings, Vec<Problem>> {
        if self.brokers.split(',').all(|broker| broker.contains(':')) {
            Ok(KafkaSettings::new(self.brokers, service.as_str()))
        } else {
            Err(vec![Problem::new("kafka.brokers", "must be host:port, separated by commas")])
        }
    }
}

pub(crate) fn connect(settings: &KafkaSettings) -> anyhow::Result<Arc<dyn Bus>> {
    Ok(Arc::new(KafkaBus::connect(settings).context("Kafka cannot be used")?))
}
