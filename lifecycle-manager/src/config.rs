//! The sections `[lifecycle]`, `[restarts]`, `[rollout]` and `[provision]`: as they are written, and as they are meant.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ::rollout::parts::{Listeners, listeners};
use ::rollout::platform::Platform;
use chassis::config::Problem;
use chassis::http;
use common::record::leader::Advertised;
use common::service::ServiceName;
use serde::{Deserialize, Serialize};

use crate::domain::brake::Rule;
use crate::domain::waits::{Limit, Waits};
use crate::domain::{base, machine, restart, rollout};

/// The service's own sections as they are written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    pub lifecycle: RawLifecycle,
    pub restarts: RawRestarts,
    pub rollout: RawRollout,
    pub provision: RawProvision,
}

/// `[lifecycle]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawLifecycle {
    /// Whether document 000's paths exist.
    pub document_000_paths: bool,
    pub look_every_ms: u64,
    pub answer_within_ms: u64,
    pub window_seconds: u64,
    pub silent_after_seconds: u64,
    pub repair_after_seconds: u64,
    pub brake_percent: usize,
    pub machine_restarts_per_hour: usize,
}

/// `[restarts]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRestarts {
    pub gather_ms: u64,
    pub first_wait_seconds: u64,
    pub last_wait_seconds: u64,
    pub calm_seconds: u64,
    pub limit: usize,
    pub limit_seconds: u64,
    pub within_seconds: u64,
    pub machine_within_seconds: u64,
}

/// `[rollout]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the keys say their unit")]
pub struct RawRollout {
    pub ready_within_seconds: u64,
    pub restart_after_seconds: u64,
    pub keeper_restart_after_seconds: u64,
    pub move_after_seconds: u64,
    pub registry_after_seconds: u64,
    pub effect_within_seconds: u64,
}

/// `[provision]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawProvision {
    pub max_machines: usize,
    pub pause_seconds: u64,
    pub within_seconds: u64,
    pub idle_seconds: u64,
}

/// The service's configuration as it is meant. What it is made of is this crate's own.
#[derive(Debug, Clone)]
pub struct Config {
    /// None where no platform is described: then there is nothing to keep.
    pub platform: Option<Platform>,
    pub document_000_paths: bool,
    pub(crate) look_every: Duration,
    pub(crate) answer_within: Duration,
    /// For how long a new leader only looks.
    pub(crate) window: Duration,
    pub(crate) brake: Rule,
    pub(crate) machine: machine::Rules,
    pub(crate) base: base::Rules,
    pub(crate) machine_within: Duration,
    pub(crate) restart: restart::Rules,
    /// What is asked for within this time counts as asked for at once.
    pub(crate) together: Duration,
    pub(crate) rollout: rollout::Rules,
    pub(crate) registry_after: Duration,
    pub(crate) effect_within: Duration,
    pub(crate) provision: Provisioning,
    /// Where services listen for people that do not where [`listeners`] says.
    pub doors: BTreeMap<ServiceName, SocketAddr>,
    /// How others find this instance.
    pub advertised: Advertised,
}

impl Config {
    /// Where an instance of a service listens, plain and by mutual TLS, on a machine of this address.
    pub(crate) fn doors(
        &self,
        service: ServiceName,
        ip: IpAddr,
    ) -> Option<(SocketAddr, Option<SocketAddr>)> {
        if let Some(door) = self.doors.get(&service) {
            return Some((*door, None));
        }
        let Listeners { plain, mutual_tls } = listeners(service)?;
        Some((SocketAddr::new(ip, plain), Some(SocketAddr::new(ip, mutual_tls))))
    }
}

/// How many machines may be added, and how long they stay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Provisioning {
    pub(crate) max_machines: usize,
    pub(crate) pause: Duration,
    pub(crate) within: Duration,
    /// One that was added for apps and has had none for so long is given back; none: never.
    pub(crate) idle: Option<Duration>,
}

/// So many rounds without too many dead take a brake off.
const BRAKE_ROUNDS: usize = 5;
const HOUR: Duration = Duration::from_hours(1);
const DAY: u64 = 86_400;

