//! What the lines of the edge's access log add up to: how often requests ended at each replica, and what was asked of
//! each app.
//!
//! A line does not name its app: the edge would have to look it up again for every request. What a front port, or a host
//! name, leads to is known here from the table that the edge serves.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use common::name::LegacyName;
use common::port::edge::{Answer, Table, Traffic};
use tokio::time::Instant;

/// How long what is known of a replica is kept after it has left: longer than its last requests may take to end.
const KEPT_AFTER_LEAVING: Duration = Duration::from_mins(15);
/// How many are remembered at a time: more than there are ways to replicas.
const MOST_MEANINGS: usize = 8192;
/// How many bytes of a line are remembered: more than a host name and the tries of a request have.
const MOST_WORDS: usize = 512;

/// All lines so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) ends: BTreeMap<SocketAddr, u64>,
    pub(super) traffic: Traffic,
    /// Whether lines are somebody's traffic: not those that were there before anybody counted.
    pub(super) is_begun: bool,
    ways: Ways,
    meanings: Meanings,
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
    fn to(&self, port: u16, host: &[u8], front_ports: Option<(u16, u16)>) -> Option<&LegacyName> {
        if let Some(instance) = self.ports.get(&port) {
            return Some(instance);
        }
        if front_ports.is_some_and(|(first, last)| (first..=last).contains(&port)) {
            return None;
        }
        let host = std::str::from_utf8(host).ok()?;
        let label = || host.split('.').next().unwrap_or_default();
        self.names.get(host).or_else(|| self.labels.get(label()))
    }
}

impl Tally {
    /// The edge serves this table from now on.
    pub(super) fn serves(&mut self, table: &Table, now: Instant) {
        self.ways = Ways::of(table);
        self.meanings.forget();
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
        if self.front_ports != front_ports {
            self.front_ports = front_ports;
            self.meanings.forget();
        }
    }

    /// Forgets the replicas that the edge does not name any more, and those that left long ago.
    pub(super) fn forget(&mut self, known: &BTreeMap<SocketAddr, u64>, now: Instant) {
        self.ends.retain(|address, _| known.contains_key(address));
        self.left_at.retain(|_, left_at| now.duration_since(*left_at) < KEPT_AFTER_LEAVING);
        self.traffic.forget(|address| !self.left_at.contains_key(address));
    }

    pub(super) fn add(&mut self, line: &[u8]) {
        let Some(line) = Line::of(line) else { return };
        let Some(meaning) = self.meanings.of(&line, &self.ways, self.front_ports) else { return };
        for address in &meaning.tried {
            *self.ends.entry(*address).or_default() += 1;
        }
        let Some(answer) = line.answer.filter(|_| self.is_begun) else { return };
        let Some(instance) = &meaning.instance else { return };
        self.traffic.ended(instance, &answer, meaning.tried.iter().copied());
    }
}

/// What lines mean, by those of their words of which there are few: tens of thousands of lines a second have the same.
#[derive(Debug, Default)]
struct Meanings {
    places: HashMap<Vec<u8>, usize>,
    known: Vec<Meaning>,
    /// The words of the line at hand; here, so that no line needs memory of its own.
    words: Vec<u8>,
    /// Of the line at hand, where its words are too many to be remembered.
    unusual: Option<Meaning>,
}

#[derive(Debug)]
struct Meaning {
    instance: Option<LegacyName>,
    /// In the order of the tries.
    tried: Vec<SocketAddr>,
}

impl Meanings {
    fn forget(&mut self) {
        self.places.clear();
        self.known.clear();
    }

    fn of(
        &mut self,
        line: &Line<'_>,
        ways: &Ways,
        front_ports: Option<(u16, u16)>,
    ) -> Option<&Meaning> {
        self.words.clear();
        for word in [&line.port.to_le_bytes(), line.host, b" ", line.tried] {
            self.words.extend_from_slice(word);
        }
        let meaning = || Meaning {
            instance: ways.to(line.port, line.host, front_ports).cloned(),
            tried: line.tried().collect(),
        };
        // Visitors say what host they like, and at what length.
        if self.words.len() > MOST_WORDS {
            self.words = Vec::new();
            return Some(self.unusual.insert(meaning()));
        }
        let place = if let Some(place) = self.places.get(&self.words) {
            *place
        } else {
            if self.known.len() >= MOST_MEANINGS {
                self.forget();
            }
            self.known.push(meaning());
            self.places.insert(self.words.clone(), self.known.len() - 1);
            self.known.len() - 1
        };
        self.known.get(place)
    }
}

/// One request, as nginx.conf words it: the time, the port it came to, the host that it named, its status, how many
/// seconds it took, bytes received and sent, and the replicas it was tried at.
#[derive(Debug)]
struct Line<'a> {
    port: u16,
    host: &'a [u8],
    /// None of a line of an edge that did not yet say all of it.
    answer: Option<Answer>,
    /// Where the replicas stand.
    tried: &'a [u8],
}

impl<'a> Line<'a> {
    fn of(text: &'a [u8]) -> Option<Self> {
        let mut words = text.trim_ascii_end().splitn(7, |byte| *byte == b' ');
        words.next()?;
        let port = u16::try_from(number(words.next()?)?).ok()?;
        let host = words.next()?;
        let (status, took, received) = (words.next()?, words.next()?, words.next()?);
        let rest = words.next()?;
        let mut last = rest.splitn(2, |byte| *byte == b' ');
        let (sent, tried) = (last.next()?, last.next().unwrap_or_default());
        let answer = || {
            Some(Answer {
                status: u16::try_from(number(status)?).ok()?,
                took: seconds(took)?,
                received_bytes: number(received)?,
                sent_bytes: number(sent)?,
            })
        };
        let tried = if number(sent).is_some() { tried } else { rest };
        Some(Line { port, host, answer: answer(), tried })
    }

    /// In the order of the tries, between commas and colons; nothing but `-` where there was none.
    fn tried(&self) -> impl Iterator<Item = SocketAddr> {
        let words = self.tried.split(|byte| matches!(byte, b' ' | b','));
        words.filter_map(|word| std::str::from_utf8(word).ok()?.parse().ok())
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    // As many as always fit.
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    digits.iter().try_fold(0, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'))
    })
}

/// Seconds with three decimals.
fn seconds(text: &[u8]) -> Option<Duration> {
    let (seconds, milliseconds) = text.split_at_checked(text.len().checked_sub(4)?)?;
    let milliseconds = milliseconds.strip_prefix(b".")?;
    Some(Duration::from_secs(number(seconds)?) + Duration::from_millis(number(milliseconds)?))
}

#[cfg(test)]
mod tests;
