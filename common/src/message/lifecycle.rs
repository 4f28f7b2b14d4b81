//! What the lifecycle manager is told: verbs of our own.

use super::text::{self, Excerpt, malformed};
use super::{TextError, json, on_topic};
use crate::name::{LegacyName, NodeName};

/// A message on `LifecycleManager`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LifecycleCommand {
    /// `restart service$<name>`; the name is document 001's.
    RestartService { service: String },
    /// `restart node$<node>`.
    RestartNode { node: NodeName },
    /// `restart app$<instance>`.
    RestartApp { instance: LegacyName },
    /// `restart model$<instance>`.
    RestartModel { instance: LegacyName },
    /// `need node$<reason>`.
    NeedNode { reason: String },
    /// `verdict$<json>`.
    Verdict { json: String },
}

on_topic!(LifecycleCommand, LifecycleManager);

impl LifecycleCommand {
    pub fn encode(&self) -> String {
        match self {
            LifecycleCommand::RestartService { service } => format!("restart service${service}"),
            LifecycleCommand::RestartNode { node } => format!("restart node${node}"),
            LifecycleCommand::RestartApp { instance } => format!("restart app${instance}"),
            LifecycleCommand::RestartModel { instance } => format!("restart model${instance}"),
            LifecycleCommand::NeedNode { reason } => format!("need node${reason}"),
            LifecycleCommand::Verdict { json } => format!("verdict${json}"),
        }
    }

    /// The reason and the JSON are free text to the end: a `$` may stand in them.
    pub fn decode(text: &str) -> Result<Self, TextError> {
        let (verb, payload) = text::split(text);
        match verb {
            "restart service" => {
                Ok(LifecycleCommand::RestartService { service: service(payload)? })
            }
            "restart node" => Ok(LifecycleCommand::RestartNode { node: node(payload)? }),
            "restart app" => {
                Ok(LifecycleCommand::RestartApp { instance: text::instance(payload)? })
            }
            "restart model" => {
                Ok(LifecycleCommand::RestartModel { instance: text::instance(payload)? })
            }
            "need node" => Ok(LifecycleCommand::NeedNode { reason: payload.to_owned() }),
            "verdict" if json::is_object(payload) => {
                Ok(LifecycleCommand::Verdict { json: payload.to_owned() })
            }
            "verdict" => Err(malformed("the verdict is no JSON object")),
            _ => Err(TextError::UnknownKind),
        }
    }

    /// Names the kind where requests are told apart.
    pub fn kind(&self) -> &'static str {
        match self {
            LifecycleCommand::RestartService { .. } => "restart-service",
            LifecycleCommand::RestartNode { .. } => "restart-node",
            LifecycleCommand::RestartApp { .. } => "restart-app",
            LifecycleCommand::RestartModel { .. } => "restart-model",
            LifecycleCommand::NeedNode { .. } => "need-node",
            LifecycleCommand::Verdict { .. } => "verdict",
        }
    }
}

/// Document 001's names of services keep the same rule as its names of instances.
fn service(text: &str) -> Result<String, TextError> {
    match text.parse::<LegacyName>() {
        Ok(name) => Ok(name.into()),
        Err(_) => Err(malformed(format!("{:?} is no service", Excerpt(text)))),
    }
}

fn node(text: &str) -> Result<NodeName, TextError> {
    text.parse().map_err(|err| malformed(format!("{:?} is no node: {err}", Excerpt(text))))
}
