//! A schedule as people see it: in the words in which it is written, with what comes next.

use common::record::instance::Instance;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::domain::schedule::calendar::{Calendar, Occurrence};
use crate::domain::schedule::progress::{Due, Progress};
use crate::domain::schedule::{Length, Schedule, When};
use crate::records::schedules::Scheduled;

/// How many windows are shown ahead.
const AHEAD: usize = 3;

/// None if the schedule was taken away.
pub(in crate::http) fn view(
    instance: &Instance,
    scheduled: &Scheduled,
    now: Timestamp,
) -> Option<Value> {
    let wish = scheduled.wish.as_ref()?;
    let calendar = Calendar::of(&wish.schedule).ok();
    let ahead = calendar.as_ref().map(|calendar| ahead(calendar, &wish.progress));
    let ahead = ahead.unwrap_or_default();
    let state = match (&wish.progress.open, &calendar) {
        (Some(_), _) => "open",
        (None, Some(calendar)) if wish.progress.due(calendar, now) == Due::Over => "over",
        (None, Some(_) | None) => "waiting",
    };
    let mut view = words(&wish.schedule);
    let more = json!({
        "instance": instance.name,
        "app": instance.app,
        "owner": instance.owner,
        "description": wish.schedule.to_string(),
        "release": wish.release,
        "replicas": wish.replicas,
        "state": state,
        "open": wish.progress.open.as_ref().map(window),
        "next": ahead.first().map(window),
        "upcoming": ahead.iter().map(window).collect::<Vec<_>>(),
        "request_id": scheduled.request,
        "updated_at": scheduled.updated_at,
    });
    if let Value::Object(more) = more {
        view.extend(more);
    }
    Some(Value::Object(view))
}

/// The windows that start next.
fn ahead(calendar: &Calendar, progress: &Progress) -> Vec<Occurrence> {
    let next = |window: &Occurrence| calendar.first_after(window.local);
    std::iter::successors(progress.upcoming(calendar), next).take(AHEAD).collect()
}

fn window(window: &Occurrence) -> Value {
    json!({ "local": window.local, "start": window.start, "end": window.end })
}

/// The fields in which people write it.
fn words(schedule: &Schedule) -> Map<String, Value> {
    let (kind, fields) = match &schedule.when {
        When::Once { start, end } => ("once", vec![("start", json!(start)), ("end", json!(end))]),
        When::Daily { at, length } => ("daily", vec![("at", json!(at)), lasting(*length)]),
        When::Weekly { days, at, length } => {
            ("weekly", vec![("days", json!(days)), ("at", json!(at)), lasting(*length)])
        }
        When::Cron { expression, length } => {
            ("cron", vec![("expression", json!(expression)), lasting(Length::For(*length))])
        }
    };
    let fields = fields.into_iter().chain([("kind", json!(kind)), ("zone", json!(schedule.zone))]);
    fields.map(|(field, value)| (field.to_owned(), value)).collect()
}

fn lasting(length: Length) -> (&'static str, Value) {
    match length {
        Length::Until(time) => ("until", json!(time)),
        Length::For(length) => ("for", json!(format!("{length:#}"))),
    }
}
