//! What the platform initializer is told: messages 1 and 3, and verbs of our own for a single service.

use std::num::NonZeroU16;

use super::text::{self, Excerpt, malformed};
use super::{TextError, on_topic};
use crate::name::{LegacyName, NodeName};
use crate::record::platform::ServiceImage;

/// A message on `Bootstrapper`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootstrapperCommand {
    /// Message 1, contains `start platform` or `start server`.
    Start,
    /// Message 3, contains `stop platform` or `stop server`.
    Stop,
    /// `upgrade service$<name>$<version>`; `platform` is the platform's own version.
    UpgradeService { service: LegacyName, image: Option<ServiceImage> },
    /// `move service$<name>$<from>$<to>`.
    MoveService { service: LegacyName, from: NodeName, to: NodeName },
    /// `scale service$<name>$<number of instances>`.
    ScaleService { service: LegacyName, instances: NonZeroU16 },
}

/// The version that belongs to the platform, where another could be named.
const OWN: &str = "platform";

on_topic!(BootstrapperCommand, Bootstrapper);

impl BootstrapperCommand {
    pub fn encode(&self) -> String {
        match self {
            BootstrapperCommand::Start => "start platform".to_owned(),
            BootstrapperCommand::Stop => "stop platform".to_owned(),
            BootstrapperCommand::UpgradeService { service, image: Some(image) } => {
                format!("upgrade service${service}${image}")
            }
            BootstrapperCommand::UpgradeService { service, image: None } => {
                format!("upgrade service${service}${OWN}")
            }
            BootstrapperCommand::MoveService { service, from, to } => {
                format!("move service${service}${from}${to}")
            }
            BootstrapperCommand::ScaleService { service, instances } => {
                format!("scale service${service}${instances}")
            }
        }
    }

    /// Document 001 says "contains" for messages 1 and 3, so that the senders' wording around them is free.
    pub fn decode(text: &str) -> Result<Self, TextError> {
        match text::split(text) {
            ("upgrade service", payload) => return upgrade(payload),
            ("move service", payload) => return relocate(payload),
            ("scale service", payload) => return scale(payload),
            (_, _) => {}
        }
        let says = |verb: &str| {
            ["platform", "server"].iter().any(|what| text.contains(&format!("{verb} {what}")))
        };
        match (says("start"), says("stop")) {
            (true, false) => Ok(BootstrapperCommand::Start),
            (false, true) => Ok(BootstrapperCommand::Stop),
            (true, true) => Err(malformed("it says both start and stop")),
            (false, false) => Err(TextError::UnknownKind),
        }
    }

    /// Names the kind where requests are told apart.
    pub fn kind(&self) -> &'static str {
        match self {
            BootstrapperCommand::Start => "start-platform",
            BootstrapperCommand::Stop => "stop-platform",
            BootstrapperCommand::UpgradeService { .. } => "upgrade-service",
            BootstrapperCommand::MoveService { .. } => "move-service",
            BootstrapperCommand::ScaleService { .. } => "scale-service",
        }
    }
}

/// No folder of a share has to be without `$`: the version reaches to the end.
fn upgrade(payload: &str) -> Result<BootstrapperCommand, TextError> {
    let (service, image) = text::split(payload);
    let image = match image {
        OWN => None,
        image => Some(image.parse().map_err(|err| {
            malformed(format!("{:?} is no version of a service: {err}", Excerpt(image)))
        })?),
    };
    Ok(BootstrapperCommand::UpgradeService { service: named(service)?, image })
}

fn relocate(payload: &str) -> Result<BootstrapperCommand, TextError> {
    let (service, nodes) = text::split(payload);
    let (from, to) = text::split(nodes);
    let (from, to) = (node(from)?, node(to)?);
    Ok(BootstrapperCommand::MoveService { service: named(service)?, from, to })
}

fn scale(payload: &str) -> Result<BootstrapperCommand, TextError> {
    let (service, number) = text::split(payload);
    let instances = number.parse().map_err(|err| {
        malformed(format!("{:?} is no number of instances: {err}", Excerpt(number)))
    })?;
    Ok(BootstrapperCommand::ScaleService { service: named(service)?, instances })
}

fn named(text: &str) -> Result<LegacyName, TextError> {
    text.parse().map_err(|err| malformed(format!("{:?} is no service: {err}", Excerpt(text))))
}

fn node(text: &str) -> Result<NodeName, TextError> {
    text.parse().map_err(|err| malformed(format!("{:?} is no node: {err}", Excerpt(text))))
}
