//! The sections `[probes]`, `[restarts]` and `[alerts]`: as they are written, and as they are meant.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use chassis::brake;
use chassis::config::Problem;
use chassis::http;
use common::record::leader::Advertised;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::domain::backoff::Waits;
use crate::domain::board::Rules;
use crate::domain::budget::Limit;
use crate::domain::verdict;

/// The service's own sections as they are written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    pub probes: RawProbes,
    pub restarts: RawRestarts,
    pub alerts: RawAlerts,
}

/// `[probes]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawProbes {
    /// Which services there are to look at, and how.
    pub services: Services,
    /// How often services are looked at, and nodes.
    pub every_ms: u64,
    /// How often apps are.
    pub apps_every_ms: u64,
    /// How long a service may take to answer.
    pub within_ms: u64,
    /// How long an app may take, the way through the load balancer and the edge included.
    pub app_within_ms: u64,
    /// How many looks may be under way at once.
    pub at_once: usize,
    /// How many of the last looks count.
    pub window: usize,
    /// So many bad ones of them: down.
    pub bad: usize,
    /// So many good ones in a row: up.
    pub good: usize,
    /// For how long what was never up may take to come up.
    pub grace_seconds: u64,
}

/// Which services there are to look at, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Services {
    /// Those of document 001's registry, over plain HTTP.
    Registry,
    /// Those that the lifecycle manager runs, every instance, by mutual TLS.
    Running,
}

/// `[restarts]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRestarts {
    pub first_wait_seconds: u64,
    pub last_wait_seconds: u64,
    pub calm_seconds: u64,
    /// How many restarts may be asked for, of all targets together.
    pub limit: usize,
    pub limit_seconds: u64,
    /// Above this share of targets of a kind that look down at once.
    pub brake_percent: usize,
}

/// `[alerts]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawAlerts {
    pub webhooks: Vec<RawWebhook>,
    pub give_up_hours: u32,
    pub owed_at_most: usize,
    /// How many days an incident is kept after its end.
    pub keep_days: u32,
}

/// `[[alerts.webhooks]]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawWebhook {
    pub name: String,
    pub url: String,
    /// A file of mode 0600 with the secret; empty if it is in the environment.
    pub secret_file: String,
    /// The name of the variable with the secret; empty if it is in a file.
    pub secret_variable: String,
    /// Whether it may be at an address of this machine or of a private network.
    pub internal: bool,
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    File(PathBuf),
    Variable(String),
}

/// The service's configuration as it is meant.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) services: Services,
    pub(crate) every: Duration,
    pub(crate) apps_every: Duration,
    pub(crate) within: Duration,
    pub(crate) app_within: Duration,
    pub(crate) at_once: usize,
    pub(crate) rules: Rules,
    pub(crate) limit: Limit,
    /// The names of those that are told by webhook.
    pub(crate) receivers: Vec<String>,
    pub(crate) give_up: SignedDuration,
    pub(crate) notices_at_most: usize,
    pub(crate) keep_days: u32,
    /// How others find this instance.
    pub(crate) advertised: Advertised,
}

impl Raw {
    /// All problems at once.
    pub fn resolve(self, http: &http::Config) -> Result<Config, Vec<Problem>> {
        let Raw { probes, restarts, alerts } = self;
        let mut problems = probes.problems();
        problems.extend(restarts.problems());
        problems.extend(alerts.problems());
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Config {
            services: probes.services,
            every: Duration::from_millis(probes.every_ms),
            apps_every: Duration::from_millis(probes.apps_every_ms),
            within: Duration::from_millis(probes.within_ms),
            app_within: Duration::from_millis(probes.app_within_ms),
            at_once: probes.at_once,
            rules: rules(&probes, &restarts),
            limit: Limit {
                restarts: restarts.limit,
                within: Duration::from_secs(restarts.limit_seconds),
            },
            receivers: alerts.webhooks.into_iter().map(|webhook| webhook.name).collect(),
            give_up: SignedDuration::from_hours(alerts.give_up_hours.into()),
            notices_at_most: alerts.owed_at_most,
            keep_days: alerts.keep_days,
            advertised: http.advertised(),
        })
    }
}

fn rules(probes: &RawProbes, restarts: &RawRestarts) -> Rules {
    let RawProbes { window, bad, good, grace_seconds, .. } = *probes;
    let grace = Duration::from_secs(grace_seconds);
    let at_once = verdict::Rule { window: 1, bad: 1, good: 1, grace: Duration::ZERO };
    Rules {
        looks: verdict::Rule { window, bad, good, grace },
        // The node manager has waited already before it said so.
        told: at_once,
        fleet: verdict::Rule { window, bad, ..at_once },
        waits: Waits {
            first: Duration::from_secs(restarts.first_wait_seconds),
            last: Duration::from_secs(restarts.last_wait_seconds),
            calm: Duration::from_secs(restarts.calm_seconds),
        },
        brake: brake::Rule { percent: restarts.brake_percent, rounds: good },
    }
}

/// Gathers what does not hold.
struct Demands {
    section: &'static str,
    problems: Vec<Problem>,
}

impl Demands {
    fn of(section: &'static str) -> Self {
        Demands { section, problems: Vec::new() }
    }

    fn that(&mut self, holds: bool, key: &str, message: &str) {
        if !holds {
            self.problems.push(Problem::new(&format!("{}.{key}", self.section), message));
        }
    }
}

