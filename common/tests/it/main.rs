//! The messages on the wire: golden files, properties in both directions, hostile input.
#![expect(clippy::unwrap_used, reason = "a test says what must hold by unwrapping it")]

mod golden;
mod hostile;
mod round_trip;

use common::message::{
    BootstrapperCommand, DeploymentCommand, Event, LifecycleCommand, LoadBalancerCommand,
    NodeCommand, SchedulerCommand, TextError,
};
use common::topic::Topic;

/// Reads a message's text with its topic's enum and writes it again.
fn retell(topic: Topic, text: &str) -> Result<String, TextError> {
    match topic {
        Topic::Bootstrapper => BootstrapperCommand::decode(text).map(|message| message.encode()),
        Topic::DeploymentManager => DeploymentCommand::decode(text).map(|message| message.encode()),
        Topic::NodeManager => NodeCommand::decode(text).map(|message| message.encode()),
        Topic::FirstTopic => Event::decode(text).map(|message| message.encode()),
        Topic::Scheduler => SchedulerCommand::decode(text).map(|message| message.encode()),
        Topic::LoadBalancer => LoadBalancerCommand::decode(text).map(|message| message.encode()),
        Topic::LifecycleManager => LifecycleCommand::decode(text).map(|message| message.encode()),
    }
}
