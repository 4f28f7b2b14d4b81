//! How a request ended: as its outcome, as messages 2 and 4, and as document 001's text.

use common::failure::{Failure, FailureCode};
use common::id::{MessageId, RequestId};
use common::message::{BootstrapperCommand, Envelope, Event, PlatformOutcome};
use common::port::store::Path;
use common::record::change::{Change, ServiceChange};
use common::record::operation::Outcome;
use common::record::owed::Owed;
use common::record::path;
use common::record::platform::{PlatformGoal, RunningInstance};
use common::service::ServiceName;
use common::topic::Topic;
use serde_json::{Value, json};

use crate::domain::plan::{Entry, Observed, Seen};

/// The key of what is told of the platform.
const KEY: &str = "platform";

pub(crate) fn command(goal: PlatformGoal) -> BootstrapperCommand {
    match goal {
        PlatformGoal::On => BootstrapperCommand::Start,
        PlatformGoal::Off => BootstrapperCommand::Stop,
    }
}

/// Where the outcome of a request for this goal stands.
pub(crate) fn operation(request: RequestId, goal: PlatformGoal) -> Path {
    path::operation(request, ServiceName::PlatformInitializer, command(goal).kind())
}

/// Message 2 or 4. A repeat carries the same message id, so that its reader drops it.
pub(crate) fn owed(request: RequestId, goal: PlatformGoal, outcome: &Outcome) -> Owed {
    let told = match outcome {
        Outcome::Succeeded { details } => {
            PlatformOutcome::Yes { details: sentence(goal, details.as_ref()) }
        }
        Outcome::Failed { .. } | Outcome::Superseded => {
            PlatformOutcome::No { error: failure(goal, outcome).to_string() }
        }
    };
    let event = match goal {
        PlatformGoal::On => Event::PlatformStarted(told),
        PlatformGoal::Off => Event::PlatformStopped(told),
    };
    let details = match outcome {
        Outcome::Succeeded { details } | Outcome::Failed { details, .. } => details.as_ref(),
        Outcome::Superseded => None,
    };
    Owed {
        message_id: MessageId(request.derive(command(goal).kind()).0),
        key: KEY.to_owned(),
        envelope: Envelope {
            to_topic: Topic::FirstTopic,
            from_topic: Topic::Bootstrapper,
            request_id: request,
            msg: event.encode(),
        },
        details: details.map(Value::to_string),
    }
}

/// Where the outcome of a change of one service stands.
pub(crate) fn change_operation(change: &ServiceChange) -> Path {
    path::operation(change.request, ServiceName::PlatformInitializer, change_kind(&change.change))
}

/// The kind under which a request for it is accepted.
pub(crate) fn change_kind(change: &Change) -> &'static str {
    match change {
        Change::Upgrade { .. } => UPGRADE,
        Change::Move { .. } => MOVE,
        Change::Scale { .. } => SCALE,
    }
}

/// As messages have them.
pub(crate) const UPGRADE: &str = "upgrade-service";
pub(crate) const MOVE: &str = "move-service";
pub(crate) const SCALE: &str = "scale-service";

/// The answer to the request for a change, by document 001's name of the service.
pub(crate) fn change_owed(change: &ServiceChange, outcome: &Outcome) -> Owed {
    let name = change.service.registry_name();
    change_answer(change.request, change_kind(&change.change), name, outcome)
}

/// The same for a request that was made under this name of the service.
pub(crate) fn change_answer(
    request: RequestId,
    kind: &'static str,
    name: &str,
    outcome: &Outcome,
) -> Owed {
    let (verb, text) = (kind.replace('-', " "), name.to_owned());
    let event = match outcome {
        Outcome::Succeeded { .. } => Event::Done { verb, text },
        Outcome::Failed { .. } | Outcome::Superseded => {
            Event::NotDone { verb, text, error: change_failure(outcome).to_string() }
        }
    };
    Owed {
        message_id: MessageId(request.derive(kind).0),
        key: name.to_owned(),
        envelope: event.envelope(Topic::Bootstrapper, request),
        details: None,
    }
}

/// Why a change did not end well.
pub(crate) fn change_failure(outcome: &Outcome) -> Failure {
    match outcome {
        Outcome::Failed { failure, .. } => failure.clone(),
        Outcome::Succeeded { .. } | Outcome::Superseded => {
            Failure::new(FailureCode::Superseded, "a newer request took its place")
        }
    }
}

