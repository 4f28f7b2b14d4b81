//! What the platform initializer is told: messages 1 and 3.

use super::{TextError, on_topic, text};

/// A message on `Bootstrapper`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootstrapperCommand {
    /// Message 1, contains `start platform` or `start server`.
    Start,
    /// Message 3, contains `stop platform` or `stop server`.
    Stop,
}

on_topic!(BootstrapperCommand, Bootstrapper);

impl BootstrapperCommand {
    pub fn encode(self) -> String {
        match self {
            BootstrapperCommand::Start => "start platform".to_owned(),
            BootstrapperCommand::Stop => "stop platform".to_owned(),
        }
    }

    /// Document 001 says "contains" for these two, so that the senders' wording around it is free.
    pub fn decode(text: &str) -> Result<Self, TextError> {
        let says = |verb: &str| {
            ["platform", "server"].iter().any(|what| text.contains(&format!("{verb} {what}")))
        };
        match (says("start"), says("stop")) {
            (true, false) => Ok(BootstrapperCommand::Start),
            (false, true) => Ok(BootstrapperCommand::Stop),
            (true, true) => Err(text::malformed("it says both start and stop")),
            (false, false) => Err(TextError::UnknownKind),
        }
    }

    /// Names the kind where requests are told apart.
    pub fn kind(self) -> &'static str {
        match self {
            BootstrapperCommand::Start => "start-platform",
            BootstrapperCommand::Stop => "stop-platform",
        }
    }
}
