//! What the library has to say on its own account.

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;

/// Passes the library's words to our log. It repeats itself at most every 30 s.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context;

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, said: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => tracing::warn!(facility, said, "librdkafka"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::debug!(facility, said, "librdkafka");
            }
        }
    }

    /// The same was said to the log, or comes back as the failure of a call.
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(error = &error as &dyn std::error::Error, reason, "librdkafka");
    }
}

impl ConsumerContext for Context {}
