//! The answer to a request for a node: as message 7, and as the details of the request's outcome.

use common::failure::FailureCode;
use common::id::MessageId;
use common::message::{DeploymentCommand, Envelope, NodeAnswer, NodeChoice};
use common::name::LegacyName;
use common::record::operation::Outcome;
use common::record::owed::Owed;
use common::topic::Topic;
use serde::Deserialize;

use crate::records::Placement;

/// The details of an outcome, as they are read back.
#[derive(Debug, Deserialize)]
struct Details {
    node_id: String,
    node_name: String,
    node_ip: String,
    node_os: String,
    port: u16,
}

pub(super) fn found(instance: &LegacyName, choice: NodeChoice) -> NodeAnswer {
    NodeAnswer { instance: instance.clone(), node: Ok(choice) }
}

pub(super) fn none(instance: &LegacyName, code: FailureCode) -> NodeAnswer {
    NodeAnswer { instance: instance.clone(), node: Err(code) }
}

/// What the outcome of the request remembers.
pub(super) fn details(instance: &LegacyName, choice: &NodeChoice) -> serde_json::Value {
    serde_json::json!({
        "instance": instance,
        "node_id": choice.id,
        "node_name": choice.name,
        "node_ip": choice.ip.to_string(),
        "node_os": choice.os,
        "port": choice.port,
    })
}

/// The answer that an outcome remembers.
pub(super) fn from_outcome(instance: &LegacyName, outcome: &Outcome) -> NodeAnswer {
    match outcome {
        Outcome::Succeeded { details } => match details.as_ref().and_then(choice) {
            Some(choice) => found(instance, choice),
            None => none(instance, FailureCode::Internal),
        },
        Outcome::Failed { failure, .. } => none(instance, failure.code),
        Outcome::Superseded => none(instance, FailureCode::Superseded),
    }
}

fn choice(details: &serde_json::Value) -> Option<NodeChoice> {
    let details = Details::deserialize(details).ok()?;
    Some(NodeChoice {
        id: details.node_id,
        name: details.node_name.parse().ok()?,
        ip: details.node_ip.parse().ok()?,
        os: details.node_os,
        port: details.port,
    })
}

/// Message 7. A repeat carries the same message id, so that its reader drops it.
pub(super) fn owed(asked: &Placement, answer: NodeAnswer) -> Owed {
    Owed {
        message_id: MessageId(asked.request.derive("ans-node").0),
        key: asked.instance.to_string(),
        envelope: Envelope {
            to_topic: Topic::DeploymentManager,
            from_topic: Topic::NodeManager,
            request_id: asked.request,
            msg: DeploymentCommand::AnswerNode(answer).encode(),
        },
        details: None,
    }
}

#[cfg(test)]
mod tests {
    use common::failure::Failure;

    use super::*;

    #[test]
    fn an_answer_is_read_back_from_its_outcome() {
        let instance: LegacyName = "shop".parse().unwrap();
        let choice = NodeChoice {
            id: "node-1".to_owned(),
            name: "node-1".parse().unwrap(),
            ip: "192.0.2.1".parse().unwrap(),
            os: "Debian 13".to_owned(),
            port: 20_000,
        };
        let outcome = Outcome::Succeeded { details: Some(details(&instance, &choice)) };
        assert_eq!(from_outcome(&instance, &outcome), found(&instance, choice));
        let failure = Failure::new(FailureCode::PortsExhausted, "none is free");
        let outcome = Outcome::Failed { failure, details: None };
        let expected = none(&instance, FailureCode::PortsExhausted);
        assert_eq!(from_outcome(&instance, &outcome), expected);
    }
}
