//! The topics of the bus.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What the name of a topic of dead letters ends with.
const DEAD_LETTERS: &str = ".dlq";

/// A topic that document 001 or this platform defines. Each has one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Topic {
    Bootstrapper,
    DeploymentManager,
    NodeManager,
    #[serde(rename = "first_topic")]
    #[expect(clippy::enum_variant_names, reason = "document 001's name")]
    FirstTopic,
    Scheduler,
    LoadBalancer,
    LifecycleManager,
}

impl Topic {
    pub const ALL: [Topic; 7] = [
        Topic::Bootstrapper,
        Topic::DeploymentManager,
        Topic::NodeManager,
        Topic::FirstTopic,
        Topic::Scheduler,
        Topic::LoadBalancer,
        Topic::LifecycleManager,
    ];

    /// The topic's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Topic::Bootstrapper => "Bootstrapper",
            Topic::DeploymentManager => "DeploymentManager",
            Topic::NodeManager => "NodeManager",
            Topic::FirstTopic => "first_topic",
            Topic::Scheduler => "Scheduler",
            Topic::LoadBalancer => "LoadBalancer",
            Topic::LifecycleManager => "LifecycleManager",
        }
    }

    /// Where this topic's records go that nobody can read.
    pub fn dead_letter(self) -> TopicName {
        TopicName(format!("{}{DEAD_LETTERS}", self.as_str()))
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a topic of the platform")]
pub struct UnknownTopic(pub String);

impl FromStr for Topic {
    type Err = UnknownTopic;

    fn from_str(text: &str) -> Result<Self, UnknownTopic> {
        Topic::ALL
            .into_iter()
            .find(|topic| topic.as_str() == text)
            .ok_or_else(|| UnknownTopic(text.to_owned()))
    }
}

/// The name of a topic or of its dead-letter topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(String);

impl TopicName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Topic> for TopicName {
    fn from(topic: Topic) -> Self {
        TopicName(topic.as_str().to_owned())
    }
}

impl FromStr for TopicName {
    type Err = UnknownTopic;

    fn from_str(text: &str) -> Result<Self, UnknownTopic> {
        let topic = match text.strip_suffix(DEAD_LETTERS) {
            Some(name) => name.parse().map(Topic::dead_letter),
            None => text.parse::<Topic>().map(TopicName::from),
        };
        topic.map_err(|_| UnknownTopic(text.to_owned()))
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_and_its_dead_letters_are_read_back_from_their_names() {
        for topic in Topic::ALL {
            for name in [TopicName::from(topic), topic.dead_letter()] {
                assert_eq!(name.as_str().parse(), Ok(name));
            }
        }
        for wrong in ["", ".dlq", "Nowhere", "Nowhere.dlq", "NodeManager.dlq.dlq", "nodemanager"] {
            assert_eq!(wrong.parse::<TopicName>(), Err(UnknownTopic(wrong.to_owned())));
        }
    }
}
