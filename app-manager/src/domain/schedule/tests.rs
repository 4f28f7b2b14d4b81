//! Schedules in tables: changes of clocks, clocks that jump, bad input.

mod properties;

use super::calendar::{Occurrence, zone};
use super::progress::{Due, Progress};
use super::*;

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn local(text: &str) -> DateTime {
    text.parse().unwrap()
}

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

fn hours(count: i64) -> SignedDuration {
    SignedDuration::from_hours(count)
}

fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

fn in_zone(zone: &str, when: When) -> Schedule {
    Schedule { zone: zone.to_owned(), when }
}

fn once(zone: &str, start: &str, end: Option<&str>) -> Schedule {
    in_zone(zone, When::Once { start: local(start), end: end.map(local) })
}

fn daily(zone: &str, at: &str, length: Length) -> Schedule {
    in_zone(zone, When::Daily { at: time(at), length })
}

fn weekly(zone: &str, days: &[Day], at: &str, length: Length) -> Schedule {
    let days = days.iter().copied().collect();
    in_zone(zone, When::Weekly { days, at: time(at), length })
}

fn cron(zone: &str, expression: &str, length: SignedDuration) -> Schedule {
    in_zone(zone, When::Cron { expression: expression.to_owned(), length })
}

/// The first windows from a moment on, as `start/end`.
fn windows(schedule: &Schedule, from: &str, count: usize) -> Vec<String> {
    let calendar = Calendar::of(schedule).unwrap();
    let progress = Progress::new(&calendar, moment(from), None);
    let next = |window: &Occurrence| calendar.first_after(window.local);
    std::iter::successors(progress.upcoming(&calendar), next)
        .take(count)
        .map(|window| format!("{}/{}", window.start, window.end.unwrap()))
        .collect()
}

fn refused(schedule: &Schedule, now: &str) -> Error {
    schedule.check(moment(now), Lateness::Refused).unwrap_err()
}

fn until(text: &str) -> Length {
    Length::Until(time(text))
}

// Berlin: clocks go from 02:00 to 03:00 on 2027-03-28, and from 03:00 back to 02:00 on 2027-10-31.
const BERLIN: &str = "Europe/Berlin";