/// Why it did not end well.
pub(crate) fn failure(goal: PlatformGoal, outcome: &Outcome) -> Failure {
    match outcome {
        Outcome::Failed { failure, .. } => failure.clone(),
        Outcome::Succeeded { .. } | Outcome::Superseded => {
            let other = match goal {
                PlatformGoal::On => "a newer request to stop the platform took its place",
                PlatformGoal::Off => "a newer request to start the platform took its place",
            };
            Failure::new(FailureCode::Superseded, other)
        }
    }
}

/// What stands when the goal is reached.
pub(crate) fn details(observed: &Observed) -> Value {
    let services: Vec<Value> =
        observed.services.iter().filter(|seen| seen.placed.is_some()).map(service).collect();
    json!({ "services": services })
}

/// One service as it is told.
pub(crate) fn service(seen: &Seen) -> Value {
    let instance = |one: &RunningInstance| {
        json!({
            "part": one.part, "node": one.node, "address": one.address.to_string(),
            "state": one.state, "image": one.image, "failure": one.failure, "since": one.since,
        })
    };
    let running = seen.running.iter().flat_map(|running| &running.instances);
    json!({
        "service": seen.service.registry_name(),
        "goal": seen.placed.as_ref().map(|placed| placed.goal),
        "nodes": seen.placed.as_ref().map(|placed| &placed.nodes),
        "image": seen.placed.as_ref().and_then(|placed| placed.image.as_ref()),
        "backed_out": seen.running.as_ref().and_then(|running| running.backed_out.as_ref()),
        "endpoint": match seen.entry {
            Entry::Right(address) => Some(address.to_string()),
            Entry::Absent | Entry::Wrong => None,
        },
        "instances": running.map(instance).collect::<Vec<_>>(),
    })
}

/// The newest change of a service as it is told.
pub(crate) fn change_told(change: &ServiceChange) -> Value {
    json!({
        "service": change.service.registry_name(),
        "change": change.change,
        "stage": change.stage,
        "since": change.since,
        "request_id": change.request,
        "failure": change.failure,
    })
}

/// The details in one clause; each service with its address.
fn sentence(goal: PlatformGoal, details: Option<&Value>) -> String {
    let services = details.and_then(|details| details.get("services")?.as_array());
    let services = services.map(Vec::as_slice).unwrap_or_default();
    match goal {
        PlatformGoal::Off => format!("{} services stopped", services.len()),
        PlatformGoal::On => {
            let text = |one: &Value, key: &str| one.get(key)?.as_str().map(str::to_owned);
            let told = |one: &Value| {
                let endpoint = text(one, "endpoint")?;
                Some(format!("{} at {endpoint}", text(one, "service")?))
            };
            services.iter().filter_map(told).collect::<Vec<_>>().join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn told(goal: PlatformGoal, outcome: &Outcome) -> String {
        owed(RequestId(Uuid::from_u128(1)), goal, outcome).envelope.msg
    }

    #[test]
    fn answers_are_those_of_document_001() {
        let services = json!({ "services": [
            { "service": "node_manager", "endpoint": "192.0.2.1:8040" },
            { "service": "load_balancer", "endpoint": "192.0.2.1:8050" },
        ]});
        let well = Outcome::Succeeded { details: Some(services) };
        assert_eq!(
            told(PlatformGoal::On, &well),
            "Bootstrapper start response - YES - node_manager at 192.0.2.1:8040, load_balancer at 192.0.2.1:8050"
        );
        assert_eq!(
            told(PlatformGoal::Off, &well),
            "Bootstrapper stop response - YES - 2 services stopped"
        );
        let failure =
            Failure::new(FailureCode::HealthTimeout, "monitoring on node-2 was not ready");
        let failed = Outcome::Failed { failure, details: None };
        assert_eq!(
            told(PlatformGoal::On, &failed),
            "Bootstrapper start response - NO - HEALTH_TIMEOUT: monitoring on node-2 was not ready"
        );
        assert_eq!(
            told(PlatformGoal::Off, &Outcome::Superseded),
            "Bootstrapper stop response - NO - SUPERSEDED: a newer request to start the platform took its place"
        );
    }

    #[test]
    fn a_start_and_a_stop_under_one_id_are_two_messages() {
        let id = RequestId(Uuid::from_u128(1));
        let start = owed(id, PlatformGoal::On, &Outcome::Superseded);
        let stop = owed(id, PlatformGoal::Off, &Outcome::Superseded);
        assert_ne!(start.message_id, stop.message_id);
    }
}
