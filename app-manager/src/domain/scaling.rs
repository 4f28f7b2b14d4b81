//! What an app says about how the number of its replicas follows its load.

use common::record::scale::Scaling;
use serde::Deserialize;

use super::settings::{Bounds, Error};

/// The table `scaling` as it is written: its bounds must be said, the rest may be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    min: i64,
    max: i64,
    cpu: Option<i64>,
    memory: Option<i64>,
    cooldown: Option<i64>,
}

/// A day.
const LONGEST_COOLDOWN: u32 = 24 * 60 * 60;
/// Below this an idle process is overloaded; above, nothing ever is.
const LEAST_PERCENT: u32 = 10;
const MOST_PERCENT: u32 = 99;

/// What is meant by it, within the platform's bounds.
pub(crate) fn scaling(written: &Written, bounds: &Bounds) -> Result<Scaling, Error> {
    let most = bounds.max_replicas;
    let replicas = |key: &str, count: i64| {
        let why = || format!("scaling.{key} is a number of replicas from 1 to {most}");
        within(count, 1, most).ok_or_else(|| Error::Invalid(why()))
    };
    let percent = |key: &str, percent: Option<i64>, otherwise: u32| {
        let why =
            || format!("scaling.{key} is a percentage from {LEAST_PERCENT} to {MOST_PERCENT}");
        let Some(percent) = percent else { return Ok(otherwise) };
        within(percent, LEAST_PERCENT, MOST_PERCENT).ok_or_else(|| Error::Invalid(why()))
    };
    let usual = Scaling::within(replicas("min", written.min)?, replicas("max", written.max)?);
    if usual.min > usual.max {
        let Scaling { min, max, .. } = usual;
        let why = format!("scaling.min is {min}, more than scaling.max, which is {max}");
        return Err(Error::Invalid(why));
    }
    let why = || format!("scaling.cooldown is a number of seconds from 1 to {LONGEST_COOLDOWN}");
    let cooldown = written.cooldown.unwrap_or_else(|| usual.cooldown_seconds.into());
    Ok(Scaling {
        cpu_percent: percent("cpu", written.cpu, usual.cpu_percent)?,
        memory_percent: percent("memory", written.memory, usual.memory_percent)?,
        cooldown_seconds: within(cooldown, 1, LONGEST_COOLDOWN)
            .ok_or_else(|| Error::Invalid(why()))?,
        ..usual
    })
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
        let all = "min = 1\nmax = 20\ncpu = 60\nmemory = 90\ncooldown = 5";
        let scaling =
            Scaling { min: 1, max: 20, cpu_percent: 60, memory_percent: 90, cooldown_seconds: 5 };
        assert_eq!(read(all), Ok(scaling));
    }

    #[test]
    fn what_is_wrong_is_said_in_its_own_words() {
        for (text, why) in [
            ("min = 0\nmax = 5", "scaling.min is a number of replicas from 1 to 20"),
            ("min = 1\nmax = 21", "scaling.max is a number of replicas from 1 to 20"),
            ("min = -1\nmax = 2", "scaling.min is a number of replicas from 1 to 20"),
            ("min = 6\nmax = 5", "scaling.min is 6, more than scaling.max, which is 5"),
            ("min = 1\nmax = 2\ncpu = 100", "scaling.cpu is a percentage from 10 to 99"),
            ("min = 1\nmax = 2\nmemory = 9", "scaling.memory is a percentage from 10 to 99"),
            (
                "min = 1\nmax = 2\ncooldown = 0",
                "scaling.cooldown is a number of seconds from 1 to 86400",
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
