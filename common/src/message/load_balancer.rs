//! What the load balancer is told: verbs of our own.

use super::text::{self, Excerpt, malformed};
use super::{TextError, on_topic};
use crate::name::LegacyName;

/// A message on `LoadBalancer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadBalancerCommand {
    /// `scale app$<instance>$<n>`.
    Scale { instance: LegacyName, replicas: u32 },
    /// `status app$<instance>`.
    Status { instance: LegacyName },
}

on_topic!(LoadBalancerCommand, LoadBalancer);

impl LoadBalancerCommand {
    pub fn encode(&self) -> String {
        match self {
            LoadBalancerCommand::Scale { instance, replicas } => {
                format!("scale app${instance}${replicas}")
            }
            LoadBalancerCommand::Status { instance } => format!("status app${instance}"),
        }
    }

    pub fn decode(text: &str) -> Result<Self, TextError> {
        let (verb, payload) = text::split(text);
        match verb {
            "scale app" => {
                let (instance, replicas) = text::split(payload);
                let instance = text::instance(instance)?;
                Ok(LoadBalancerCommand::Scale { instance, replicas: number(replicas)? })
            }
            "status app" => Ok(LoadBalancerCommand::Status { instance: text::instance(payload)? }),
            _ => Err(TextError::UnknownKind),
        }
    }

    /// Names the kind where requests are told apart.
    pub fn kind(&self) -> &'static str {
        match self {
            LoadBalancerCommand::Scale { .. } => "scale-app",
            LoadBalancerCommand::Status { .. } => "status-app",
        }
    }
}

/// Digits only: the standard parser would take a sign.
fn number(text: &str) -> Result<u32, TextError> {
    Some(text)
        .filter(|text| text.bytes().all(|digit| digit.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| malformed(format!("{:?} is no number of replicas", Excerpt(text))))
}
