//! What an app says about bounds that hold at some hours only: `[[scaling.schedule]]`.

use std::collections::BTreeSet;

use common::problem::excerpt;
use common::record::scale::{Hours, Scaling};
use common::week::{Day, zone};
use jiff::civil::Time;
use serde::Deserialize;

use super::settings::Error;

/// More than anybody could follow.
const MOST: usize = 32;

/// One entry as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    days: Option<Days>,
    from: String,
    to: String,
    zone: String,
    min: i64,
    max: Option<i64>,
}

/// One word, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Days {
    One(String),
    Many(Vec<String>),
}

/// What is meant by it, beside the app's own bounds and within the platform's.
pub(crate) fn hours(written: &[Written], own: &Scaling, most: u32) -> Result<Vec<Hours>, Error> {
    if written.len() > MOST {
        return Err(Error::Invalid(format!("scaling.schedule has more than {MOST} entries")));
    }
    let numbered = written.iter().zip(1..);
    numbered.map(|(written, number)| one(written, number, own, most)).collect()
}

fn one(written: &Written, number: usize, own: &Scaling, most: u32) -> Result<Hours, Error> {
    let key = |key: &str| format!("scaling.schedule {number}: {key}");
    let replicas = |name: &str, count: i64| {
        let count = u32::try_from(count).ok().filter(|count| (1..=most).contains(count));
        let why = || format!("{} is a number of replicas from 1 to {most}", key(name));
        count.ok_or_else(|| Error::Invalid(why()))
    };
    let min = replicas("min", written.min)?;
    let max = written.max.map(|max| replicas("max", max)).transpose()?;
    let upper = max.unwrap_or(own.max);
    if min > upper {
        let whose = if max.is_some() { "max" } else { "the app's max" };
        let why = format!("{} is {min}, more than {whose}, which is {upper}", key("min"));
        return Err(Error::Invalid(why));
    }
    if upper < own.min {
        let why =
            format!("{} is {upper}, less than the app's min, which is {}", key("max"), own.min);
        return Err(Error::Invalid(why));
    }
    let days = days(written.days.as_ref(), &key("days"))?;
    let (from, to) = (time(&written.from, &key("from"))?, time(&written.to, &key("to"))?);
    let never = |why: &str| Err(Error::NeverHolds(format!("scaling.schedule {number}: {why}")));
    if days.is_empty() {
        return never("it names no day");
    }
    if from == to {
        return never("it ends when it starts");
    }
    if zone(&written.zone).is_none() {
        let shown = excerpt(&written.zone);
        return Err(Error::ZoneUnknown(format!("scaling.schedule {number}: {shown}")));
    }
    Ok(Hours { days, from, to, zone: written.zone.clone(), min, max })
}

fn days(written: Option<&Days>, key: &str) -> Result<BTreeSet<Day>, Error> {
    let words = match written {
        None => return Ok(Day::ALL.into()),
        Some(Days::One(word)) => std::slice::from_ref(word),
        Some(Days::Many(words)) => words,
    };
    let mut days = BTreeSet::new();
    for word in words {
        let (week, end) = Day::ALL.split_at(5);
        let meant = match word.as_str() {
            "weekdays" => week,
            "weekends" => end,
            other => {
                let named =
                    |day: &&Day| day.as_str() == other || day.as_str().get(..3) == Some(other);
                let day = Day::ALL.iter().find(named);
                std::slice::from_ref(day.ok_or_else(|| unknown_day(key, other))?)
            }
        };
        days.extend(meant);
    }
    Ok(days)
}

fn unknown_day(key: &str, word: &str) -> Error {
    let shown = excerpt(word);
    Error::Invalid(format!("{key}: \"{shown}\" is no day; write mon to sun, weekdays or weekends"))
}

