//! Asking for a machine, where no node has room: one request in each period, whichever and however many replicas it is
//! for. Its id follows from the period, so that the lifecycle manager takes it once, also after a crash here.

use common::id::{MessageId, RequestId};
use common::message::LifecycleCommand;
use common::record::owed::Owed;
use common::topic::Topic;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

const KEY: &str = "machines";
/// The same each time: a request is known by its id and its text.
const REASON: &str = "no live node has room for one more replica";

/// The request of the period of `every` that `now` is in.
pub(crate) fn request(now: Timestamp, every: SignedDuration) -> RequestId {
    let period = now.as_second().div_euclid(every.as_secs().max(1));
    RequestId(Uuid::nil()).derive(&format!("need node in period {period} of {every}"))
}

/// `need node$<reason>`.
pub(crate) fn message(request: RequestId) -> Owed {
    let command = LifecycleCommand::NeedNode { reason: REASON.to_owned() };
    Owed {
        message_id: MessageId(request.derive("message").0),
        key: KEY.to_owned(),
        envelope: command.envelope(Topic::DeploymentManager, request),
        details: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_has_one_request_and_the_next_another() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let every = SignedDuration::from_mins(5);
        let first = request(at(3000), every);
        assert_eq!(request(at(3299), every), first);
        assert_ne!(request(at(3300), every), first);
        assert_eq!(message(first), message(request(at(3100), every)));
    }
}
