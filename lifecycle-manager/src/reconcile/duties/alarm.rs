//! Alarms: an event when too many look dead, or are asked for, at once, or when a member of an ensemble waits with its data
//! lost; and one when that is over.

use std::time::Duration;

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
use crate::domain::waits::elapsed;
use crate::fleet;
use crate::reconcile::LATER;
use crate::reconcile::restarts::asked_at_once;
use crate::records::{Alarm, Base, Error, Subject, alarm_path, base_path, load, save};

/// A member that waits for less long is no alarm: the others may be on their way.
const HELD_FOR: Duration = Duration::from_mins(1);

/// Why there is an alarm.
struct Cause {
    text: String,
    /// It is about what is seen, and not about what was asked for.
    is_seen: bool,
}

impl Duties<'_> {
    pub(super) async fn alarm(&self, subject: Subject) -> Result<Outcome, Error> {
        let stored = load::<Alarm>(self.0, &alarm_path(subject)).await?;
        let cause = match subject.brake() {
            Some(kind) => self.braked(kind, stored.as_ref().map(|stored| &stored.record)).await?,
            None => self.held().await?,
        };
        let stood = stored.as_ref().is_some_and(|stored| stored.record.holds);
        let (mut alarm, version) = match (stored, cause) {
            (Some(stored), Some(cause)) if stood => self.told_anew(stored, cause).await?,
            (stored, cause) if cause.is_some() || stood => {
                self.turned(subject, cause, stored).await?
            }
            (Some(Stored { record, version }), _) => (record, Some(version)),
            (None, _) => return Ok(Outcome::Again(LATER)),
        };
        if !alarm.owed.is_empty() {
            owed::publish(self.0.ports.bus.as_ref(), &alarm.owed).await?;
            alarm.owed.clear();
            save(self.0, &alarm_path(subject), &alarm, version).await?;
        }
        Ok(Outcome::Again(LATER))
    }

    /// Why nothing of this kind is restarted now; none where that is not so.
    async fn braked(&self, kind: Kind, before: Option<&Alarm>) -> Result<Option<Cause>, Error> {
        let (brake, name) = (self.0.brake(kind), kind.as_str());
        if brake.holds() {
            let Count { bad, known } = brake.count();
            let text = format!("{bad} of {known} {name} look dead at once: nothing is restarted");
            // Who has just taken the lead has not counted yet.
            let before = before.filter(|_| known == 0).map(|alarm| alarm.text.clone());
            return Ok(Some(Cause { text: before.unwrap_or(text), is_seen: true }));
        }
        let family = match kind {
            Kind::Machines => Family::Nodes,
            Kind::Services => Family::Services,
        };
        let asked = asked_at_once(self.0, family, None).await?;
        let is_too_many = asked.is_too_many(self.0.config.restart.percent);
        let Count { bad, known } = asked;
        let text = || {
            format!(
                "{bad} of {known} {name} were to be restarted at once, which is not what is seen of them: none is"
            )
        };
        Ok(is_too_many.then(|| Cause { text: text(), is_seen: false }))
    }

    /// The members of ensembles that wait for the others; none where there is none.
    async fn held(&self) -> Result<Option<Cause>, Error> {
        let now = self.0.ports.clock.now();
        let mut held = Vec::new();
        for node in fleet::names(self.0).await? {
            if !self.0.sight.of(&node, self.0.config.window).answers() {
                continue;
            }
            let Some(base) = load::<Base>(self.0, &base_path(&node)).await? else { continue };
            for (part, history) in base.record.parts {
                if history.held_since.is_some_and(|since| elapsed(since, now) >= HELD_FOR) {
                    held.push(format!("{part} on {node}"));
                }
            }
        }
        let names = held.join(", ");
        let text = format!(
            "without their data, and waiting until all others of their kind are ready: {names}; what to do where these will not be stands in lifecycle-manager/README.md"
        );
        Ok((!held.is_empty()).then_some(Cause { text, is_seen: true }))
    }

    /// It goes on; what is known of it may be another than when it began.
    async fn told_anew(
        &self,
        stored: Stored<Alarm>,
        cause: Cause,
    ) -> Result<(Alarm, Option<Version>), Error> {
        let Stored { record: mut alarm, version } = stored;
        let Cause { text, is_seen } = cause;
        if alarm.text == text && alarm.is_seen == is_seen {
            return Ok((alarm, Some(version)));
        }
        alarm.text = text;
        alarm.is_seen = is_seen;
        let version = save(self.0, &alarm_path(alarm.kind), &alarm, Some(version)).await?;
        Ok((alarm, Some(version)))
    }

    /// It begins, or is over.
    async fn turned(
        &self,
        kind: Subject,
        cause: Option<Cause>,
        stored: Option<Stored<Alarm>>,
    ) -> Result<(Alarm, Option<Version>), Error> {
        let (before, version) = match stored {
            Some(Stored { record, version }) => (Some(record), Some(version)),
            None => (None, None),
        };
        let going_on = before.as_ref().filter(|alarm| alarm.holds).map(|alarm| alarm.incident);
        let incident = going_on.unwrap_or_else(|| RequestId(self.0.ports.entropy.uuid()));
        let holds = cause.is_some();
        let Cause { text, is_seen } =
            cause.unwrap_or_else(|| Cause { text: over(kind), is_seen: false });
        let mut alarm = Alarm {
            schema: 1,
            kind,
            holds,
            is_seen,
            incident,
            text,
            since: self.0.ports.clock.now(),
            owed: before.map(|alarm| alarm.owed).unwrap_or_default(),
        };
        alarm.owed.push(event(&alarm));
        let version = save(self.0, &alarm_path(kind), &alarm, version).await?;
        if alarm.holds {
            tracing::error!(kind = kind.as_str(), text = alarm.text, "an alarm begins");
        } else {
            tracing::warn!(kind = kind.as_str(), "an alarm is over");
        }
        if let Some(brake) = kind.brake() {
            self.0.metrics.brake_is(brake, alarm.holds);
        }
        Ok((alarm, Some(version)))
    }
}

fn over(subject: Subject) -> String {
    match subject {
        Subject::Machines | Subject::Services => {
            format!("few enough {} look dead, or are asked for, again", subject.as_str())
        }
        Subject::Members => "all members of ensembles have their data again".to_owned(),
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
