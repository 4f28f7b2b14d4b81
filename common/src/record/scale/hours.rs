//! Bounds that hold at some hours of the week only: "at least 4 on weekdays from 8".
//!
//! Whether they hold follows from what the clocks of their zone show, and from nothing that was before: a clock that
//! jumps, and one that is put forward or back, need no rule of their own.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use jiff::civil::Time;
use serde::{Deserialize, Serialize};

use super::Scaling;
use crate::week::{Day, zone};

/// Bounds of an app at some hours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hours {
    /// On which days they begin.
    pub days: BTreeSet<Day>,
    pub from: Time,
    /// Where it is not later than `from`, it is meant of the next day.
    pub to: Time,
    /// An IANA name, such as `Europe/Vienna`.
    pub zone: String,
    pub min: u32,
    /// Without it the app's own most stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
}

/// The bounds of a moment, and whose they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InForce<'a> {
    pub scaling: Scaling,
    /// The hours that ask for this least, and that allow this most; none where they are the app's own.
    pub least_of: Option<&'a Hours>,
    pub most_of: Option<&'a Hours>,
}

impl Hours {
    /// Whether they hold at a moment. Hours of a zone that nobody knows never do.
    pub fn hold_at(&self, now: Timestamp) -> bool {
        let Some(zone) = zone(&self.zone) else { return false };
        let local = zone.to_datetime(now);
        let on = |day: jiff::civil::Date| self.days.contains(&Day::from(day.weekday()));
        let yesterday = || local.date().yesterday().is_ok_and(on);
        if self.from < self.to {
            on(local.date()) && (self.from..self.to).contains(&local.time())
        } else {
            (on(local.date()) && local.time() >= self.from)
                || (local.time() < self.to && yesterday())
        }
    }
}

/// What an app's bounds are at a moment. Where several hours hold, the largest least and the largest most count.
pub fn in_force(scaling: Scaling, hours: &[Hours], now: Timestamp) -> InForce<'_> {
    let mut found = InForce { scaling, least_of: None, most_of: None };
    let holding: Vec<&Hours> = hours.iter().filter(|hours| hours.hold_at(now)).collect();
    for hours in holding.iter().copied() {
        if hours.min > found.scaling.min {
            (found.scaling.min, found.least_of) = (hours.min, Some(hours));
        }
    }
    let most = |hours: &&Hours| hours.max.unwrap_or(scaling.max);
    if let Some(largest) = holding.iter().copied().max_by_key(most)
        && most(&largest) != scaling.max
    {
        (found.scaling.max, found.most_of) = (most(&largest), Some(largest));
    }
    found
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hours { days, from, to, zone, .. } = self;
        write!(f, "{} {}–{} {zone}", Days(days), Minute(*from), Minute(*to))
    }
}

/// Days as a person says them.
struct Days<'a>(&'a BTreeSet<Day>);

impl fmt::Display for Days<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (week, end) = Day::ALL.split_at(5);
        let are = |days: &[Day]| self.0.iter().eq(days);
        if are(&Day::ALL) {
            return f.write_str("every day");
        }
        if are(week) {
            return f.write_str("weekdays");
        }
        if are(end) {
            return f.write_str("weekends");
        }
        for (number, day) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { ", " };
            write!(f, "{separator}{day}")?;
        }
        Ok(())
    }
}

