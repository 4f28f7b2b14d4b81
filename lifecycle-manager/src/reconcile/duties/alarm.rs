//! The alarm that nothing is restarted: an event when too many look dead, or are asked for, at once, and one when that is
//! over.

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
use crate::domain::brake::{Count, Kind};
use crate::domain::target::Family;
use crate::reconcile::LATER;
use crate::reconcile::restarts::asked_at_once;
use crate::records::{Alarm, Error, alarm_path, load, save};

impl Duties<'_> {
    pub(super) async fn alarm(&self, kind: Kind) -> Result<Outcome, Error> {
        let stored = load::<Alarm>(self.0, &alarm_path(kind)).await?;
        let cause = self.cause(kind).await?;
        let stood = stored.as_ref().is_some_and(|stored| stored.record.holds);
        let (mut alarm, version) = match stored {
            Some(Stored { record, version }) if record.holds == cause.is_some() => {
                (record, Some(version))
            }
            stored if cause.is_some() || stood => self.turned(kind, cause, stored).await?,
            Some(_) | None => return Ok(Outcome::Again(LATER)),
        };
        if !alarm.owed.is_empty() {
            owed::publish(self.0.ports.bus.as_ref(), &alarm.owed).await?;
            alarm.owed.clear();
            save(self.0, &alarm_path(kind), &alarm, version).await?;
        }
        Ok(Outcome::Again(LATER))
    }

    /// Why nothing of this kind is restarted now; none where that is not so.
    async fn cause(&self, kind: Kind) -> Result<Option<String>, Error> {
        let (brake, name) = (self.0.brake(kind), kind.as_str());
        if brake.holds() {
            let Count { bad, known } = brake.count();
            return Ok(Some(format!(
                "{bad} of {known} {name} look dead at once: nothing is restarted"
            )));
        }
        let family = match kind {
            Kind::Machines => Family::Nodes,
            Kind::Services => Family::Services,
        };
        let asked = asked_at_once(self.0, family).await?;
        let is_too_many = asked.is_too_many(self.0.config.restart.percent);
        let Count { bad, known } = asked;
        let text = || {
            format!(
                "{bad} of {known} {name} were to be restarted at once, which is not what is seen of them: none is"
            )
        };
        Ok(is_too_many.then(text))
    }

    /// It begins to hold, or is over.
    async fn turned(
        &self,
        kind: Kind,
        cause: Option<String>,
        stored: Option<Stored<Alarm>>,
    ) -> Result<(Alarm, Option<Version>), Error> {
        let (before, version) = match stored {
            Some(Stored { record, version }) => (Some(record), Some(version)),
            None => (None, None),
        };
        let going_on = before.as_ref().filter(|alarm| alarm.holds).map(|alarm| alarm.incident);
        let incident = going_on.unwrap_or_else(|| RequestId(self.0.ports.entropy.uuid()));
        let holds = cause.is_some();
        let over = || format!("few enough {} look dead, or are asked for, again", kind.as_str());
        let mut alarm = Alarm {
            schema: 1,
            kind,
            holds,
            is_seen: self.0.brake(kind).holds(),
            incident,
            text: cause.unwrap_or_else(over),
            since: self.0.ports.clock.now(),
            owed: before.map(|alarm| alarm.owed).unwrap_or_default(),
        };
        alarm.owed.push(event(&alarm));
        let version = save(self.0, &alarm_path(kind), &alarm, version).await?;
        if alarm.holds {
            tracing::error!(kind = kind.as_str(), text = alarm.text, "nothing is restarted");
        } else {
            tracing::warn!(kind = kind.as_str(), "what is asked for is restarted again");
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