impl Raw {
    /// All problems at once. `platform` is the description, where there is one.
    pub fn resolve(
        self,
        http: &http::Config,
        platform: Option<Platform>,
    ) -> Result<Config, Vec<Problem>> {
        let problems = self.problems();
        if !problems.is_empty() {
            return Err(problems);
        }
        let Raw { lifecycle, restarts, rollout, provision } = self;
        let seconds = Duration::from_secs;
        let waits = Waits {
            first: seconds(restarts.first_wait_seconds),
            last: seconds(restarts.last_wait_seconds),
            calm: seconds(restarts.calm_seconds),
        };
        Ok(Config {
            platform,
            document_000_paths: lifecycle.document_000_paths,
            look_every: Duration::from_millis(lifecycle.look_every_ms),
            answer_within: Duration::from_millis(lifecycle.answer_within_ms),
            window: seconds(lifecycle.window_seconds),
            brake: Rule { percent: lifecycle.brake_percent, rounds: BRAKE_ROUNDS },
            machine: machine::Rules {
                silent_after: seconds(lifecycle.silent_after_seconds),
                repair_after: seconds(lifecycle.repair_after_seconds),
                waits,
                restarts: Limit { attempts: lifecycle.machine_restarts_per_hour, within: HOUR },
            },
            machine_within: seconds(restarts.machine_within_seconds),
            base: base::Rules {
                restart_after: seconds(rollout.restart_after_seconds),
                keeper_restart_after: seconds(rollout.keeper_restart_after_seconds),
                waits,
            },
            restart: restart::Rules {
                gather: Duration::from_millis(restarts.gather_ms),
                waits,
                limit: Limit { attempts: restarts.limit, within: seconds(restarts.limit_seconds) },
                percent: lifecycle.brake_percent,
                within: seconds(restarts.within_seconds),
            },
            together: waits.first.max(Duration::from_millis(restarts.gather_ms) * 2),
            rollout: rollout::Rules {
                ready_within: seconds(rollout.ready_within_seconds),
                restart_after: seconds(rollout.restart_after_seconds),
                move_after: seconds(rollout.move_after_seconds),
                waits: Waits { first: FIRST_ATTEMPT, ..waits },
            },
            registry_after: seconds(rollout.registry_after_seconds),
            effect_within: seconds(rollout.effect_within_seconds),
            provision: Provisioning {
                max_machines: provision.max_machines,
                pause: seconds(provision.pause_seconds),
                within: seconds(provision.within_seconds),
                idle: Some(seconds(provision.idle_seconds)).filter(|idle| !idle.is_zero()),
            },
            doors: BTreeMap::new(),
            advertised: http.advertised(),
        })
    }

    fn problems(&self) -> Vec<Problem> {
        let Raw { lifecycle, restarts, rollout, provision } = self;
        let most = provision.max_machines.try_into().unwrap_or(u64::MAX);
        let ranges: [(&str, u64, u64, u64); 22] = [
            ("lifecycle.look_every_ms", lifecycle.look_every_ms, 100, 60_000),
            ("lifecycle.answer_within_ms", lifecycle.answer_within_ms, 100, 30_000),
            ("lifecycle.window_seconds", lifecycle.window_seconds, 1, 600),
            ("lifecycle.silent_after_seconds", lifecycle.silent_after_seconds, 1, 600),
            ("lifecycle.repair_after_seconds", lifecycle.repair_after_seconds, 1, DAY),
            ("restarts.gather_ms", restarts.gather_ms, 100, 30_000),
            ("restarts.first_wait_seconds", restarts.first_wait_seconds, 1, 3600),
            ("restarts.last_wait_seconds", restarts.last_wait_seconds, 1, DAY),
            ("restarts.calm_seconds", restarts.calm_seconds, 1, DAY),
            ("restarts.limit_seconds", restarts.limit_seconds, 1, DAY),
            ("restarts.within_seconds", restarts.within_seconds, 5, 3600),
            ("restarts.machine_within_seconds", restarts.machine_within_seconds, 5, 3600),
            ("rollout.ready_within_seconds", rollout.ready_within_seconds, 1, 3600),
            ("rollout.restart_after_seconds", rollout.restart_after_seconds, 1, 3600),
            (KEEPERS, rollout.keeper_restart_after_seconds, 60, 3600),
            ("rollout.move_after_seconds", rollout.move_after_seconds, 1, 3600),
            ("rollout.registry_after_seconds", rollout.registry_after_seconds, 1, DAY),
            ("rollout.effect_within_seconds", rollout.effect_within_seconds, 1, 600),
            ("provision.pause_seconds", provision.pause_seconds, 0, DAY),
            ("provision.within_seconds", provision.within_seconds, 10, 7200),
            ("provision.idle_seconds", provision.idle_seconds, 0, DAY),
            ("provision.max_machines", most, 0, 200),
        ];
        let mut problems: Vec<Problem> = ranges
            .into_iter()
            .filter(|(_, value, least, most)| !(least..=most).contains(&value))
            .map(|(key, _, least, most)| {
                Problem::new(key, format!("must be from {least} to {most}"))
            })
            .collect();
        let mut demand = |holds: bool, key: &str, message: &str| {
            if !holds {
                problems.push(Problem::new(key, message));
            }
        };
        let percent = (1..=100).contains(&lifecycle.brake_percent);
        demand(percent, "lifecycle.brake_percent", "must be from 1 to 100");
        let hourly = lifecycle.machine_restarts_per_hour <= 16;
        demand(hourly, "lifecycle.machine_restarts_per_hour", "must be at most 16");
        demand((1..=1000).contains(&restarts.limit), "restarts.limit", "must be from 1 to 1000");
        let kept = provision.idle_seconds == 0 || provision.idle_seconds >= 60;
        demand(kept, "provision.idle_seconds", "must be 0, or at least 60");
        let order = restarts.first_wait_seconds <= restarts.last_wait_seconds;
        demand(order, "restarts.last_wait_seconds", "must not be below first_wait_seconds");
        let order = lifecycle.silent_after_seconds <= lifecycle.repair_after_seconds;
        demand(order, "lifecycle.repair_after_seconds", "must not be below silent_after_seconds");
        problems
    }
}