/// `08:00`, and `24:00` for the end of the day.
fn time(written: &str, key: &str) -> Result<Time, Error> {
    let parts = |(hour, minute): (&str, &str)| {
        let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(hour) || !digits(minute) {
            return None;
        }
        if (hour, minute) == ("24", "00") {
            return Some(Time::midnight());
        }
        Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
    };
    let why = || format!("{key} is a time of the day, such as 08:00");
    written.split_once(':').and_then(parts).ok_or_else(|| Error::Invalid(why()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EIGHT: &str = "from = \"08:00\"\nto = \"18:00\"\nzone = \"Europe/Vienna\"\nmin = 4\n";

    fn read(text: &str) -> Result<Hours, Error> {
        let written: Written = toml::from_str(text).unwrap();
        hours(&[written], &Scaling::within(2, 6), 20).map(|mut all| all.remove(0))
    }

    fn said(text: &str) -> String {
        read(text).unwrap().to_string()
    }

    #[test]
    fn days_are_a_word_or_a_list_and_all_of_them_without() {
        let with = |days: &str| said(&format!("days = {days}\n{EIGHT}"));
        assert_eq!(said(EIGHT), "every day 08:00–18:00 Europe/Vienna");
        assert_eq!(with("\"weekdays\""), "weekdays 08:00–18:00 Europe/Vienna");
        let listed = with("[\"fri\", \"monday\", \"fri\"]");
        assert_eq!(listed, "monday, friday 08:00–18:00 Europe/Vienna");
        assert_eq!(with("[\"weekends\", \"weekdays\"]"), said(EIGHT));
    }

    #[test]
    fn the_end_of_the_day_and_a_time_of_the_next_day_may_be_said() {
        let at = |from: &str, to: &str| said(&EIGHT.replace("08:00", from).replace("18:00", to));
        assert_eq!(at("08:00", "24:00"), "every day 08:00–00:00 Europe/Vienna");
        assert_eq!(at("22:30", "06:00"), "every day 22:30–06:00 Europe/Vienna");
    }

    #[test]
    fn what_is_wrong_is_said_in_its_own_words() {
        let change = |from: &str, to: &str| read(&EIGHT.replace(from, to)).unwrap_err().to_string();
        for (from, to, why) in [
            ("min = 4", "min = 0", "scaling.schedule 1: min is a number of replicas from 1 to 20"),
            ("min = 4", "min = 21", "scaling.schedule 1: min is a number of replicas from 1 to 20"),
            (
                "min = 4",
                "min = 7",
                "scaling.schedule 1: min is 7, more than the app's max, which is 6",
            ),
            (
                "min = 4",
                "min = 5\nmax = 4",
                "scaling.schedule 1: min is 5, more than max, which is 4",
            ),
            (
                "min = 4",
                "min = 1\nmax = 1",
                "scaling.schedule 1: max is 1, less than the app's min, which is 2",
            ),
            ("08:00", "8:00", "scaling.schedule 1: from is a time of the day, such as 08:00"),
            ("08:00", "25:00", "scaling.schedule 1: from is a time of the day, such as 08:00"),
            ("18:00", "18:60", "scaling.schedule 1: to is a time of the day, such as 08:00"),
            (
                "min = 4",
                "min = 4\ndays = [\"someday\"]",
                "scaling.schedule 1: days: \"someday\" is no day; write mon to sun, weekdays or weekends",
            ),
        ] {
            assert_eq!(change(from, to), why);
        }
        let max = read(&EIGHT.replace("min = 4", "min = 4\nmax = 9")).unwrap().max;
        assert_eq!(max, Some(9));
    }

    #[test]
    fn what_never_holds_and_a_zone_that_nobody_knows_have_codes_of_their_own() {
        for never in [format!("days = []\n{EIGHT}"), EIGHT.replace("18:00", "08:00")] {
            assert!(matches!(read(&never), Err(Error::NeverHolds(_))), "{never}");
        }
        for zone in ["Europe/Nowhere", "", "+02:00", "Etc/Unknown"] {
            let text = EIGHT.replace("Europe/Vienna", zone);
            assert!(matches!(read(&text), Err(Error::ZoneUnknown(_))), "{zone}");
        }
    }
}
