//! What is said of an incident: on the bus, to the lifecycle manager, and to receivers of webhooks.
//!
//! Everything follows from the incident's record, so that a repeat is the same byte for byte. Nothing
//! here holds an address.

use common::id::{MessageId, RequestId};
use common::message::{Event, LifecycleCommand};
use common::port::webhooks::Notice;
use common::record::owed::Owed;
use common::topic::Topic;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::domain::target::Target;
use crate::records::{Incident, OwedNotice, Phase};

/// The topic that answers to what is asked here come on.
const ANSWERS: Topic = Topic::FirstTopic;

/// The body of a webhook, the header `details` of the events, and the JSON of `verdict$`.
#[derive(Debug, Serialize)]
struct Alert<'a> {
    incident: RequestId,
    kind: &'a str,
    name: &'a str,
    /// `down` when the incident is opened, `up` at its end.
    verdict: &'a str,
    since: Timestamp,
    text: String,
}

fn alert(incident: &Incident, phase: Phase) -> String {
    let since = match phase {
        Phase::Opened => incident.opened_at,
        Phase::Closed => incident.closed_at.unwrap_or(incident.opened_at),
    };
    let alert = Alert {
        incident: incident.id,
        kind: incident.target.kind_name(),
        name: incident.target.name(),
        verdict: match phase {
            Phase::Opened => "down",
            Phase::Closed => "up",
        },
        since,
        text: text(incident, phase),
    };
    serde_json::to_string(&alert).expect("an alert is texts and a time")
}

fn text(incident: &Incident, phase: Phase) -> String {
    let target = &incident.target;
    let are = if target.kind().is_some() { "is" } else { "are" };
    match phase {
        Phase::Opened => format!("{target} {are} down: {}", incident.text),
        Phase::Closed => {
            let closed_at = incident.closed_at.unwrap_or(incident.opened_at);
            let lasted = closed_at.duration_since(incident.opened_at);
            format!("{target} {are} up again after {}", spoken(lasted))
        }
    }
}

/// A span as people say it.
fn spoken(span: SignedDuration) -> String {
    let seconds = span.as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

/// The body of the notice, and the id that all attempts share.
pub(crate) fn notice(incident: &Incident, owed: &OwedNotice) -> Notice {
    Notice { id: owed.id, body: alert(incident, owed.phase).into() }
}

/// What each receiver is to be told of this phase.
pub(crate) fn notices(
    incident: &Incident,
    phase: Phase,
    receivers: &[String],
    now: Timestamp,
) -> Vec<OwedNotice> {
    let owed = |receiver: &String| OwedNotice {
        id: incident.id.derive(&format!("{} {receiver}", phase.as_str())).0,
        receiver: receiver.clone(),
        phase,
        owed_since: now,
    };
    receivers.iter().map(owed).collect()
}

/// The event for everybody, and the verdict for the lifecycle manager.
pub(crate) fn messages(incident: &Incident, phase: Phase) -> Vec<Owed> {
    let json = alert(incident, phase);
    let id = incident.id.0;
    let (event, verdict) = match phase {
        Phase::Opened => (Event::Alert { incident: id }, "verdict down"),
        Phase::Closed => (Event::AlertOver { incident: id }, "verdict up"),
    };
    let event_request = incident.id.derive(event.kind());
    let verdict_request = incident.id.derive(verdict);
    let key = incident.target.name().to_owned();
    let told = LifecycleCommand::Verdict { json: json.clone() };
    vec![
        Owed {
            message_id: message_id(event_request),
            key: key.clone(),
            envelope: event.envelope(ANSWERS, event_request),
            details: Some(json),
        },
        Owed {
            message_id: message_id(verdict_request),
            key,
            envelope: told.envelope(ANSWERS, verdict_request),
            details: None,
        },
    ]
}

/// The request for restart `number`: asked twice, it is the same request. None for what cannot be restarted.
pub(crate) fn restart(incident: RequestId, target: &Target, number: u32) -> Option<Owed> {
    let request = incident.derive(&format!("restart {number}"));
    Some(Owed {
        message_id: message_id(request),
        key: target.name().to_owned(),
        envelope: target.restart()?.envelope(ANSWERS, request),
        details: None,
    })
}

/// One request, one message.
fn message_id(request: RequestId) -> MessageId {
    MessageId(request.derive("message").0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incident() -> Incident {
        Incident {
            schema: 1,
            id: "6ba7b810-9dad-11d1-80b4-00c04fd430c8".parse().unwrap(),
            target: Target::Service {
                name: "load_balancer".parse().unwrap(),
                instance: "instance1".parse().unwrap(),
            },
            text: "3 of its last 5 looks failed, the last because nobody answered".to_owned(),
            opened_at: "2026-11-21T09:00:00Z".parse().unwrap(),
            closed_at: None,
            restarts: 0,
            owed: Vec::new(),
            notices: Vec::new(),
        }
    }

    #[test]
    fn an_alert_says_what_the_manual_says() {
        let opened = "{\"incident\":\"6ba7b810-9dad-11d1-80b4-00c04fd430c8\",\"kind\":\"service\",\
            \"name\":\"load_balancer\",\"verdict\":\"down\",\"since\":\"2026-11-21T09:00:00Z\",\
            \"text\":\"service load_balancer is down: 3 of its last 5 looks failed, the last because nobody answered\"}";
        assert_eq!(alert(&incident(), Phase::Opened), opened);
        let mut over = incident();
        over.closed_at = Some("2026-11-21T09:03:10Z".parse().unwrap());
        let closed = "{\"incident\":\"6ba7b810-9dad-11d1-80b4-00c04fd430c8\",\"kind\":\"service\",\
            \"name\":\"load_balancer\",\"verdict\":\"up\",\"since\":\"2026-11-21T09:03:10Z\",\
            \"text\":\"service load_balancer is up again after 3 min\"}";
        assert_eq!(alert(&over, Phase::Closed), closed);
    }

    #[test]
    fn document_001s_programs_find_none_of_their_words_in_an_alert() {
        for phase in [Phase::Opened, Phase::Closed] {
            let messages = messages(&incident(), phase);
            let event = messages.iter().find(|owed| owed.envelope.to_topic == Topic::FirstTopic);
            let msg = &event.unwrap().envelope.msg;
            for word in ["done", "deploy", "stopped", "schedule", "its ", "Error", "Bootstrapper"] {
                assert!(!msg.contains(word), "{msg}");
            }
        }
    }

    #[test]
    fn each_step_has_one_request_id_and_others_have_others() {
        let incident = incident();
        let ids: Vec<_> = (1..=3)
            .filter_map(|number| restart(incident.id, &incident.target, number))
            .map(|owed| (owed.message_id, owed.envelope.request_id))
            .collect();
        let again = restart(incident.id, &incident.target, 2).unwrap();
        assert_eq!(ids[1], (again.message_id, again.envelope.request_id));
        assert!(ids[0] != ids[1] && ids[1] != ids[2]);
        assert_eq!(again.envelope.msg, "restart service$load_balancer");
    }
}
