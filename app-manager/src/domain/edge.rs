//! What an app says about how the edge treats its visitors.

use common::port::edge::{Balance, EdgeOptions, Https};
use serde::Deserialize;

use super::settings::Error;

/// The table `edge` as it is written: each key may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    hosts: Option<Vec<String>>,
    max_body_bytes: Option<i64>,
    requests_per_second: Option<i64>,
    connections: Option<i64>,
    timeout_seconds: Option<i64>,
    sticky: Option<bool>,
    balance: Option<Balance>,
    https: Option<Https>,
}

/// What is meant by it, within what any edge takes.
pub(crate) fn options(written: Written) -> Result<EdgeOptions, Error> {
    let mut hosts = Vec::new();
    for host in written.hosts.unwrap_or_default() {
        let shown = common::problem::excerpt(&host);
        let refused = |err| Error::Invalid(format!("edge.hosts: \"{shown}\": {err}"));
        hosts.push(host.parse().map_err(refused)?);
    }
    let options = EdgeOptions {
        hosts,
        // What does not fit is out of bounds all the same.
        max_body_bytes: written.max_body_bytes.map(|bytes| bytes.try_into().unwrap_or(0)),
        requests_per_second: written.requests_per_second.map(number),
        connections: written.connections.map(number),
        timeout_seconds: written.timeout_seconds.map(number),
        sticky: written.sticky.unwrap_or_default(),
        balance: written.balance.unwrap_or_default(),
        held: false,
        https: written.https.unwrap_or_default(),
    };
    options.check().map_err(|err| Error::Invalid(format!("edge: {err}")))?;
    Ok(options)
}

fn number(written: i64) -> u32 {
    written.try_into().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<EdgeOptions, String> {
        let written: Written = toml::from_str(text).map_err(|err| err.to_string())?;
        options(written).map_err(|err| err.to_string())
    }

    #[test]
    fn what_an_app_asks_of_the_edge_is_read_and_nothing_is_asked_without_it() {
        let text = "hosts = [\"www.example.org\"]\nmax_body_bytes = 1048576\nrequests_per_second = 100\n\
            connections = 50\ntimeout_seconds = 30\nsticky = true\nbalance = \"least_connections\"\nhttps = \"both\"\n";
        let wanted = EdgeOptions {
            hosts: vec!["www.example.org".parse().unwrap()],
            max_body_bytes: Some(1_048_576),
            requests_per_second: Some(100),
            connections: Some(50),
            timeout_seconds: Some(30),
            sticky: true,
            balance: Balance::LeastConnections,
            held: false,
            https: Https::Both,
        };
        assert_eq!(read(text), Ok(wanted));
        assert_eq!(read(""), Ok(EdgeOptions::default()));
    }

    #[test]
    fn what_no_edge_takes_is_refused() {
        for (text, why) in [
            ("hosts = [\"WWW.example.org\"]", "edge.hosts: \"WWW.example.org\": a host name is"),
            ("hosts = [\"192.0.2.1\"]", "edge.hosts: \"192.0.2.1\": a host name is"),
            ("hosts = [\"a.b\", \"a.b\"]", "edge: the host name a.b is listed twice"),
            ("connections = 0", "edge: connections is a number from 1 to 100000"),
            ("connections = -1", "edge: connections is a number from 1 to 100000"),
            ("timeout_seconds = 99999999999", "edge: timeout_seconds is a number from 1 to 86400"),
            ("max_body_bytes = -5", "edge: max_body_bytes is a number from 1 to 1073741824"),
        ] {
            let err = read(text).unwrap_err();
            assert!(err.starts_with(why), "{text}: {err}");
        }
        for text in ["host = []", "balance = \"random\"", "sticky = 1", "connections = \"5\""] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
