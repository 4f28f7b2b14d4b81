//! What an app says about how the number of its replicas follows its load.

use common::record::scale::{Hours, Scaling};
use serde::Deserialize;

use super::hours;
use super::settings::{Bounds, Error};

/// The table `scaling` as it is written: its bounds must be said, the rest may be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    min: i64,
    max: i64,
    cpu: Option<i64>,
    memory: Option<i64>,
    requests_per_second: Option<i64>,
    latency_ms: Option<i64>,
    cooldown: Option<i64>,
    idle: Option<i64>,
    schedule: Option<Vec<hours::Written>>,
}

/// In seconds.
const USUAL_IDLE: i64 = 300;
/// A day.
const LONGEST_COOLDOWN: u32 = 24 * 60 * 60;
/// What one replica may be asked to do at most; more is no bound.
const MOST_REQUESTS: u32 = 1_000_000;
/// The longest time that the edge tells apart from longer ones.
const LONGEST_LATENCY_MS: u32 = 60_000;
/// Below this an idle process is overloaded; above, nothing ever is.
const LEAST_PERCENT: u32 = 10;
const MOST_PERCENT: u32 = 99;

/// What is meant by it, within the platform's bounds.
pub(crate) fn scaling(written: &Written, bounds: &Bounds) -> Result<Scaling, Error> {
    let most = bounds.max_replicas;
    let replicas = |key: &str, count: i64, least: u32| {
        let why = || format!("scaling.{key} is a number of replicas from {least} to {most}");
        within(count, least, most).ok_or_else(|| Error::Invalid(why()))
    };
    let percent = |key: &str, percent: Option<i64>, otherwise: u32| {
        let why =
            || format!("scaling.{key} is a percentage from {LEAST_PERCENT} to {MOST_PERCENT}");
        let Some(percent) = percent else { return Ok(otherwise) };
        within(percent, LEAST_PERCENT, MOST_PERCENT).ok_or_else(|| Error::Invalid(why()))
    };
    let usual = Scaling::within(replicas("min", written.min, 0)?, replicas("max", written.max, 1)?);
    if usual.min > usual.max {
        let Scaling { min, max, .. } = usual;
        let why = format!("scaling.min is {min}, more than scaling.max, which is {max}");
        return Err(Error::Invalid(why));
    }
    let asked = |key: &str, what: &str, written: Option<i64>, most: u32| {
        let why =
            || Error::Invalid(format!("scaling.{key} is a number of {what} from 1 to {most}"));
        written.map(|number| within(number, 1, most).ok_or_else(why)).transpose()
    };
    let why = || format!("scaling.cooldown is a number of seconds from 1 to {LONGEST_COOLDOWN}");
    let cooldown = written.cooldown.unwrap_or_else(|| usual.cooldown_seconds.into());
    Ok(Scaling {
        cpu_percent: percent("cpu", written.cpu, usual.cpu_percent)?,
        memory_percent: percent("memory", written.memory, usual.memory_percent)?,
        requests_per_second: asked(
            "requests_per_second",
            "requests",
            written.requests_per_second,
            MOST_REQUESTS,
        )?,
        latency_ms: asked("latency_ms", "milliseconds", written.latency_ms, LONGEST_LATENCY_MS)?,
        cooldown_seconds: within(cooldown, 1, LONGEST_COOLDOWN)
            .ok_or_else(|| Error::Invalid(why()))?,
        idle_seconds: idle(written.idle, usual.min)?,
        ..usual
    })
}

/// After how long an app that may have no replicas has none.
fn idle(written: Option<i64>, min: u32) -> Result<Option<u32>, Error> {
    if min > 0 {
        let why = "scaling.idle is for apps that may have no replicas: scaling.min is 0 there";
        return if written.is_some() { Err(Error::Invalid(why.to_owned())) } else { Ok(None) };
    }
    let idle = within(written.unwrap_or(USUAL_IDLE), 1, LONGEST_COOLDOWN);
    let why = || format!("scaling.idle is a number of seconds from 1 to {LONGEST_COOLDOWN}");
    idle.map(Some).ok_or_else(|| Error::Invalid(why()))
}

/// The bounds at some hours, beside those that hold always.
pub(crate) fn hours(
    written: &Written,
    scaling: &Scaling,
    bounds: &Bounds,
) -> Result<Vec<Hours>, Error> {
    let entries = written.schedule.as_deref().unwrap_or_default();
    hours::hours(entries, scaling, bounds.max_replicas)
}