const KEEPERS: &str = "rollout.keeper_restart_after_seconds";
/// What an agent could not do at once is asked for again soon.
const FIRST_ATTEMPT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        http: http::Raw,
        lifecycle: RawLifecycle,
        restarts: RawRestarts,
        rollout: RawRollout,
        provision: RawProvision,
    }

    fn file() -> (http::Config, Raw) {
        let sources = chassis::config::Sources::default();
        let defaults = include_str!("../../config/lifecycle-manager.toml");
        let file: File = chassis::config::read(defaults, &sources).unwrap();
        let File { http, lifecycle, restarts, rollout, provision } = file;
        (http.resolve().unwrap(), Raw { lifecycle, restarts, rollout, provision })
    }

    #[test]
    fn the_shipped_file_is_right() {
        let (http, raw) = file();
        let config = raw.resolve(&http, None).unwrap();
        assert_eq!(config.brake.percent, 30);
        assert!(config.machine.silent_after < config.rollout.move_after);
        assert_eq!(config.provision.max_machines, 0);
        assert_eq!(config.provision.idle, Some(Duration::from_mins(30)));
    }

    #[test]
    fn zero_seconds_give_nothing_back() {
        let (http, mut raw) = file();
        raw.provision.idle_seconds = 0;
        assert_eq!(raw.resolve(&http, None).unwrap().provision.idle, None);
    }

    #[test]
    fn a_service_that_listens_elsewhere_is_found_there() {
        let (http, raw) = file();
        let mut config = raw.resolve(&http, None).unwrap();
        let ip = "192.0.2.1".parse().unwrap();
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let usual = (at("192.0.2.1:8050"), Some(at("192.0.2.1:9051")));
        assert_eq!(config.doors(ServiceName::LoadBalancer, ip), Some(usual));
        config.doors.insert(ServiceName::LoadBalancer, at("127.0.0.1:7000"));
        let own = (at("127.0.0.1:7000"), None);
        assert_eq!(config.doors(ServiceName::LoadBalancer, ip), Some(own));
        assert_eq!(config.doors(ServiceName::NodeAgent, ip), None);
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let (http, mut raw) = file();
        raw.lifecycle.brake_percent = 0;
        raw.restarts.limit = 0;
        raw.restarts.last_wait_seconds = 1;
        raw.rollout.move_after_seconds = 0;
        raw.provision.idle_seconds = 30;
        let problems = raw.resolve(&http, None).unwrap_err();
        let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
        let expected = [
            "rollout.move_after_seconds",
            "lifecycle.brake_percent",
            "restarts.limit",
            "provision.idle_seconds",
            "restarts.last_wait_seconds",
        ];
        assert_eq!(keys, expected);
    }
}
