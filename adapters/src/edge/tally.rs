//! What the lines of the edge's access log add up to: how often requests ended at each replica, and what was asked of
//! each app.
//!
//! A line does not name its app: the edge would have to look it up again for every request. What a front port, or a host
//! name, leads to is known here from the table that the edge serves.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use common::name::LegacyName;
use common::port::edge::{Answer, Table, Traffic};
use tokio::time::Instant;

/// How long what is known of a replica is kept after it has left: longer than its last requests may take to end.
const KEPT_AFTER_LEAVING: Duration = Duration::from_mins(15);

/// All lines so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) ends: BTreeMap<SocketAddr, u64>,
    pub(super) traffic: Traffic,
    /// Whether lines are somebody's traffic: not those that were there before anybody counted.
    pub(super) is_begun: bool,
    ways: Ways,
    front_ports: Option<(u16, u16)>,
    left_at: BTreeMap<SocketAddr, Instant>,
}

/// What leads to which app.
#[derive(Debug, Default)]
struct Ways {
    ports: BTreeMap<u16, LegacyName>,
    names: BTreeMap<String, LegacyName>,
    labels: BTreeMap<String, LegacyName>,
}

impl Ways {
    fn of(table: &Table) -> Self {
        let mut ways = Ways::default();
        for row in &table.routes {
            let instance = &row.instance;
            ways.ports.insert(row.front_port, instance.clone());
            ways.labels.insert(row.host.to_string(), instance.clone());
            let names = row.options.hosts.iter();
            ways.names.extend(names.map(|name| (name.to_string(), instance.clone())));
        }
        ways
    }

    /// As lua/routes.lua looks it up; host names count at the edge's other listeners alone.
    fn to(&self, line: &Line<'_>, front_ports: Option<(u16, u16)>) -> Option<&LegacyName> {
        if let Some(instance) = self.ports.get(&line.port) {
            return Some(instance);
        }
        if front_ports.is_some_and(|(first, last)| (first..=last).contains(&line.port)) {
            return None;
        }
        let label = || line.host.split('.').next().unwrap_or_default();
        self.names.get(line.host).or_else(|| self.labels.get(label()))
    }
}

impl Tally {
    /// The edge serves this table from now on.
    pub(super) fn serves(&mut self, table: &Table, now: Instant) {
        self.ways = Ways::of(table);
        self.traffic.serves(table);
        for (address, replica) in &self.traffic.replicas {
            if replica.is_served {
                self.left_at.remove(address);
            } else {
                self.left_at.entry(*address).or_insert(now);
            }
        }
    }

    /// The first and the last of the ports that lead to one app each, or to none.
    pub(super) fn has_front_ports(&mut self, front_ports: Option<(u16, u16)>) {
        self.front_ports = front_ports;
    }

    /// Forgets the replicas that the edge does not name any more, and those that left long ago.
    pub(super) fn forget(&mut self, known: &BTreeMap<SocketAddr, u64>, now: Instant) {
        self.ends.retain(|address, _| known.contains_key(address));
        self.left_at.retain(|_, left_at| now.duration_since(*left_at) < KEPT_AFTER_LEAVING);
        self.traffic.forget(|address| !self.left_at.contains_key(address));
    }

    pub(super) fn add(&mut self, line: &[u8]) {
        let Some(line) = std::str::from_utf8(line).ok().and_then(Line::of) else { return };
        for address in line.tried() {
            *self.ends.entry(address).or_default() += 1;
        }
        let Some(answer) = line.answer.filter(|_| self.is_begun) else { return };
        let Some(instance) = self.ways.to(&line, self.front_ports) else { return };
        self.traffic.ended(instance, &answer, line.tried());
    }
}

/// One request, as nginx.conf words it: the time, the port it came to, the host that it named, its status, how many
/// seconds it took, bytes received and sent, and the replicas it was tried at.
#[derive(Debug)]
struct Line<'a> {
    port: u16,
    host: &'a str,
    /// None of a line of an edge that did not yet say all of it.
    answer: Option<Answer>,
    rest: &'a str,
}

impl<'a> Line<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let mut words = text.trim_end().splitn(7, ' ');
        words.next()?;
        let port = words.next()?.parse().ok()?;
        let host = words.next()?;
        let (status, took, received) = (words.next()?, words.next()?, words.next()?);
        let rest = words.next()?;
        let sent = rest.split(' ').next().unwrap_or_default();
        let answer = || {
            Some(Answer {
                status: status.parse().ok()?,
                took: seconds(took)?,
                received_bytes: received.parse().ok()?,
                sent_bytes: sent.parse().ok()?,
            })
        };
        Some(Line { port, host, answer: answer(), rest })
    }

    /// In the order of the tries, between commas and colons; nothing but `-` where there was none.
    fn tried(&self) -> impl Iterator<Item = SocketAddr> {
        self.rest.split([' ', ',']).filter_map(|word| word.parse().ok())
    }
}

/// Seconds with three decimals.
fn seconds(text: &str) -> Option<Duration> {
    let (seconds, milliseconds) = text.split_once('.')?;
    let milliseconds: u64 = milliseconds.parse().ok().filter(|_| milliseconds.len() == 3)?;
    Some(Duration::from_secs(seconds.parse().ok()?) + Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests;
