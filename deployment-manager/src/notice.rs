//! How a request's end is told: message 8, 9, 11 or 12, with all the app and node details.
//!
//! Everything is derived from the request and its outcome, so that telling it again is the same message.

use std::net::{IpAddr, SocketAddr};

use common::failure::{Failure, FailureCode};
use common::id::{MessageId, RequestId};
use common::message::Event;
use common::name::LegacyName;
use common::record::deployment::{Deployment, Goal, Replica, Slot, SlotState, State};
use common::record::operation::Outcome;
use common::record::owed::Owed;
use common::topic::Topic;
use serde::{Deserialize, Serialize};

/// The header `details` of messages 8, 9, 11 and 12; the same stands in the outcome of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Details {
    /// None if the instance is not known.
    app: Option<String>,
    instance: LegacyName,
    release: Option<u32>,
    /// Those that the edge serves; of a failed deploy, or of a stop, those it takes away.
    replicas: Vec<ReplicaDetails>,
    /// `<ip>:<port>` of the front door.
    endpoint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ReplicaDetails {
    slot: u32,
    node_id: String,
    node_name: String,
    node_ip: IpAddr,
    port: u16,
    container_id: Option<String>,
}

impl Details {
    pub(crate) fn of(deployment: &Deployment) -> Self {
        let routed = deployment.slots.iter().filter(|slot| slot.state == SlotState::Routed);
        let replicas = if deployment.state == State::Running {
            routed.filter_map(Slot::replica).map(ReplicaDetails::of).collect()
        } else {
            deployment.taken.iter().cloned().map(ReplicaDetails::of).collect()
        };
        Details {
            app: Some(deployment.app.to_string()),
            instance: deployment.instance.clone(),
            release: Some(deployment.release.0),
            replicas,
            endpoint: deployment.endpoint.clone(),
            failure: deployment.failure.clone(),
        }
    }

    /// Of a canary that goes: what failed is its release, and what is taken away are its replicas.
    fn of_canary(deployment: &Deployment, failure: &Failure) -> Self {
        let rising = deployment.rising();
        let own = deployment.slots.iter().filter(|slot| slot.generation == rising);
        let replicas = own.filter_map(Slot::replica).map(ReplicaDetails::of).collect();
        Details { replicas, failure: Some(failure.clone()), ..Details::of(deployment) }
    }

    /// Of a request that nothing was made for.
    pub(crate) fn refused(instance: &LegacyName, failure: &Failure) -> Self {
        Details {
            app: None,
            instance: instance.clone(),
            release: None,
            replicas: Vec::new(),
            endpoint: None,
            failure: Some(failure.clone()),
        }
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("details are texts and numbers")
    }
}

impl ReplicaDetails {
    fn of(replica: Replica) -> Self {
        let Replica { number, place, container_id } = replica;
        ReplicaDetails {
            slot: number.0,
            node_id: place.node.to_string(),
            node_name: place.node.to_string(),
            node_ip: place.ip,
            port: place.host_port,
            container_id,
        }
    }
}

/// The outcome of a request that did what it should.
pub(crate) fn succeeded(details: &Details) -> Outcome {
    Outcome::Succeeded { details: Some(details.to_json()) }
}

/// The outcome of a request that failed.
pub(crate) fn failed(failure: &Failure, details: &Details) -> Outcome {
    Outcome::Failed { failure: failure.clone(), details: Some(details.to_json()) }
}

/// What is told of a request's end.
pub(crate) fn notice(
    instance: &LegacyName,
    goal: Goal,
    request: RequestId,
    outcome: &Outcome,
) -> Owed {
    let (event, details) = match outcome {
        Outcome::Succeeded { details } => {
            (success(instance, goal, details.as_ref()), details.as_ref())
        }
        Outcome::Failed { failure, details } => (error(instance, goal, failure), details.as_ref()),
        Outcome::Superseded => (error(instance, goal, &superseded()), None),
    };
    Owed {
        message_id: MessageId(request.derive(&format!("outcome of {}", kind(goal))).0),
        key: instance.to_string(),
        envelope: event.envelope(Topic::DeploymentManager, request),
        details: details.map(ToString::to_string),
    }
}

