//! How a request's end is told: in its outcome, and on `first_topic` where a message asked.
//!
//! Everything follows from the request and its outcome, so that telling it again is the same message.

use chassis::{operations, records};
use common::failure::{Failure, FailureCode};
use common::id::{MessageId, RequestId};
use common::message::Event;
use common::port::store::Op;
use common::record::operation::Outcome;
use common::record::owed::Owed;
use common::record::path;
use common::service::ServiceName;
use common::topic::Topic;
use serde_json::Value;

use crate::records::By;
use crate::shared::Shared;

/// A request that ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending<'a> {
    pub(crate) request: RequestId,
    pub(crate) by: By,
    /// The verb of the request, and what stood behind it.
    pub(crate) verb: &'a str,
    pub(crate) text: &'a str,
    /// The kind under which it was accepted.
    pub(crate) kind: &'static str,
}

/// What ends the request in the store, and what is owed for it.
pub(crate) async fn end(
    shared: &Shared,
    ending: &Ending<'_>,
    result: &Result<(), Failure>,
    details: Option<&Value>,
) -> Result<(Option<Op>, Option<Owed>), records::Error> {
    let service = ServiceName::LifecycleManager;
    let at = path::operation(ending.request, service, ending.kind);
    let outcome = match result {
        Ok(()) => Outcome::Succeeded { details: details.cloned() },
        Err(failure) => Outcome::Failed { failure: failure.clone(), details: details.cloned() },
    };
    let concluded = operations::conclude(shared.ports.store.as_ref(), &at, outcome).await?;
    let told = || Owed { details: details.map(Value::to_string), ..notice(ending, result) };
    Ok((concluded, (ending.by == By::Message).then(told)))
}

pub(crate) fn outcome(result: &Result<(), Failure>) -> Outcome {
    match result {
        Ok(()) => Outcome::Succeeded { details: None },
        Err(failure) => Outcome::Failed { failure: failure.clone(), details: None },
    }
}

/// The message that tells it.
pub(crate) fn notice(ending: &Ending<'_>, result: &Result<(), Failure>) -> Owed {
    let verb = ending.verb.to_owned();
    // Readers look for the first of these: what somebody wrote must not hold one.
    let text = ending.text.replace(" Error - ", " error: ");
    let event = match result {
        Ok(()) => Event::Done { verb, text },
        Err(failure) => Event::NotDone { verb, text, error: failure.to_string() },
    };
    let purpose = format!("outcome of {}", ending.kind);
    Owed {
        message_id: MessageId(ending.request.derive(&purpose).0),
        key: ending.text.chars().take(LONGEST_KEY).collect(),
        envelope: event.envelope(Topic::LifecycleManager, ending.request),
        details: None,
    }
}

const LONGEST_KEY: usize = 80;

/// The same for a request whose outcome is known already.
pub(crate) fn repeated(ending: &Ending<'_>, outcome: &Outcome) -> Owed {
    let result = match outcome {
        Outcome::Succeeded { .. } => Ok(()),
        Outcome::Failed { failure, .. } => Err(failure.clone()),
        Outcome::Superseded => {
            Err(Failure::new(FailureCode::Superseded, "a newer request took its place"))
        }
    };
    notice(ending, &result)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_end_is_told_in_the_words_of_the_request() {
        let ending = Ending {
            request: RequestId(Uuid::from_u128(7)),
            by: By::Message,
            verb: "restart service",
            text: "load_balancer",
            kind: "restart-service",
        };
        let done = notice(&ending, &Ok(()));
        assert_eq!(done.envelope.msg, "done restart service$load_balancer");
        assert_eq!(done, notice(&ending, &Ok(())));
        let failure = Failure::new(FailureCode::RestartHeld, "7 of 7 were asked for at once");
        let told = notice(&ending, &Err(failure)).envelope.msg;
        let expected = "not done restart service$load_balancer Error - RESTART_HELD: 7 of 7 were asked for at once";
        assert_eq!(told, expected);
    }
}
