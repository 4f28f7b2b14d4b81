//! What an app may ask of the edge beyond a way in. An app that asks for nothing pays for nothing.

use serde::{Deserialize, Serialize};

use crate::name::HostName;

/// How many host names of its own an app may have.
const MOST_HOSTS: usize = 16;
/// The edge takes no larger bodies from anybody.
const MOST_BODY_BYTES: u64 = 1024 * 1024 * 1024;
const MOST_REQUESTS_PER_SECOND: u32 = 1_000_000;
const MOST_CONNECTIONS: u32 = 100_000;
const LONGEST_TIMEOUT_SECONDS: u32 = 24 * 60 * 60;

/// How the edge treats the requests of one app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EdgeOptions {
    /// Names it answers for besides its own label.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostName>,
    /// A larger request is refused before it reaches a replica.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_body_bytes: Option<u64>,
    /// Of all its visitors together; as many again may come at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u32>,
    /// How many requests may be under way at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// How long a replica may be silent before its request is given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// Whether a visitor's requests go to the replica that had the first, by a cookie.
    #[serde(skip_serializing_if = "is_false")]
    pub sticky: bool,
    #[serde(skip_serializing_if = "Balance::is_weighted")]
    pub balance: Balance,
    /// Whether a request that comes while it has no replica waits for one.
    #[serde(skip_serializing_if = "is_false")]
    pub held: bool,
    #[serde(skip_serializing_if = "Https::is_redirect")]
    pub https: Https,
}

/// What becomes of a visitor without TLS, of a host name that has a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Https {
    /// It is sent to the same place over TLS.
    #[default]
    Redirect,
    /// It is served, too.
    Both,
}

impl Https {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_redirect(&self) -> bool {
        *self == Https::Redirect
    }

    pub fn is_both(self) -> bool {
        self == Https::Both
    }
}

/// Which replica a request goes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// In turn, as often as its weight says.
    #[default]
    Weighted,
    /// The one with the fewest requests under way for its weight.
    LeastConnections,
}

impl Balance {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_weighted(&self) -> bool {
        *self == Balance::Weighted
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// An option that no app can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    #[error("at most {MOST_HOSTS} host names")]
    TooManyHosts,
    #[error("the host name {0} is listed twice")]
    HostTwice(HostName),
    #[error("{option} is a number from 1 to {most}")]
    OutOfBounds { option: &'static str, most: u64 },
}

impl EdgeOptions {
    /// Whether it asks for nothing.
    pub fn is_plain(&self) -> bool {
        *self == EdgeOptions::default()
    }

    /// Checks what its types do not.
    pub fn check(&self) -> Result<(), OptionError> {
        if self.hosts.len() > MOST_HOSTS {
            return Err(OptionError::TooManyHosts);
        }
        let mut hosts: Vec<&HostName> = self.hosts.iter().collect();
        hosts.sort_unstable();
        let twice = hosts.windows(2).find_map(|pair| match pair {
            [one, other] if one == other => Some((*one).clone()),
            _ => None,
        });
        if let Some(host) = twice {
            return Err(OptionError::HostTwice(host));
        }
        for (option, asked, most) in [
            ("max_body_bytes", self.max_body_bytes, MOST_BODY_BYTES),
            (
                "requests_per_second",
                self.requests_per_second.map(u64::from),
                MOST_REQUESTS_PER_SECOND.into(),
            ),
            ("connections", self.connections.map(u64::from), MOST_CONNECTIONS.into()),
            (
                "timeout_seconds",
                self.timeout_seconds.map(u64::from),
                LONGEST_TIMEOUT_SECONDS.into(),
            ),
        ] {
            if asked.is_some_and(|asked| asked == 0 || asked > most) {
                return Err(OptionError::OutOfBounds { option, most });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_nothing_is_written_as_nothing() {
        assert_eq!(serde_json::to_string(&EdgeOptions::default()).unwrap(), "{}");
        assert_eq!(serde_json::from_str::<EdgeOptions>("{}").unwrap(), EdgeOptions::default());
        assert!(EdgeOptions::default().is_plain());
    }

    #[test]
    fn numbers_have_bounds() {
        for (limit, good) in
            [(Some(0), false), (Some(1), true), (Some(u32::MAX), false), (None, true)]
        {
            let rate = EdgeOptions { requests_per_second: limit, ..EdgeOptions::default() };
            assert_eq!(rate.check().is_ok(), good, "{limit:?}");
            let connections = EdgeOptions { connections: limit, ..EdgeOptions::default() };
            assert_eq!(connections.check().is_ok(), good, "{limit:?}");
            let timeout = EdgeOptions { timeout_seconds: limit, ..EdgeOptions::default() };
            assert_eq!(timeout.check().is_ok(), good, "{limit:?}");
            let bytes = limit.map(|limit| u64::from(limit) * 1024);
            let body = EdgeOptions { max_body_bytes: bytes, ..EdgeOptions::default() };
            assert_eq!(body.check().is_ok(), good, "{limit:?}");
        }
    }

    #[test]
    fn a_host_name_is_listed_once() {
        let host: HostName = "shop.example.org".parse().unwrap();
        let twice =
            EdgeOptions { hosts: vec![host.clone(), host.clone()], ..EdgeOptions::default() };
        assert_eq!(twice.check(), Err(OptionError::HostTwice(host)));
    }
}
