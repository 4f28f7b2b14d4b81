//! The moments of a schedule. A local time that does not exist, as clocks are put forward, is the first moment after
//! it; one that exists twice is its first; local times that fall on one moment are one.

use common::problem::excerpt;
use common::week;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::{DateTime, Time};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, Span, Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

use super::{Day, Error, LONGEST_EXPRESSION, Length, Schedule, When};

/// Clocks are put forward by a day at most, and starts are a second apart at least.
const MOST_AT_ONCE: usize = 24 * 60 * 60;
const DAYS_OF_A_WEEK: usize = 7;

/// One window of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Occurrence {
    /// When it starts, in the schedule's zone: its name, which no change of clocks changes.
    pub(crate) local: DateTime,
    pub(crate) start: Timestamp,
    /// None: only somebody ends it.
    pub(crate) end: Option<Timestamp>,
}

/// A schedule that was understood.
#[derive(Debug, Clone)]
pub(crate) struct Calendar {
    zone: TimeZone,
    rule: Rule,
}

#[derive(Debug, Clone)]
enum Rule {
    Once {
        start: DateTime,
        end: Option<DateTime>,
    },
    /// On which days of the week.
    Days {
        days: Vec<Day>,
        at: Time,
        length: Length,
    },
    Cron {
        cron: Box<Cron>,
        length: SignedDuration,
    },
}

/// The zone of this IANA name.
pub(crate) fn zone(name: &str) -> Result<TimeZone, Error> {
    week::zone(name).ok_or_else(|| Error::ZoneUnknown(name.to_owned()))
}

impl Calendar {
    pub(crate) fn of(schedule: &Schedule) -> Result<Self, Error> {
        let zone = zone(&schedule.zone)?;
        let rule = match &schedule.when {
            When::Once { start, end } => Rule::Once { start: *start, end: *end },
            When::Daily { at, length } => {
                Rule::Days { days: Day::ALL.to_vec(), at: *at, length: *length }
            }
            When::Weekly { days, at, length } => {
                Rule::Days { days: days.iter().copied().collect(), at: *at, length: *length }
            }
            When::Cron { expression, length } => {
                Rule::Cron { cron: Box::new(cron(expression)?), length: *length }
            }
        };
        Ok(Calendar { zone, rule })
    }

    /// What the schedule's clocks show at a moment.
    pub(crate) fn local(&self, moment: Timestamp) -> DateTime {
        self.zone.to_datetime(moment)
    }

    /// The first moment at which the schedule's clocks show this time, or a later one.
    pub(crate) fn instant(&self, local: DateTime) -> Option<Timestamp> {
        let found = self.zone.to_ambiguous_timestamp(local);
        match found.offset() {
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => {
                found.earlier().ok()
            }
            AmbiguousOffset::Gap { after, .. } => self.end_of_gap(local, after),
        }
    }

    /// Read with the later offset, a time within the gap lies before the change of clocks.
    fn end_of_gap(&self, local: DateTime, after: Offset) -> Option<Timestamp> {
        let before_it = after.to_timestamp(local).ok()?;
        self.zone.following(before_it).next().map(|change| change.timestamp())
    }

    /// The window whose local start is the first after this time; a window ends when the next one starts.
    pub(crate) fn first_after(&self, local: DateTime) -> Option<Occurrence> {
        let (local, start) = self.start_after(local)?;
        let end = self.end_of(local, start);
        let next = self.start_after(local).map(|(_, next)| next);
        let end = end.map(|end| next.map_or(end, |next| end.min(next)));
        Some(Occurrence { local, start, end })
    }

    /// Of local times that fall on one moment, the last.
    fn start_after(&self, local: DateTime) -> Option<(DateTime, Timestamp)> {
        let mut local = self.local_after(local)?;
        let start = self.instant(local)?;
        for _ in 0..MOST_AT_ONCE {
            match self.local_after(local) {
                Some(next) if self.instant(next) == Some(start) => local = next,
                Some(_) | None => break,
            }
        }
        Some((local, start))
    }

    /// The first local start after this time.
    pub(super) fn local_after(&self, local: DateTime) -> Option<DateTime> {
        match &self.rule {
            Rule::Once { start, .. } => Some(*start).filter(|start| *start > local),
            Rule::Days { days, at, .. } => {
                let mut date = local.date();
                for _ in 0..=DAYS_OF_A_WEEK {
                    let start = date.to_datetime(*at);
                    if start > local && days.contains(&date.weekday().into()) {
                        return Some(start);
                    }
                    date = date.tomorrow().ok()?;
                }
                None
            }
            Rule::Cron { cron, .. } => cron.find_next_occurrence(&local, false).ok(),
        }
    }

    /// A length is time that passes, whatever clocks show meanwhile.
    fn end_of(&self, local: DateTime, start: Timestamp) -> Option<Timestamp> {
        match &self.rule {
            Rule::Cron { length, .. } | Rule::Days { length: Length::For(length), .. } => {
                start.checked_add(*length).ok()
            }
            Rule::Once { .. } | Rule::Days { length: Length::Until(_), .. } => {
                self.local_end(local).and_then(|end| self.instant(end))
            }
        }
    }

    /// The local end of the window with this local start, as it is on most days.
    pub(super) fn local_end(&self, start: DateTime) -> Option<DateTime> {
        let after = |length: SignedDuration| start.checked_add(length).ok();
        match &self.rule {
            Rule::Once { end, .. } => *end,
            Rule::Cron { length, .. } | Rule::Days { length: Length::For(length), .. } => {
                after(*length)
            }
            Rule::Days { length: Length::Until(time), .. } => {
                let end = start.date().to_datetime(*time);
                let day: Span = 1.day();
                if end > start { Some(end) } else { end.checked_add(day).ok() }
            }
        }
    }
}

fn cron(expression: &str) -> Result<Cron, Error> {
    let invalid = |why: &str| Error::CronInvalid(why.to_owned());
    if expression.len() > LONGEST_EXPRESSION || !expression.is_ascii() {
        return Err(invalid("it has 200 characters at most, all of them ASCII"));
    }
    // Seconds are read, so that who asks for each second is told that this is too often.
    let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Optional).build();
    parser.parse(expression).map_err(|err| invalid(&excerpt(&err.to_string())))
}