/// The number of replicas that a first deployment starts must be one that the bounds allow.
pub(crate) fn check_replicas(replicas: Option<u32>, scaling: &Scaling) -> Result<(), Error> {
    let Scaling { min, max, .. } = scaling;
    match replicas.filter(|replicas| !(*min..=*max).contains(replicas)) {
        Some(replicas) => Err(Error::Invalid(format!(
            "replicas is {replicas}, and scaling allows from {min} to {max}"
        ))),
        None => Ok(()),
    }
}

fn within(number: i64, least: u32, most: u32) -> Option<u32> {
    u32::try_from(number).ok().filter(|number| (least..=most).contains(number))
}

#[cfg(test)]
mod tests {
    use common::port::container::Limits;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        default_limits: Limits { memory_bytes: 1 << 28, cpu_millis: 500, processes: 256 },
        max_memory_bytes: 1 << 32,
        max_cpu_millis: 4000,
        max_replicas: 20,
    };

    fn read(text: &str) -> Result<Scaling, String> {
        let written: Written = toml::from_str(text).map_err(|err| err.message().to_owned())?;
        scaling(&written, &BOUNDS).map_err(|err| err.to_string())
    }

    #[test]
    fn only_the_bounds_must_be_said() {
        assert_eq!(read("min = 2\nmax = 5"), Ok(Scaling::within(2, 5)));
        let all = "min = 1\nmax = 20\ncpu = 60\nmemory = 90\nrequests_per_second = 50\nlatency_ms = 250\ncooldown = 5";
        let scaling = Scaling {
            min: 1,
            max: 20,
            cpu_percent: 60,
            memory_percent: 90,
            requests_per_second: Some(50),
            latency_ms: Some(250),
            cooldown_seconds: 5,
            idle_seconds: None,
        };
        let resting = Scaling { idle_seconds: Some(300), ..Scaling::within(0, 5) };
        assert_eq!(read("min = 0\nmax = 5"), Ok(resting));
        let soon = Scaling { idle_seconds: Some(60), ..resting };
        assert_eq!(read("min = 0\nmax = 5\nidle = 60"), Ok(soon));
        assert_eq!(read(all), Ok(scaling));
    }

    #[test]
    fn what_is_wrong_is_said_in_its_own_words() {
        for (text, why) in [
            ("min = 0\nmax = 0", "scaling.max is a number of replicas from 1 to 20"),
            ("min = 21\nmax = 21", "scaling.min is a number of replicas from 0 to 20"),
            ("min = 0\nmax = 5\nidle = 0", "scaling.idle is a number of seconds from 1 to 86400"),
            (
                "min = 1\nmax = 5\nidle = 60",
                "scaling.idle is for apps that may have no replicas: scaling.min is 0 there",
            ),
            ("min = 1\nmax = 21", "scaling.max is a number of replicas from 1 to 20"),
            ("min = -1\nmax = 2", "scaling.min is a number of replicas from 0 to 20"),
            ("min = 6\nmax = 5", "scaling.min is 6, more than scaling.max, which is 5"),
            ("min = 1\nmax = 2\ncpu = 100", "scaling.cpu is a percentage from 10 to 99"),
            ("min = 1\nmax = 2\nmemory = 9", "scaling.memory is a percentage from 10 to 99"),
            (
                "min = 1\nmax = 2\ncooldown = 0",
                "scaling.cooldown is a number of seconds from 1 to 86400",
            ),
            (
                "min = 1\nmax = 2\nrequests_per_second = 0",
                "scaling.requests_per_second is a number of requests from 1 to 1000000",
            ),
            (
                "min = 1\nmax = 2\nlatency_ms = 60001",
                "scaling.latency_ms is a number of milliseconds from 1 to 60000",
            ),
            ("max = 2", "missing field `min`"),
        ] {
            assert_eq!(read(text), Err(why.to_owned()), "{text}");
        }
        assert!(read("min = 1\nmax = 2\nmost = 3").unwrap_err().starts_with("unknown field"));
        assert!(read("min = 1\nmax = 2.5").is_err());
    }

    #[test]
    fn a_first_number_outside_of_the_bounds_is_refused() {
        let bounds = Scaling::within(2, 4);
        assert_eq!(check_replicas(None, &bounds), Ok(()));
        assert_eq!(check_replicas(Some(4), &bounds), Ok(()));
        let why = Error::Invalid("replicas is 5, and scaling allows from 2 to 4".to_owned());
        assert_eq!(check_replicas(Some(5), &bounds), Err(why));
    }
}
