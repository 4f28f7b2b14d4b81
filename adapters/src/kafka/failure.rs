//! What the library's errors mean to the port.

use common::port::bus::Error;
use common::topic::TopicName;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// What a failed call about a topic means.
pub(super) fn of(err: KafkaError, topic: &TopicName) -> Error {
    match err.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownPartition,
        ) => Error::UnknownTopic { topic: topic.clone() },
        Some(_) | None => unavailable(err),
    }
}

pub(super) fn unavailable(err: KafkaError) -> Error {
    Error::Unavailable(err.into())
}

/// Whether the library goes on by itself: a connection was lost while there may be others. Once
/// there are none it says so.
pub(super) fn is_passing(err: &KafkaError) -> bool {
    matches!(
        err.rdkafka_error_code(),
        Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::OperationTimedOut)
    )
}

/// Whether the producer will never publish again: the broker lost what the producer's numbers build on.
pub(super) fn is_fatal(err: &KafkaError) -> bool {
    err.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal)
}
