//! What a release says about how its containers run, within the platform's bounds.

use std::collections::BTreeMap;

use common::port::container::Limits;
use common::port::edge::EdgeOptions;
use common::record::release::Strategy;
use common::record::scale::{Hours, Scaling};

/// The port an app listens on unless it says otherwise.
pub(crate) const DEFAULT_PORT: u16 = 8080;
const LONGEST_HEALTH_PATH: usize = 200;
const MOST_VARIABLES: usize = 256;
const LONGEST_VALUE: usize = 32 * 1024;
/// All names and values together: they travel in a record of at most 64 KiB.
const LARGEST_ENVIRONMENT: usize = 40 * 1024;
const MIB: u64 = 1024 * 1024;

/// The bounds an operator sets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) default_limits: Limits,
    pub(crate) max_memory_bytes: u64,
    pub(crate) max_cpu_millis: u32,
    pub(crate) max_replicas: u32,
}

/// How the containers of a release run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) port: u16,
    pub(crate) health_path: Option<String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) limits: Limits,
    pub(crate) read_only: bool,
    /// How many replicas a first deployment starts, if it does not say.
    pub(crate) replicas: Option<u32>,
    /// How their number follows the load; without, it does not.
    pub(crate) scaling: Option<Scaling>,
    /// Its bounds at some hours.
    pub(crate) hours: Vec<Hours>,
    /// Where its replicas go; without, as the platform has it.
    pub(crate) placement: Option<Strategy>,
    /// What it asks of the edge.
    pub(crate) edge: EdgeOptions,
}

impl Settings {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        Settings {
            port: DEFAULT_PORT,
            health_path: None,
            environment: BTreeMap::new(),
            limits: bounds.default_limits,
            read_only: false,
            replicas: None,
            scaling: None,
            hours: Vec::new(),
            placement: None,
            edge: EdgeOptions::default(),
        }
    }
}

/// Why a setting is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("a port is a number from 1 to 65535")]
    PortInvalid,
    #[error("the port {0} is reserved; use 80, 443 or one from 1024 on")]
    PortReserved(u16),
    #[error("the environment is not taken: {0}")]
    Environment(String),
    #[error("there is no such time zone: {0}")]
    ZoneUnknown(String),
    #[error("bounds that would never hold: {0}")]
    NeverHolds(String),
    #[error("{0}")]
    Invalid(String),
}

/// A port inside a container.
pub(crate) fn port(number: i64) -> Result<u16, Error> {
    let port = u16::try_from(number).ok().filter(|port| *port > 0).ok_or(Error::PortInvalid)?;
    if port >= 1024 || matches!(port, 80 | 443) { Ok(port) } else { Err(Error::PortReserved(port)) }
}

/// The path that must answer over HTTP.
pub(crate) fn health_path(path: &str) -> Result<String, Error> {
    let kept = path.starts_with('/')
        && path.len() <= LONGEST_HEALTH_PATH
        && path.bytes().all(|byte| byte.is_ascii_graphic())
        && !path.contains('#');
    if kept {
        Ok(path.to_owned())
    } else {
        Err(Error::Invalid(format!(
            "a health path begins with /, has at most {LONGEST_HEALTH_PATH} characters and no spaces"
        )))
    }
}

/// Environment variables for an app.
pub(crate) fn environment(
    variables: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Error> {
    let refused = |why: String| Err(Error::Environment(why));
    if variables.len() > MOST_VARIABLES {
        return refused(format!("at most {MOST_VARIABLES} variables"));
    }
    let mut total = 0;
    for (name, value) in &variables {
        let shown = common::problem::excerpt(name);
        if !is_variable_name(name) {
            return refused(format!(
                "\"{shown}\" is no name; use A-Z, 0-9 and _, at most 64, not first a digit"
            ));
        }
        if is_reserved(name) {
            return refused(format!("{shown} is set by the platform or changes how programs load"));
        }
        if value.len() > LONGEST_VALUE || value.contains('\0') {
            return refused(format!("the value of {shown} is longer than 32 KiB or has a NUL"));
        }
        total += name.len() + stored_length(value);
    }
    if total > LARGEST_ENVIRONMENT {
        return refused("all variables together are larger than 40 KiB".to_owned());
    }
    Ok(variables)
}

/// How long a value is as JSON: what is escaped takes more.
fn stored_length(value: &str) -> usize {
    let length = |letter: char| match letter {
        '"' | '\\' => 2,
        letter if letter.is_control() => 6,
        letter => letter.len_utf8(),
    };
    value.chars().map(length).sum()
}

fn is_variable_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

fn is_reserved(name: &str) -> bool {
    matches!(name, "PATH" | "PORT" | "HOME" | "HOSTNAME")
        || ["LD_", "DOCKER_", "PLATFORM_", "AVISHKAR_"].iter().any(|start| name.starts_with(start))
}

/// An amount of memory in bytes: a number of bytes, or a number with k, m or g (powers of 1024).
pub(crate) fn memory(text: &str, bounds: &Bounds) -> Result<u64, Error> {
    let lower = text.trim().to_ascii_lowercase();
    let bare = lower.strip_suffix('b').unwrap_or(&lower);
    let bare = bare.strip_suffix('i').unwrap_or(bare);
    let (digits, unit) = match bare.char_indices().next_back() {
        Some((at, 'k')) => (bare.get(..at), 1024),
        Some((at, 'm')) => (bare.get(..at), MIB),
        Some((at, 'g')) => (bare.get(..at), 1024 * MIB),
        Some(_) | None => (Some(bare), 1),
    };
    let amount = digits.and_then(|digits| digits.trim().parse::<u64>().ok());
    let bytes = amount.and_then(|amount| amount.checked_mul(unit));
    let kept = bytes.filter(|bytes| (16 * MIB..=bounds.max_memory_bytes).contains(bytes));
    kept.ok_or_else(|| {
        let most = bounds.max_memory_bytes / MIB;
        Error::Invalid(format!("memory is an amount like \"256m\", from 16m to {most}m"))
    })
}

/// A number of cores, in thousandths.
pub(crate) fn cpus(cores: f64, bounds: &Bounds) -> Result<u32, Error> {
    let most = f64::from(bounds.max_cpu_millis) / 1000.0;
    if cores.is_finite() && (0.05..=most).contains(&cores) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range was checked"
        )]
        let millis = (cores * 1000.0).round() as u32;
        return Ok(millis);
    }
    Err(Error::Invalid(format!("cpus is a number of cores from 0.05 to {most}")))
}