impl RawProbes {
    fn problems(&self) -> Vec<Problem> {
        let mut demand = Demands::of("probes");
        demand.that(
            (100..=600_000).contains(&self.every_ms),
            "every_ms",
            "must be from 100 to 600000",
        );
        demand.that(
            (self.every_ms..=600_000).contains(&self.apps_every_ms),
            "apps_every_ms",
            "must be from every_ms to 600000",
        );
        demand.that(
            (50..=20_000).contains(&self.within_ms),
            "within_ms",
            "must be from 50 to 20000",
        );
        demand.that(
            (50..=20_000).contains(&self.app_within_ms),
            "app_within_ms",
            "must be from 50 to 20000",
        );
        demand.that((1..=1024).contains(&self.at_once), "at_once", "must be from 1 to 1024");
        demand.that((1..=100).contains(&self.window), "window", "must be from 1 to 100");
        demand.that((1..=self.window).contains(&self.bad), "bad", "must be from 1 to window");
        demand.that((1..=100).contains(&self.good), "good", "must be from 1 to 100");
        demand.that(self.grace_seconds <= 3600, "grace_seconds", "must be at most 3600");
        demand.problems
    }
}

impl RawRestarts {
    fn problems(&self) -> Vec<Problem> {
        let mut demand = Demands::of("restarts");
        let day = 24 * 3600;
        demand.that(
            (1..=day).contains(&self.first_wait_seconds),
            "first_wait_seconds",
            "must be from 1 to 86400",
        );
        demand.that(
            (self.first_wait_seconds..=day).contains(&self.last_wait_seconds),
            "last_wait_seconds",
            "must be from first_wait_seconds to 86400",
        );
        demand.that(self.calm_seconds <= day, "calm_seconds", "must be at most 86400");
        demand.that((1..=1000).contains(&self.limit), "limit", "must be from 1 to 1000");
        demand.that(
            (1..=day).contains(&self.limit_seconds),
            "limit_seconds",
            "must be from 1 to 86400",
        );
        demand.that(
            (1..=99).contains(&self.brake_percent),
            "brake_percent",
            "must be from 1 to 99: with 100 nothing would ever be held",
        );
        demand.problems
    }
}

impl RawAlerts {
    fn problems(&self) -> Vec<Problem> {
        let mut demand = Demands::of("alerts");
        demand.that(
            (1..=24 * 30).contains(&self.give_up_hours),
            "give_up_hours",
            "must be from 1 to 720",
        );
        demand.that(self.owed_at_most <= 10_000, "owed_at_most", "must be at most 10000");
        demand.that((1..=3650).contains(&self.keep_days), "keep_days", "must be from 1 to 3650");
        demand.that(self.webhooks.len() <= MOST_WEBHOOKS, "webhooks", "must be at most 16");
        let mut names = BTreeSet::new();
        for (number, webhook) in self.webhooks.iter().enumerate() {
            let mut of_webhook = |holds: bool, key: &str, message: &str| {
                demand.that(holds, &format!("webhooks[{number}].{key}"), message);
            };
            of_webhook(is_name(&webhook.name), "name", "use 1-40 characters of a-z, 0-9 and -");
            of_webhook(names.insert(webhook.name.as_str()), "name", "stands twice");
            let source = webhook.secret();
            of_webhook(
                source.is_some(),
                "secret_file",
                "give this or secret_variable, and not both",
            );
        }
        demand.problems
    }
}

/// A record of an incident holds what each of them is to be told.
const MOST_WEBHOOKS: usize = 16;

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=40).contains(&text.len()) && text.bytes().all(allowed)
}

impl RawWebhook {
    /// Where its secret is; none unless exactly one place is given.
    pub fn secret(&self) -> Option<SecretSource> {
        match (self.secret_file.as_str(), self.secret_variable.as_str()) {
            ("", "") => None,
            (file, "") => Some(SecretSource::File(file.into())),
            ("", variable) => Some(SecretSource::Variable(variable.to_owned())),
            (_, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        http: http::Raw,
        probes: RawProbes,
        restarts: RawRestarts,
        alerts: RawAlerts,
    }

    fn file() -> (http::Config, Raw) {
        let sources = chassis::config::Sources::default();
        let defaults = include_str!("../../config/monitoring.toml");
        let File { http, probes, restarts, alerts } =
            chassis::config::read(defaults, &sources).unwrap();
        (http.resolve().unwrap(), Raw { probes, restarts, alerts })
    }

    #[test]
    fn the_shipped_file_is_right() {
        let (http, raw) = file();
        let config = raw.resolve(&http).unwrap();
        assert_eq!(config.rules.waits.first, Duration::from_secs(15));
        assert_eq!(config.rules.brake.percent, 30);
        assert!(config.receivers.is_empty());
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let (http, mut raw) = file();
        raw.probes.bad = raw.probes.window + 1;
        raw.restarts.brake_percent = 100;
        let webhook = |name: &str, file: &str, variable: &str| RawWebhook {
            name: name.to_owned(),
            url: "https://hooks.example.org/".to_owned(),
            secret_file: file.to_owned(),
            secret_variable: variable.to_owned(),
            internal: false,
        };
        raw.alerts.webhooks =
            vec![webhook("pager", "/a", ""), webhook("pager", "", "A"), webhook("P", "/a", "A")];
        let problems = raw.resolve(&http).unwrap_err();
        let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
        let expected = [
            "probes.bad",
            "restarts.brake_percent",
            "alerts.webhooks[1].name",
            "alerts.webhooks[2].name",
            "alerts.webhooks[2].secret_file",
        ];
        assert_eq!(keys, expected);
    }
}
