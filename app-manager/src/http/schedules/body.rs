//! A schedule as people write it in JSON, and what it means. Which fields there are depends on the kind.

use std::collections::BTreeSet;

use common::id::ReleaseNumber;
use jiff::SignedDuration;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::super::deployments::replica_count;
use super::super::problems::ApiError;
use crate::commands::Error;
use crate::context::Context;
use crate::domain::schedule::calendar::zone;
use crate::domain::schedule::{self, Day, LONGEST, Length, Schedule, When};

const DATE_TIME: [&str; 2] = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"];
const TIME: [&str; 2] = ["%H:%M", "%H:%M:%S"];
/// Enough letters to tell the days apart.
const SHORTEST_DAY: usize = 3;

/// The body of a `PUT`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Body {
    kind: Kind,
    zone: String,
    start: Option<String>,
    end: Option<String>,
    at: Option<String>,
    days: Option<Vec<String>>,
    expression: Option<String>,
    until: Option<String>,
    #[serde(rename = "for")]
    length: Option<String>,
    release: Option<u32>,
    replicas: Option<i64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Once,
    Daily,
    Weekly,
    Cron,
}

impl Kind {
    /// The fields that belong to it.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Kind::Once => &["start", "end", "for"],
            Kind::Daily => &["at", "until", "for"],
            Kind::Weekly => &["days", "at", "until", "for"],
            Kind::Cron => &["expression", "for"],
        }
    }
}

impl Body {
    pub(super) fn release(&self) -> Option<ReleaseNumber> {
        self.release.map(ReleaseNumber)
    }

    pub(super) fn replicas(&self, context: &Context) -> Result<Option<u32>, Error> {
        self.replicas.map(|count| replica_count(context, count)).transpose()
    }

    /// What is meant.
    pub(super) fn schedule(&self) -> Result<Schedule, ApiError> {
        self.check_fields()?;
        let found = zone(&self.zone).map_err(Error::from)?;
        let name = found.iana_name().unwrap_or(&self.zone).to_owned();
        Ok(Schedule { zone: name, when: self.when(&found)? })
    }

    fn when(&self, zone: &TimeZone) -> Result<When, ApiError> {
        match self.kind {
            Kind::Once => {
                let start = date_time("start", needed("start", self.start.as_deref())?)?;
                let end = self.end.as_deref().map(|end| date_time("end", end)).transpose()?;
                let length = self.length.as_deref().map(length).transpose()?;
                let end = match (end, length) {
                    (Some(_), Some(_)) => return Err(one_of("end", "end and for")),
                    (None, Some(length)) => after(zone, start, length),
                    (end, None) => end,
                };
                Ok(When::Once { start, end })
            }
            Kind::Daily => Ok(When::Daily { at: self.at()?, length: self.length()? }),
            Kind::Weekly => {
                let days = self.days.as_deref().unwrap_or_default().iter();
                let days: BTreeSet<Day> = days.map(|name| day(name)).collect::<Result<_, _>>()?;
                Ok(When::Weekly { days, at: self.at()?, length: self.length()? })
            }
            Kind::Cron => {
                let expression = needed("expression", self.expression.as_deref())?.to_owned();
                let length = length(needed("for", self.length.as_deref())?)?;
                Ok(When::Cron { expression, length })
            }
        }
    }

    fn at(&self) -> Result<Time, ApiError> {
        time("at", needed("at", self.at.as_deref())?)
    }

    fn length(&self) -> Result<Length, ApiError> {
        match (self.until.as_deref(), self.length.as_deref()) {
            (Some(until), None) => Ok(Length::Until(time("until", until)?)),
            (None, Some(text)) => Ok(Length::For(length(text)?)),
            (Some(_), Some(_)) | (None, None) => Err(one_of("until", "until and for")),
        }
    }

    /// A field that says nothing would be believed to say something.
    fn check_fields(&self) -> Result<(), ApiError> {
        let given = [
            ("start", self.start.is_some()),
            ("end", self.end.is_some()),
            ("at", self.at.is_some()),
            ("days", self.days.is_some()),
            ("expression", self.expression.is_some()),
            ("until", self.until.is_some()),
            ("for", self.length.is_some()),
        ];
        let fields = self.kind.fields();
        let strange = given.iter().find(|(name, given)| *given && !fields.contains(name));
        match strange {
            Some((name, _)) => {
                let detail = format!("this kind of schedule has {} only", fields.join(", "));
                Err(ApiError::field(name, "FIELD_INVALID", detail))
            }
            None => Ok(()),
        }
    }
}

/// What clocks show so much later.
fn after(zone: &TimeZone, start: DateTime, length: SignedDuration) -> Option<DateTime> {
    let start = zone.to_ambiguous_timestamp(start).compatible().ok()?;
    start.checked_add(length).ok().map(|end| zone.to_datetime(end))
}

fn needed<'a>(field: &str, text: Option<&'a str>) -> Result<&'a str, ApiError> {
    text.ok_or_else(|| {
        ApiError::field(field, "FIELD_INVALID", "this kind of schedule does not do without it")
    })
}

fn one_of(field: &str, which: &str) -> ApiError {
    ApiError::field(field, "FIELD_INVALID", format!("say one of {which}"))
}

/// A local time, `2026-11-22T09:00`, with seconds or without. One with an offset would name another zone.
pub(in crate::http) fn date_time(field: &str, text: &str) -> Result<DateTime, ApiError> {
    let read = |format: &&str| {
        let found = DateTime::strptime(format, text).ok()?;
        (found.strftime(format).to_string() == text).then_some(found)
    };
    let detail = "it is a local time YYYY-MM-DDTHH:MM or YYYY-MM-DDTHH:MM:SS, without an offset";
    let found = DATE_TIME.iter().find_map(read);
    found.ok_or_else(|| ApiError::field(field, "FIELD_INVALID", detail))
}

fn time(field: &str, text: &str) -> Result<Time, ApiError> {
    let read = |format: &&str| {
        let found = Time::strptime(format, text).ok()?;
        (found.strftime(format).to_string() == text).then_some(found)
    };
    let found = TIME.iter().find_map(read);
    found.ok_or_else(|| ApiError::field(field, "FIELD_INVALID", "it is a time HH:MM or HH:MM:SS"))
}

fn length(text: &str) -> Result<SignedDuration, ApiError> {
    let found = text.parse::<SignedDuration>().ok();
    let found = found.filter(|length| length.subsec_nanos() == 0 && *length <= LONGEST);
    let detail = "it is a length of time such as 90s, 30m, 8h or 1h30m, of 366 days at most";
    found.ok_or_else(|| ApiError::field("for", "FIELD_INVALID", detail))
}

fn day(text: &str) -> Result<Day, ApiError> {
    let lower = text.to_ascii_lowercase();
    let is_it =
        |day: &&Day| lower.len() >= SHORTEST_DAY && day.as_str().starts_with(lower.as_str());
    let found = schedule::Day::ALL.iter().find(is_it);
    let detail = "they are monday, tuesday and so on, or their first three letters";
    found.copied().ok_or_else(|| ApiError::field("days", "FIELD_INVALID", detail))
}
