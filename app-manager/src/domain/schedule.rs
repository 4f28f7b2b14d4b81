//! When an instance should run: once, daily, weekly, or as a cron expression says, in a time zone.
//!
//! Owns what a schedule says and which one is refused. [`calendar`] turns it into moments, [`progress`] says
//! what is due. No clock, no store: whoever asks says what time it is.

pub(crate) mod calendar;
pub(crate) mod progress;

use std::collections::BTreeSet;
use std::fmt;

use common::problem::excerpt;
pub(crate) use common::week::Day;
use jiff::civil::{DateTime, Time};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use self::calendar::Calendar;

/// Two starts are at least so far apart: a deployment takes its time.
pub(crate) const CLOSEST: SignedDuration = SignedDuration::from_mins(5);
/// The longest window of a schedule that starts again and again.
pub(crate) const LONGEST: SignedDuration = SignedDuration::from_hours(366 * 24);
/// In bytes.
pub(crate) const LONGEST_EXPRESSION: usize = 200;
/// People say times to the minute: the minute that has just begun is not over.
const MINUTE: SignedDuration = SignedDuration::from_mins(1);
/// How many starts are looked at for two that are too close to each other.
const LOOKED_AT: usize = 1000;

/// When an instance should run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Schedule {
    /// An IANA name, such as `Europe/Berlin`.
    pub(crate) zone: String,
    pub(crate) when: When,
}

/// The kinds of schedules. All times are local ones of the schedule's zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum When {
    /// Without an end it runs until somebody stops it.
    Once {
        start: DateTime,
        end: Option<DateTime>,
    },
    Daily {
        at: Time,
        length: Length,
    },
    Weekly {
        days: BTreeSet<Day>,
        at: Time,
        length: Length,
    },
    /// Five fields, as Vixie's cron reads them.
    Cron {
        expression: String,
        length: SignedDuration,
    },
}

/// How long a window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Length {
    /// Until it is this time of the day: the same day, or the next where the start is later.
    Until(Time),
    For(SignedDuration),
}

/// Why a schedule is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("there is no time zone \"{}\"", excerpt(.0))]
    ZoneUnknown(String),
    #[error("the cron expression is not understood: {}", excerpt(.0))]
    CronInvalid(String),
    #[error("it would never start: {0}")]
    NeverFires(&'static str),
    #[error("it would end at {end}, and starts at {start}")]
    EndBeforeStart { start: String, end: String },
    #[error("{0} has passed")]
    InPast(DateTime),
    #[error("it would start at {first} and again at {next}: starts are at least 5 minutes apart")]
    TooOften { first: DateTime, next: DateTime },
    #[error("what starts at {first} would not have ended at {next}, when it starts again")]
    Overlaps { first: DateTime, next: DateTime },
}

/// How late a schedule may come for its only start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lateness {
    /// Whoever asks is told: the start is still to come, or its minute has just begun.
    Refused,
    /// It was under way: until the end, the start is made good.
    MadeGood,
}

impl Schedule {
    /// Whether it would do what people want of a schedule; what it means, if so.
    pub(crate) fn check(&self, now: Timestamp, lateness: Lateness) -> Result<Calendar, Error> {
        self.check_length()?;
        let calendar = Calendar::of(self)?;
        match &self.when {
            When::Once { start, end } => {
                calendar.check_once(*start, *end, now, lateness)?;
            }
            When::Weekly { days, .. } if days.is_empty() => {
                return Err(Error::NeverFires("it names no day of the week"));
            }
            When::Daily { .. } | When::Weekly { .. } | When::Cron { .. } => {
                calendar.check_starts(now)?;
            }
        }
        Ok(calendar)
    }

    fn check_length(&self) -> Result<(), Error> {
        let (at, length) = match &self.when {
            When::Once { .. } => return Ok(()),
            When::Daily { at, length } | When::Weekly { at, length, .. } => (Some(*at), *length),
            When::Cron { length, .. } => (None, Length::For(*length)),
        };
        match length {
            Length::For(length) if length <= SignedDuration::ZERO => {
                let start = at.map_or_else(|| "each of its times".to_owned(), |at| at.to_string());
                Err(Error::EndBeforeStart { start, end: "the same moment, or before".to_owned() })
            }
            Length::Until(end) if at == Some(end) => {
                Err(Error::EndBeforeStart { start: end.to_string(), end: end.to_string() })
            }
            Length::For(_) | Length::Until(_) => Ok(()),
        }
    }
}

impl Calendar {
    fn check_once(
        &self,
        start: DateTime,
        end: Option<DateTime>,
        now: Timestamp,
        lateness: Lateness,
    ) -> Result<(), Error> {
        if let Some(end) = end {
            let backwards =
                || Error::EndBeforeStart { start: start.to_string(), end: end.to_string() };
            let times = self.instant(start).zip(self.instant(end));
            let (_, last) = times.filter(|(first, last)| first < last).ok_or_else(backwards)?;
            if last <= now {
                return Err(Error::InPast(end));
            }
        }
        let is_late = self.instant(start).is_none_or(|first| now.duration_since(first) >= MINUTE);
        if is_late && (lateness == Lateness::Refused || end.is_none()) {
            return Err(Error::InPast(start));
        }
        Ok(())
    }

    /// Looks at the starts that come first. Local times are compared, so that a clock that is put forward once a
    /// year makes no schedule wrong.
    fn check_starts(&self, now: Timestamp) -> Result<(), Error> {
        let mut first = self.local_after(self.local(now));
        if first.is_none() {
            return Err(Error::NeverFires("its next time does not come before the year 5000"));
        }
        for _ in 0..LOOKED_AT {
            let Some(start) = first else { return Ok(()) };
            let Some(next) = self.local_after(start) else { return Ok(()) };
            if next.duration_since(start) < CLOSEST {
                return Err(Error::TooOften { first: start, next });
            }
            if self.local_end(start).is_some_and(|end| end >= next) {
                return Err(Error::Overlaps { first: start, next });
            }
            first = Some(next);
        }
        Ok(())
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.when {
            When::Once { start, end: None } => write!(f, "once at {start}"),
            When::Once { start, end: Some(end) } => write!(f, "once from {start} until {end}"),
            When::Daily { at, length } => write!(f, "daily from {at} {length}"),
            When::Weekly { days, at, length } => {
                let days: Vec<&str> = days.iter().map(|day| day.as_str()).collect();
                write!(f, "on {} from {at} {length}", days.join(", "))
            }
            When::Cron { expression, length } => {
                write!(f, "at cron {expression} for {length:#}")
            }
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Length::Until(time) => write!(f, "until {time}"),
            Length::For(length) => write!(f, "for {length:#}"),
        }
    }
}

#[cfg(test)]
mod tests;
