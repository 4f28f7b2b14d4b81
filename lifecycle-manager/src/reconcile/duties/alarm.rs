//! The alarm of a brake: an event when it begins to hold, and one when it is off again.

use chassis::owed;
use chassis::reconcile::Outcome;
use chassis::records::Stored;
use common::id::{MessageId, RequestId};
use common::message::Event;
use common::port::store::Version;
use common::record::owed::Owed;
use common::topic::Topic;
use serde_json::json;

use super::Duties;
use crate::domain::brake::Kind;
use crate::reconcile::LATER;
use crate::records::{Alarm, Error, alarm_path, load, save};

impl Duties<'_> {
    pub(super) async fn alarm(&self, kind: Kind) -> Result<Outcome, Error> {
        let stored = load::<Alarm>(self.0, &alarm_path(kind)).await?;
        let brake = self.0.brake(kind);
        let stood = stored.as_ref().is_some_and(|stored| stored.record.holds);
        let (mut alarm, version) = match stored {
            Some(Stored { record, version }) if record.holds == brake.holds() => {
                (record, Some(version))
            }
            stored if brake.holds() || stood => self.turned(kind, stored).await?,
            Some(_) | None => return Ok(Outcome::Again(LATER)),
        };
        if !alarm.owed.is_empty() {
            owed::publish(self.0.ports.bus.as_ref(), &alarm.owed).await?;
            alarm.owed.clear();
            save(self.0, &alarm_path(kind), &alarm, version).await?;
        }
        Ok(Outcome::Again(LATER))
    }

    /// It begins to hold, or is off.
    async fn turned(
        &self,
        kind: Kind,
        stored: Option<Stored<Alarm>>,
    ) -> Result<(Alarm, Option<Version>), Error> {
        let brake = self.0.brake(kind);
        let (before, version) = match stored {
            Some(Stored { record, version }) => (Some(record), Some(version)),
            None => (None, None),
        };
        let going_on = before.as_ref().filter(|alarm| alarm.holds).map(|alarm| alarm.incident);
        let incident = going_on.unwrap_or_else(|| RequestId(self.0.ports.entropy.uuid()));
        let count = brake.count();
        let text = if brake.holds() {
            let (bad, known) = (count.bad, count.known);
            format!("{bad} of {known} {} look dead at once: nothing is restarted", kind.as_str())
        } else {
            format!("few enough {} look dead again", kind.as_str())
        };
        let mut alarm = Alarm {
            schema: 1,
            kind,
            holds: brake.holds(),
            incident,
            text,
            since: self.0.ports.clock.now(),
            owed: before.map(|alarm| alarm.owed).unwrap_or_default(),
        };
        alarm.owed.push(event(&alarm));
        let version = save(self.0, &alarm_path(kind), &alarm, version).await?;
        if alarm.holds {
            tracing::error!(kind = kind.as_str(), text = alarm.text, "the brake holds");
        } else {
            tracing::warn!(kind = kind.as_str(), "the brake is off");
        }
        self.0.metrics.brake_is(kind, alarm.holds);
        Ok((alarm, Some(version)))
    }
}

/// In the words of monitoring's alerts.
fn event(alarm: &Alarm) -> Owed {
    let incident = alarm.incident.0;
    let (event, verdict) = if alarm.holds {
        (Event::Alert { incident }, "down")
    } else {
        (Event::AlertOver { incident }, "up")
    };
    let details = json!({
        "incident": incident, "kind": "fleet", "name": alarm.kind.as_str(), "verdict": verdict,
        "since": alarm.since, "text": alarm.text,
    });
    let request = alarm.incident.derive(event.kind());
    Owed {
        message_id: MessageId(request.derive("message").0),
        key: alarm.kind.as_str().to_owned(),
        envelope: event.envelope(Topic::LifecycleManager, request),
        details: Some(details.to_string()),
    }
}