/// What is told where a canary goes although its request has ended well: nobody asked, so it is a request of its own.
/// `deployment` is as it was with the canary.
pub(crate) fn backed_out(deployment: &Deployment, failure: &Failure) -> Owed {
    let request = deployment.request.derive("backed out");
    let outcome = failed(failure, &Details::of_canary(deployment, failure));
    notice(&deployment.instance, Goal::Running, request, &outcome)
}

/// The kind under which the request was accepted.
pub(crate) fn kind(goal: Goal) -> &'static str {
    match goal {
        Goal::Running => "deploy-app",
        Goal::Stopped => "stop-app",
    }
}

fn success(instance: &LegacyName, goal: Goal, details: Option<&serde_json::Value>) -> Event {
    let instance = instance.clone();
    let endpoint =
        details.and_then(|details| details.get("endpoint")?.as_str()?.parse::<SocketAddr>().ok());
    match (goal, endpoint) {
        (Goal::Stopped, _) => Event::Stopped { instance },
        (Goal::Running, Some(endpoint)) => Event::Deployed { instance, endpoint },
        (Goal::Running, None) => {
            let failure =
                Failure::new(FailureCode::Internal, "it runs, but its endpoint is unknown");
            Event::NotDeployed { instance, error: failure.to_string() }
        }
    }
}

fn error(instance: &LegacyName, goal: Goal, failure: &Failure) -> Event {
    let instance = instance.clone();
    let error = failure.to_string();
    match goal {
        Goal::Running => Event::NotDeployed { instance, error },
        Goal::Stopped => Event::NotStopped { instance, error },
    }
}

fn superseded() -> Failure {
    Failure::new(FailureCode::Superseded, "a newer request for this instance took its place")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn told(goal: Goal, outcome: &Outcome) -> Owed {
        let request = RequestId(Uuid::from_u128(7));
        notice(&"shop".parse().unwrap(), goal, request, outcome)
    }

    #[test]
    fn failures_and_successes_are_told_in_document_001s_words() {
        let failure = Failure::new(FailureCode::AppExited, "it ended with code 1");
        let instance: LegacyName = "shop".parse().unwrap();
        let mut details = Details::refused(&instance, &failure);
        let outcome = failed(&failure, &details);
        let text = |goal, outcome| told(goal, outcome).envelope.msg;
        assert_eq!(
            text(Goal::Running, &outcome),
            "App shop not deployed. Error - APP_EXITED: it ended with code 1"
        );
        assert_eq!(
            text(Goal::Stopped, &Outcome::Superseded),
            "App shop not stopped. Error - SUPERSEDED: a newer request for this instance took its place"
        );
        details.endpoint = Some("192.0.2.10:2000".to_owned());
        details.failure = None;
        let outcome = succeeded(&details);
        assert_eq!(text(Goal::Running, &outcome), "done shop deploy - 192.0.2.10:2000");
        assert_eq!(text(Goal::Stopped, &outcome), "done stopped$shop");
    }

    #[test]
    fn the_header_and_the_outcome_say_the_same() {
        let failure = Failure::new(FailureCode::AppUnknown, "no app has this name");
        let outcome = failed(&failure, &Details::refused(&"shop".parse().unwrap(), &failure));
        let header = told(Goal::Running, &outcome).details.unwrap();
        let Outcome::Failed { details, .. } = outcome else { panic!("it failed") };
        assert_eq!(serde_json::from_str::<serde_json::Value>(&header).unwrap(), details.unwrap());
        assert_eq!(
            header,
            r#"{"app":null,"endpoint":null,"failure":{"code":"APP_UNKNOWN","message":"no app has this name"},"instance":"shop","release":null,"replicas":[]}"#
        );
    }
}