/// A time of the day to the minute.
struct Minute(Time);

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::time;

    use super::*;

    fn hours(days: &[Day], (from, to): (i8, i8), min: u32, max: Option<u32>) -> Hours {
        Hours {
            days: days.iter().copied().collect(),
            from: time(from, 0, 0, 0),
            to: time(to, 0, 0, 0),
            zone: "Europe/Vienna".to_owned(),
            min,
            max,
        }
    }

    fn weekdays() -> &'static [Day] {
        &Day::ALL[..5]
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The least and the most at a moment.
    fn bounds(of: &[Hours], moment: &str) -> (u32, u32) {
        let found = in_force(Scaling::within(1, 5), of, at(moment)).scaling;
        (found.min, found.max)
    }

    #[test]
    fn they_hold_from_their_first_moment_until_their_last_by_the_clocks_of_their_zone() {
        let eight = hours(weekdays(), (8, 18), 4, None);
        for (moment, holds) in [
            ("2026-06-01T05:59:59Z", false),
            ("2026-06-01T06:00:00Z", true),
            ("2026-06-01T15:59:59Z", true),
            ("2026-06-01T16:00:00Z", false),
            // In winter the same clocks show another time.
            ("2026-12-01T06:30:00Z", false),
            ("2026-12-01T07:00:00Z", true),
            // A Saturday.
            ("2026-06-06T10:00:00Z", false),
        ] {
            assert_eq!(eight.hold_at(at(moment)), holds, "{moment}");
        }
    }

    #[test]
    fn hours_that_end_before_they_start_end_the_next_day() {
        let night = hours(&[Day::Friday], (22, 6), 4, None);
        for (moment, holds) in [
            ("2026-06-05T19:59:00Z", false),
            ("2026-06-05T20:00:00Z", true),
            ("2026-06-06T03:59:00Z", true),
            ("2026-06-06T04:00:00Z", false),
            // Friday's early hours are Thursday's.
            ("2026-06-05T02:00:00Z", false),
        ] {
            assert_eq!(night.hold_at(at(moment)), holds, "{moment}");
        }
    }

    #[test]
    fn clocks_that_are_put_forward_or_back_change_what_they_show_and_nothing_else() {
        let two = hours(&[Day::Sunday], (2, 3), 4, None);
        // Forward at 2 o'clock: there is no such hour. Back at 3 o'clock: it comes twice.
        for minute in 0..180 {
            let spring = at("2026-03-29T00:00:00Z") + jiff::SignedDuration::from_mins(minute);
            assert!(!two.hold_at(spring), "{spring}");
        }
        let autumn = (0..240).filter(|minute| {
            two.hold_at(at("2026-10-24T23:00:00Z") + jiff::SignedDuration::from_mins(*minute))
        });
        assert_eq!(autumn.count(), 120);
        let late = hours(&[Day::Sunday], (1, 3), 4, None);
        assert!(late.hold_at(at("2026-03-29T00:59:00Z")));
        assert!(!late.hold_at(at("2026-03-29T01:00:00Z")));
    }

    #[test]
    fn of_hours_that_overlap_the_largest_least_counts() {
        let all = [
            hours(weekdays(), (8, 18), 4, None),
            hours(&Day::ALL, (12, 14), 6, Some(8)),
            hours(&Day::ALL, (13, 20), 2, Some(3)),
        ];
        assert_eq!(bounds(&all, "2026-06-01T04:00:00Z"), (1, 5));
        assert_eq!(bounds(&all, "2026-06-01T06:00:00Z"), (4, 5));
        assert_eq!(bounds(&all, "2026-06-01T10:00:00Z"), (6, 8));
        assert_eq!(bounds(&all, "2026-06-01T11:30:00Z"), (6, 8));
        assert_eq!(bounds(&all, "2026-06-01T17:00:00Z"), (2, 3));
        let found = in_force(Scaling::within(1, 5), &all, at("2026-06-01T17:00:00Z"));
        assert_eq!(found.least_of, Some(&all[2]));
        let own = in_force(Scaling::within(3, 5), &all[2..], at("2026-06-01T17:00:00Z"));
        assert_eq!((own.scaling.min, own.least_of), (3, None));
    }

    #[test]
    fn they_are_said_as_a_person_says_them() {
        let said = |days: &[Day]| hours(days, (8, 18), 1, None).to_string();
        assert_eq!(said(weekdays()), "weekdays 08:00–18:00 Europe/Vienna");
        assert_eq!(said(&Day::ALL[5..]), "weekends 08:00–18:00 Europe/Vienna");
        assert_eq!(said(&Day::ALL), "every day 08:00–18:00 Europe/Vienna");
        assert_eq!(said(&[Day::Monday, Day::Friday]), "monday, friday 08:00–18:00 Europe/Vienna");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let eight = hours(weekdays(), (8, 18), 4, Some(6));
        let text = serde_json::to_string(&eight).unwrap();
        assert_eq!(serde_json::from_str::<Hours>(&text).unwrap(), eight);
        let lost = Hours { zone: "Mars/Olympus".to_owned(), ..eight };
        assert!(!lost.hold_at(at("2026-06-01T10:00:00Z")));
    }
}
