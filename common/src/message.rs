//! The messages of document 001 and of our own topics: typed inside, exact text on the wire.
//!
//! An [`Envelope`] is the JSON object that travels; its `msg` is text that each topic's own enum
//! reads and writes. Headers carry what the envelope lacks.

mod bootstrapper;
mod deployment;
mod envelope;
mod event;
mod json;
mod lifecycle;
mod load_balancer;
mod map;
mod node;
mod scheduler;
mod text;

pub use bootstrapper::BootstrapperCommand;
pub use deployment::{DeploymentCommand, NodeAnswer, NodeChoice};
pub use envelope::{Envelope, Reject, RejectCode};
pub use event::{Event, PlatformOutcome};
pub use lifecycle::LifecycleCommand;
pub use load_balancer::LoadBalancerCommand;
pub use node::NodeCommand;
pub use scheduler::SchedulerCommand;

/// Names of the headers of a record.
pub mod header {
    /// Names one message; a repeat carries the same.
    pub const MESSAGE_ID: &str = "message-id";
    /// JSON: all the app and node details of messages 8, 9, 11, 12.
    pub const DETAILS: &str = "details";
    /// On dead letters: why.
    pub const REASON: &str = "reason";
}

/// A message text that its topic's enum cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The verb is none of the topic's.
    #[error("the message has no known verb")]
    UnknownKind,
    /// The verb is known, what follows it is not what belongs there.
    #[error("the message is malformed: {0}")]
    Malformed(String),
}

/// Gives a topic's enum its topic and its envelope.
macro_rules! on_topic {
    ($message:ident, $topic:ident) => {
        impl $message {
            /// The topic these messages travel on.
            pub const TOPIC: $crate::topic::Topic = $crate::topic::Topic::$topic;

            /// The message as it travels; `from` is the topic that its sender reads.
            pub fn envelope(
                &self,
                from: $crate::topic::Topic,
                request_id: $crate::id::RequestId,
            ) -> $crate::message::Envelope {
                $crate::message::Envelope {
                    to_topic: Self::TOPIC,
                    from_topic: from,
                    request_id,
                    msg: self.encode(),
                }
            }
        }
    };
}
use on_topic;
