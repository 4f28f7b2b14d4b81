//! How requests of this service's topic end: the outcome that is remembered, and the message that
//! tells it. Both follow from the request, so that a repeat tells the same under the same id.

use common::failure::Failure;
use common::id::{MessageId, RequestId};
use common::message::{Event, LoadBalancerCommand};
use common::record::operation::Outcome;
use common::record::owed::Owed;
use common::topic::Topic;

/// The message on `first_topic` that tells how a command ended.
pub(crate) fn told(request: RequestId, command: &LoadBalancerCommand, outcome: &Outcome) -> Owed {
    let (verb, instance, text) = match command {
        LoadBalancerCommand::Scale { instance, replicas } => {
            ("scale app", instance, format!("{instance}${replicas}"))
        }
        LoadBalancerCommand::Status { instance } => ("status app", instance, instance.to_string()),
    };
    let verb = verb.to_owned();
    let event = match outcome {
        Outcome::Succeeded { details } => match (command, details) {
            (LoadBalancerCommand::Status { .. }, Some(details)) => {
                Event::Done { verb, text: format!("{text}${details}") }
            }
            (LoadBalancerCommand::Scale { .. } | LoadBalancerCommand::Status { .. }, _) => {
                Event::Done { verb, text }
            }
        },
        Outcome::Failed { failure, .. } => {
            Event::NotDone { verb, text, error: failure.to_string() }
        }
        Outcome::Superseded => {
            let error = superseded().to_string();
            Event::NotDone { verb, text, error }
        }
    };
    Owed {
        message_id: message_id(request, command),
        key: instance.to_string(),
        envelope: event.envelope(Topic::LoadBalancer, request),
        details: details(outcome),
    }
}

fn superseded() -> Failure {
    let code = common::failure::FailureCode::Superseded;
    Failure::new(code, "a newer request for the same instance took its place")
}

/// A request ends once, so its end has one id.
fn message_id(request: RequestId, command: &LoadBalancerCommand) -> MessageId {
    MessageId(request.derive(&format!("load-balancer {} ended", command.kind())).0)
}

fn details(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Succeeded { details } | Outcome::Failed { details, .. } => {
            details.as_ref().map(ToString::to_string)
        }
        Outcome::Superseded => None,
    }
}

#[cfg(test)]
mod tests {
    use common::failure::FailureCode;
    use common::id::RequestId;
    use serde_json::json;

    use super::*;

    fn text(command: &LoadBalancerCommand, outcome: &Outcome) -> String {
        told(RequestId(uuid::Uuid::nil()), command, outcome).envelope.msg
    }

    #[test]
    fn the_end_of_a_command_is_told_in_its_own_words() {
        let instance = "shop".parse().unwrap();
        let scale = LoadBalancerCommand::Scale { instance, replicas: 3 };
        let succeeded = Outcome::Succeeded { details: None };
        assert_eq!(text(&scale, &succeeded), "done scale app$shop$3");
        let failure = Failure::new(FailureCode::UnknownInstance, "the instance is not deployed");
        let failed = Outcome::Failed { failure, details: None };
        assert_eq!(
            text(&scale, &failed),
            "not done scale app$shop$3 Error - UNKNOWN_INSTANCE: the instance is not deployed"
        );
        let superseded = text(&scale, &Outcome::Superseded);
        assert!(superseded.starts_with("not done scale app$shop$3 Error - SUPERSEDED: "));
        let status = LoadBalancerCommand::Status { instance: "shop".parse().unwrap() };
        let details = Some(json!({ "replicas": 1 }));
        assert_eq!(
            text(&status, &Outcome::Succeeded { details }),
            r#"done status app$shop${"replicas":1}"#
        );
    }

    #[test]
    fn a_repeat_carries_the_same_message_id() {
        let instance = "shop".parse().unwrap();
        let scale = LoadBalancerCommand::Scale { instance, replicas: 3 };
        let id = |request: u128| {
            let request = RequestId(uuid::Uuid::from_u128(request));
            told(request, &scale, &Outcome::Superseded).message_id
        };
        assert_eq!(id(1), id(1));
        assert_ne!(id(1), id(2));
    }
}