#[test]
fn a_time_that_clocks_leave_out_is_the_first_moment_after_it() {
    let night = cron(BERLIN, "0,30 1-3 * * *", minutes(10));
    let apia = daily("Pacific/Apia", "09:00", until("10:00"));
    let cases = [
        (
            "the hour on the clock stays, the moment moves",
            windows(&daily(BERLIN, "09:00", until("17:00")), "2027-03-27T00:00:00Z", 2),
            [
                "2027-03-27T08:00:00Z/2027-03-27T16:00:00Z",
                "2027-03-28T07:00:00Z/2027-03-28T15:00:00Z",
            ],
        ),
        (
            "a start",
            windows(&daily(BERLIN, "02:30", until("04:00")), "2027-03-27T12:00:00Z", 2),
            [
                "2027-03-28T01:00:00Z/2027-03-28T02:00:00Z",
                "2027-03-29T00:30:00Z/2027-03-29T02:00:00Z",
            ],
        ),
        (
            "an end",
            windows(&daily(BERLIN, "01:00", until("02:15")), "2027-03-27T12:00:00Z", 2),
            [
                "2027-03-28T00:00:00Z/2027-03-28T01:00:00Z",
                "2027-03-28T23:00:00Z/2027-03-29T00:15:00Z",
            ],
        ),
        (
            "starts that fall on one moment are one",
            windows(&night, "2027-03-28T00:40:00Z", 2),
            [
                "2027-03-28T01:00:00Z/2027-03-28T01:10:00Z",
                "2027-03-28T01:30:00Z/2027-03-28T01:40:00Z",
            ],
        ),
        (
            "a day that does not exist at all has a window without any length",
            windows(&apia, "2011-12-30T00:00:00Z", 2),
            [
                "2011-12-30T10:00:00Z/2011-12-30T10:00:00Z",
                "2011-12-30T19:00:00Z/2011-12-30T20:00:00Z",
            ],
        ),
    ];
    for (what, found, expected) in cases {
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn a_time_that_clocks_show_twice_is_its_first() {
    let night = cron(BERLIN, "0,30 1-3 * * *", minutes(10));
    let fridays = weekly("Asia/Kolkata", &[Day::Friday, Day::Monday], "22:00", until("06:00"));
    let cases = [
        (
            "a start",
            windows(&daily(BERLIN, "02:30", until("04:00")), "2027-10-30T12:00:00Z", 2),
            [
                "2027-10-31T00:30:00Z/2027-10-31T03:00:00Z",
                "2027-11-01T01:30:00Z/2027-11-01T03:00:00Z",
            ],
        ),
        (
            "an end",
            windows(&daily(BERLIN, "01:00", until("02:15")), "2027-10-30T12:00:00Z", 2),
            [
                "2027-10-30T23:00:00Z/2027-10-31T00:15:00Z",
                "2027-11-01T00:00:00Z/2027-11-01T01:15:00Z",
            ],
        ),
        (
            "each half hour",
            windows(&night, "2027-10-31T00:20:00Z", 2),
            [
                "2027-10-31T00:30:00Z/2027-10-31T00:40:00Z",
                "2027-10-31T02:00:00Z/2027-10-31T02:10:00Z",
            ],
        ),
        (
            "where clocks never change, until the next day",
            windows(&fridays, "2026-11-21T00:00:00Z", 2),
            [
                "2026-11-23T16:30:00Z/2026-11-24T00:30:00Z",
                "2026-11-27T16:30:00Z/2026-11-28T00:30:00Z",
            ],
        ),
    ];
    for (what, found, expected) in cases {
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn the_only_start_may_be_one_that_clocks_leave_out_or_show_twice() {
    for (start, expected) in [
        ("2027-03-28T02:30", "2027-03-28T01:00:00Z/2027-11-30T23:00:00Z"),
        ("2027-10-31T02:30", "2027-10-31T00:30:00Z/2027-11-30T23:00:00Z"),
    ] {
        let schedule = once(BERLIN, start, Some("2027-12-01T00:00"));
        assert_eq!(windows(&schedule, "2027-01-01T00:00:00Z", 9), [expected]);
    }
}

#[test]
fn a_window_that_a_change_of_clocks_makes_too_long_ends_when_the_next_one_starts() {
    let schedule = daily("Europe/Berlin", "00:30", Length::For(minutes(23 * 60 + 30)));
    assert!(schedule.check(moment("2027-01-01T00:00:00Z"), Lateness::Refused).is_ok());
    let found = windows(&schedule, "2027-03-27T12:00:00Z", 2);
    assert_eq!(found[0], "2027-03-27T23:30:00Z/2027-03-28T22:30:00Z");
}

#[test]
fn bad_schedules_are_refused_and_say_why() {
    let now = "2026-11-21T12:00:00Z";
    let hour = Length::For(hours(1));
    let cases: [(Schedule, &str); 17] = [
        (daily("Mars/Olympus", "09:00", hour), "there is no time zone \"Mars/Olympus\""),
        (daily("", "09:00", hour), "there is no time zone \"\""),
        (daily("Etc/Unknown", "09:00", hour), "there is no time zone \"Etc/Unknown\""),
        (cron("UTC", "every day", hours(1)), "the cron expression is not understood: "),
        (cron("UTC", "", hours(1)), "the cron expression is not understood: "),
        (cron("UTC", "61 * * * *", hours(1)), "the cron expression is not understood: "),
        (cron("UTC", &"0 ".repeat(200), hours(1)), "the cron expression is not understood: "),
        (cron("UTC", "0 0 31 2 *", hours(1)), "it would never start: "),
        (cron("UTC", "0 0 0 1 1 * 2020", hours(1)), "it would never start: "),
        (weekly("UTC", &[], "09:00", hour), "it would never start: "),
        (
            once("UTC", "2026-11-22T09:00", Some("2026-11-22T08:00")),
            "it would end at 2026-11-22T08:00:00",
        ),
        (once("Europe/Berlin", "2027-03-28T02:10", Some("2027-03-28T02:50")), "it would end at "),
        (daily("UTC", "09:00", Length::Until(time("09:00"))), "it would end at 09:00:00"),
        (
            daily("UTC", "09:00", Length::For(SignedDuration::ZERO)),
            "it would end at the same moment",
        ),
        (once("UTC", "2026-11-21T11:58", None), "2026-11-21T11:58:00 has passed"),
        (cron("UTC", "* * * * * *", minutes(1)), "it would start at "),
        (daily("UTC", "09:00", Length::For(hours(24))), "what starts at 2026-11-22T09:00:00"),
    ];
    for (schedule, why) in cases {
        let told = refused(&schedule, now).to_string();
        assert!(told.starts_with(why), "{schedule}: {told}");
    }
    for often in ["*/2 * * * *", "0,3 9 * * *", "58,0 * * * *"] {
        let told = refused(&cron("UTC", often, minutes(1)), now);
        assert!(matches!(told, Error::TooOften { .. }), "{often}: {told}");
    }
    let overlaps = refused(&cron("UTC", "0 * * * *", hours(2)), now);
    assert!(matches!(overlaps, Error::Overlaps { .. }), "{overlaps}");
}

#[test]
fn good_schedules_are_taken() {
    let now = moment("2026-11-21T12:00:30Z");
    for schedule in [
        once("UTC", "2026-11-21T12:00", Some("2026-11-21T12:05")),
        once("America/New_York", "2026-11-21T08:00", None),
        daily("UTC", "23:00", Length::Until(time("22:00"))),
        weekly("UTC", &[Day::Monday], "09:00", Length::For(hours(6 * 24))),
        cron("UTC", "*/5 * * * *", minutes(4)),
        cron("Asia/Tokyo", "0 9 * * MON-FRI", hours(8)),
        cron("UTC", "@yearly", hours(300 * 24)),
    ] {
        let checked = schedule.check(now, Lateness::Refused);
        assert!(checked.is_ok(), "{schedule}: {checked:?}");
    }
}

#[test]
fn a_message_that_was_under_way_is_made_good_until_its_end() {
    let schedule = once("UTC", "2026-11-21T09:00", Some("2026-11-21T17:00"));
    let at = |text: &str| schedule.check(moment(text), Lateness::MadeGood);
    assert!(at("2026-11-21T16:59:00Z").is_ok());
    assert_eq!(at("2026-11-21T17:00:00Z").unwrap_err(), Error::InPast(local("2026-11-21T17:00")));
}

/// A schedule that is kept: what was done, in order.
struct Kept {
    calendar: Calendar,
    progress: Progress,
    log: Vec<(&'static str, DateTime)>,
}

impl Kept {
    fn new(schedule: &Schedule, now: Timestamp) -> Self {
        let calendar = Calendar::of(schedule).unwrap();
        let only = match &schedule.when {
            When::Once { start, .. } => Some(*start),
            When::Daily { .. } | When::Weekly { .. } | When::Cron { .. } => None,
        };
        let progress = Progress::new(&calendar, now, only);
        Kept { calendar, progress, log: Vec::new() }
    }

    /// Does all that is due.
    fn look(&mut self, now: Timestamp) {
        loop {
            match self.progress.due(&self.calendar, now) {
                Due::Start(window) => {
                    assert!(window.start <= now && window.end.is_none_or(|end| end > now));
                    self.progress.started(window);
                    self.log.push(("start", window.local));
                }
                Due::End(window) => {
                    assert!(window.end.unwrap() <= now);
                    self.progress.ended();
                    self.log.push(("end", window.local));
                }
                Due::Skip(skipped) => {
                    assert!(skipped.first.local <= skipped.last.local);
                    self.progress.skipped(&skipped);
                    self.log.push(("skip", skipped.last.local));
                }
                Due::Wait(until) => {
                    assert!(until > now);
                    return;
                }
                Due::Over => return,
            }
        }
    }
}

#[test]
fn a_clock_that_jumps_never_starts_or_ends_a_window_again() {
    let schedule = daily("UTC", "09:00", Length::Until(time("10:30")));
    let mut kept = Kept::new(&schedule, moment("2026-11-21T08:00:00Z"));
    for now in [
        "08:59:59", "09:00:01", "08:00:01", "09:00:02", "10:00:00", "11:00:00", "10:00:00",
        "09:30:00", "10:30:00",
    ] {
        kept.look(moment(&format!("2026-11-21T{now}Z")));
    }
    let day = local("2026-11-21T09:00");
    assert_eq!(kept.log, [("start", day), ("end", day)]);
}

#[test]
fn a_jump_over_a_whole_window_skips_it_and_into_one_starts_it_once() {
    let schedule = daily("UTC", "09:00", Length::Until(time("09:30")));
    let mut kept = Kept::new(&schedule, moment("2026-11-21T08:45:00Z"));
    kept.look(moment("2026-11-21T09:45:00Z"));
    kept.look(moment("2026-11-21T08:45:00Z"));
    kept.look(moment("2026-11-21T09:15:00Z"));
    assert_eq!(kept.log, [("skip", local("2026-11-21T09:00"))]);
    kept.look(moment("2026-11-25T09:15:00Z"));
    let rest = [("skip", local("2026-11-24T09:00")), ("start", local("2026-11-25T09:00"))];
    assert_eq!(kept.log.get(1..).unwrap(), rest);
}

#[test]
fn what_was_to_start_before_the_schedule_was_made_is_not_made_good() {
    let cron = cron("Europe/Berlin", "15,45 2 * * *", minutes(10));
    // 02:30 for the second time: 02:45 was a quarter past, an hour ago.
    let mut kept = Kept::new(&cron, moment("2027-10-31T01:30:00Z"));
    kept.look(moment("2027-10-31T01:50:00Z"));
    assert_eq!(kept.log, []);
    kept.look(moment("2027-11-01T01:15:00Z"));
    assert_eq!(kept.log, [("start", local("2027-11-01T02:15"))]);
}

#[test]
fn a_new_schedule_ends_the_open_window_when_it_starts_itself_at_the_latest() {
    let mut kept = Kept::new(
        &daily("UTC", "09:00", Length::Until(time("17:00"))),
        moment("2026-11-21T08:00:00Z"),
    );
    let now = moment("2026-11-21T12:00:00Z");
    kept.look(now);
    for (at, end) in [("16:00", "2026-11-21T16:00:00Z"), ("18:00", "2026-11-21T17:00:00Z")] {
        let calendar = Calendar::of(&daily("UTC", at, Length::For(hours(1)))).unwrap();
        let next = Progress::new(&calendar, now, None).after(&kept.progress, &calendar);
        assert_eq!(next.open.unwrap().end, Some(moment(end)), "{at}");
        assert_eq!(next.due(&calendar, now), Due::Wait(moment(end)));
    }
}

#[test]
fn people_read_what_a_schedule_says() {
    let said = |schedule: Schedule| schedule.to_string();
    assert_eq!(said(once("UTC", "2026-11-22T09:00", None)), "once at 2026-11-22T09:00:00");
    assert_eq!(said(daily("UTC", "09:00", Length::For(hours(8)))), "daily from 09:00:00 for 8h");
    let days = [Day::Friday, Day::Monday];
    let length = Length::Until(time("17:00"));
    assert_eq!(
        said(weekly("UTC", &days, "09:00", length)),
        "on monday, friday from 09:00:00 until 17:00:00"
    );
    assert_eq!(said(cron("UTC", "0 9 * * 1", minutes(30))), "at cron 0 9 * * 1 for 30m");
}
