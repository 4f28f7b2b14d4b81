//! What the node manager is told: message 6.

use super::{TextError, on_topic, text};
use crate::name::LegacyName;

/// A message on `NodeManager`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeCommand {
    /// Message 6, `give best node$<instance>`.
    GiveBestNode { instance: LegacyName },
}

on_topic!(NodeCommand, NodeManager);

impl NodeCommand {
    pub fn encode(&self) -> String {
        match self {
            NodeCommand::GiveBestNode { instance } => format!("give best node${instance}"),
        }
    }

    pub fn decode(text: &str) -> Result<Self, TextError> {
        let (verb, payload) = text::split(text);
        match verb {
            "give best node" => {
                Ok(NodeCommand::GiveBestNode { instance: text::instance(payload)? })
            }
            _ => Err(TextError::UnknownKind),
        }
    }

    /// Names the kind where requests are told apart.
    pub fn kind(&self) -> &'static str {
        match self {
            NodeCommand::GiveBestNode { .. } => "give-best-node",
        }
    }
}