/// How many replicas.
pub(crate) fn replicas(count: i64, bounds: &Bounds) -> Result<u32, Error> {
    let most = bounds.max_replicas;
    let kept = u32::try_from(count).ok().filter(|count| (1..=most).contains(count));
    kept.ok_or_else(|| Error::Invalid(format!("replicas is a number from 1 to {most}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        default_limits: Limits { memory_bytes: 256 * MIB, cpu_millis: 500, processes: 256 },
        max_memory_bytes: 2048 * MIB,
        max_cpu_millis: 2000,
        max_replicas: 20,
    };

    #[test]
    fn ports_are_checked() {
        for good in [80, 443, 1024, 8080, 65535] {
            assert_eq!(port(good).map(i64::from), Ok(good));
        }
        for bad in [0, -1, 65536, i64::MAX] {
            assert_eq!(port(bad), Err(Error::PortInvalid));
        }
        assert_eq!(port(22), Err(Error::PortReserved(22)));
    }

    #[test]
    fn amounts_of_memory_are_read() {
        for (text, bytes) in [
            ("256m", 256 * MIB),
            ("1g", 1024 * MIB),
            ("512 MiB", 512 * MIB),
            ("33554432", 32 * MIB),
            ("65536k", 64 * MIB),
        ] {
            assert_eq!(memory(text, &BOUNDS), Ok(bytes), "{text}");
        }
        for text in ["", "m", "1m", "9g", "-1m", "256mm", "1e3m", "99999999999999999999g", "0x10m"]
        {
            assert!(memory(text, &BOUNDS).is_err(), "{text}");
        }
    }

    #[test]
    fn cores_and_replicas_have_bounds() {
        assert_eq!(cpus(0.5, &BOUNDS), Ok(500));
        for bad in [0.0, -1.0, 2.1, f64::NAN, f64::INFINITY] {
            assert!(cpus(bad, &BOUNDS).is_err(), "{bad}");
        }
        assert_eq!(replicas(20, &BOUNDS), Ok(20));
        assert!(replicas(0, &BOUNDS).is_err() && replicas(21, &BOUNDS).is_err());
    }

    #[test]
    fn hostile_variables_are_refused() {
        let one = |name: &str, value: &str| {
            environment(BTreeMap::from([(name.to_owned(), value.to_owned())]))
        };
        assert!(one("GREETING", "hello\nworld").is_ok());
        for name in [
            "LD_PRELOAD",
            "PATH",
            "DOCKER_HOST",
            "PLATFORM_X",
            "AVISHKAR_APP",
            "PORT",
            "a",
            "A=B",
            "A\0",
            "A\nB",
            "1A",
            "",
        ] {
            assert!(matches!(one(name, "x"), Err(Error::Environment(_))), "{name:?}");
        }
        assert!(one("A", &"x".repeat(LONGEST_VALUE + 1)).is_err());
        assert!(one("A", "x\0").is_err());
        let many = (0..10_000).map(|n| (format!("A{n}"), String::new())).collect();
        assert!(environment(many).is_err());
        assert!(one("A", &"\u{1}".repeat(10_000)).is_err());
        let large = (0..3).map(|n| (format!("A{n}"), "x".repeat(20_000))).collect();
        assert!(environment(large).is_err());
    }

    #[test]
    fn health_paths_are_paths() {
        assert!(health_path("/health?full=1").is_ok());
        for bad in ["", "health", "/a b", "/a\n", "/#x", "http://example.org/"] {
            assert!(health_path(bad).is_err(), "{bad:?}");
        }
    }
}
