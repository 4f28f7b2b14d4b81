//! What crashes interrupt: many writers at once, each told what is durable. And what must be there
//! afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use adapters::{EmbeddedBus, EmbeddedStore};
use bytes::Bytes;
use common::port::bus::{Offset, Record};
use common::port::store::{Lifetime, Op, Precondition, Version};
use common::port::{Bus, Store};
use futures::future::join_all;
use tokio::time::timeout;

use super::seed::Choices;
use super::{ephemeral, path, topic, within};

const PUBLISHERS: u64 = 6;
const CLIENTS: u64 = 4;
const GROUP: &str = "group";
/// A record that is there is read sooner.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Something that was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ack {
    /// The record at the offset is the publisher's `number`th of the round.
    Record { offset: i64, round: u64, publisher: u64, number: u64 },
    /// The group's position.
    Position(i64),
    /// The client's `number`th transaction of all rounds.
    Transaction { client: u64, number: i64 },
}

impl Ack {
    pub(super) fn to_line(self) -> String {
        match self {
            Ack::Record { offset, round, publisher, number } => {
                format!("r {offset} {round} {publisher} {number}\n")
            }
            Ack::Position(position) => format!("p {position}\n"),
            Ack::Transaction { client, number } => format!("t {client} {number}\n"),
        }
    }

    /// None if the line says nothing of the kind, or not to its end.
    pub(super) fn of_line(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.strip_suffix('\n')?.split(' ').collect();
        let [kind, numbers @ ..] = words.as_slice() else { return None };
        let numbers: Vec<i64> =
            numbers.iter().map(|number| number.parse()).collect::<Result<_, _>>().ok()?;
        let unsigned = |number: i64| u64::try_from(number).ok();
        match (*kind, numbers.as_slice()) {
            ("r", &[offset, round, publisher, number]) => Some(Ack::Record {
                offset,
                round: unsigned(round)?,
                publisher: unsigned(publisher)?,
                number: unsigned(number)?,
            }),
            ("p", &[position]) => Some(Ack::Position(position)),
            ("t", &[client, number]) => {
                Some(Ack::Transaction { client: unsigned(client)?, number })
            }
            _ => None,
        }
    }
}

/// Writes until everything fails.
pub(super) async fn write(
    bus: &EmbeddedBus,
    store: &EmbeddedStore,
    round: u64,
    told: &impl Fn(Ack),
) {
    let publishing = async {
        if bus.ensure_topics(&[topic()]).await.is_ok() {
            let publishers = (0..PUBLISHERS).map(|publisher| publish(bus, round, publisher, told));
            tokio::join!(join_all(publishers), consume(bus, told));
        }
    };
    let clients = (0..CLIENTS).map(|client| commit(store, client, told));
    tokio::join!(publishing, join_all(clients));
}

/// The payload says what it is, in a length that only it has: half of it is none.
fn payload(round: u64, publisher: u64, number: u64) -> Bytes {
    let mut choices = Choices::new(round ^ (publisher << 32) ^ (number << 40));
    let mut payload = format!("{round} {publisher} {number} ").into_bytes();
    let length = if choices.below(20) == 0 { 40_000 } else { choices.index(2_000) };
    payload.extend((0..length / 8).flat_map(|_| choices.next().to_le_bytes()));
    payload.into()
}

async fn publish(bus: &EmbeddedBus, round: u64, publisher: u64, told: &impl Fn(Ack)) {
    for number in 0.. {
        let payload = payload(round, publisher, number);
        let record = Record { key: Some(publisher.to_string()), headers: Vec::new(), payload };
        let Ok(Offset(offset)) = bus.publish(&topic(), record).await else { return };
        told(Ack::Record { offset, round, publisher, number });
    }
}

async fn consume(bus: &EmbeddedBus, told: &impl Fn(Ack)) {
    let Ok(mut consumer) = bus.consume(&topic(), GROUP).await else { return };
    while let Ok(delivery) = consumer.next().await {
        let position = delivery.offset.next();
        if consumer.commit(position).await.is_err() {
            return;
        }
        told(Ack::Position(position.0));
    }
}

/// Each transaction makes a pair, a number in the queue, and counts itself.
async fn commit(store: &EmbeddedStore, client: u64, told: &impl Fn(Ack)) {
    let counter = path(&format!("/count/{client}"));
    let Ok(entry) = store.get(&counter).await else { return };
    let mut count = entry.map_or(0, |entry| entry.version.0 + 1);
    if store.commit(vec![ephemeral(&format!("/alive/{client}"))]).await.is_err() {
        return;
    }
    loop {
        let make = |at: String, value: Bytes| Op::Put {
            path: path(&at),
            value,
            precondition: Precondition::Absent,
        };
        let number = count;
        let precondition = match number {
            0 => Precondition::Absent,
            _ => Precondition::Version(Version(number - 1)),
        };
        let ops = vec![
            make(format!("/pairs/{client}-{number}/one"), value(client, number)),
            Op::PutSequential {
                path: path("/queue/n-"),
                value: Bytes::new(),
                lifetime: Lifetime::Persistent,
            },
            Op::Put { path: counter.clone(), value: Bytes::new(), precondition },
            make(format!("/pairs/{client}-{number}/two"), value(client, number)),
        ];
        if store.commit(ops).await.is_err() {
            return;
        }
        told(Ack::Transaction { client, number });
        count += 1;
    }
}

fn value(client: u64, number: i64) -> Bytes {
    payload(client, u64::MAX, number.unsigned_abs())
}

/// What is durable: what was acknowledged, and what was found since.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// By offset: round, publisher, number.
    records: BTreeMap<i64, (u64, u64, u64)>,
    position: i64,
    /// By client: how many transactions.
    transactions: BTreeMap<u64, i64>,
    /// How many crashes there were since it was looked at. Before each of them, one call of each
    /// writer may have been done that nobody was told of.
    crashes: i64,
    acknowledged: usize,
}

impl Expected {
    pub(super) fn note(&mut self, ack: Ack) {
        self.acknowledged += 1;
        match ack {
            Ack::Record { offset, round, publisher, number } => {
                let record = (round, publisher, number);
                assert_eq!(self.records.insert(offset, record), None, "offset {offset} twice");
            }
            Ack::Position(position) => self.position = position,
            Ack::Transaction { client, number } => {
                self.transactions.insert(client, number + 1);
            }
        }
    }

    pub(super) fn note_crash(&mut self) {
        self.crashes += 1;
    }

    /// Everything that was acknowledged is there, and everything that is there is whole.
    pub(super) async fn check(&mut self, bus: &EmbeddedBus, store: &EmbeddedStore) {
        self.check_records(bus).await;
        self.check_position(bus).await;
        self.check_transactions(store).await;
        self.crashes = 0;
    }

    async fn check_records(&mut self, bus: &EmbeddedBus) {
        bus.ensure_topics(&[topic()]).await.unwrap();
        let Offset(end) = bus.end(&topic()).await.unwrap();
        let last = self.records.last_key_value().map_or(0, |(offset, _)| offset + 1);
        assert!(end >= last, "the log ends at {end}, before {last}");
        let mut reader = bus.read(&topic(), Offset(0)).await.unwrap();
        let mut numbers = BTreeMap::<(u64, u64), u64>::new();
        for offset in 0..end {
            let delivery = within(reader.next()).await.unwrap();
            assert_eq!(delivery.offset, Offset(offset), "no record is left out");
            let said = said(&delivery.record.payload);
            let (round, publisher, number) = said;
            assert!(
                delivery.record.payload == payload(round, publisher, number),
                "record {offset} is {said:?} but not whole"
            );
            let next = numbers.entry((round, publisher)).or_default();
            assert_eq!(number, *next, "of {round} {publisher} at {offset}");
            *next += 1;
            let durable = self.records.entry(offset).or_insert(said);
            assert_eq!(said, *durable, "at {offset}");
        }
    }

    async fn check_position(&mut self, bus: &EmbeddedBus) {
        if bus.end(&topic()).await.unwrap().0 > self.position {
            let mut consumer = bus.consume(&topic(), GROUP).await.unwrap();
            // None if what was not told of has brought it to the end.
            let next = timeout(AT_ONCE, consumer.next()).await.map(|next| next.unwrap().offset.0);
            let end = bus.end(&topic()).await.unwrap().0;
            let position = next.unwrap_or(end);
            let expected = self.position..=self.position + self.crashes;
            assert!(expected.contains(&position), "position {position}, not {expected:?}");
            self.position = position;
        }
    }

    async fn check_transactions(&mut self, store: &EmbeddedStore) {
        assert!(store.children(&path("/alive")).await.unwrap().is_empty(), "nobody lives any more");
        let mut total = 0;
        for client in 0..CLIENTS {
            let counter = store.get(&path(&format!("/count/{client}"))).await.unwrap();
            let count = counter.map_or(0, |entry| entry.version.0 + 1);
            let told = self.transactions.insert(client, count).unwrap_or_default();
            let expected = told..=told + self.crashes;
            assert!(
                expected.contains(&count),
                "{count} transactions of {client}, not {expected:?}"
            );
            for number in 0..count {
                for half in ["one", "two"] {
                    let at = path(&format!("/pairs/{client}-{number}/{half}"));
                    let entry = store.get(&at).await.unwrap().expect("each half is there");
                    assert!(entry.value == value(client, number), "{at} is not whole");
                }
            }
            total += usize::try_from(count).unwrap();
        }
        assert_eq!(store.children(&path("/pairs")).await.unwrap().len(), total);
        let queue = store.children(&path("/queue")).await.unwrap();
        assert_eq!(queue.len(), total);
        assert_eq!(queue.iter().collect::<BTreeSet<_>>().len(), total);
    }

    /// How many acknowledgements there were.
    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged
    }
}

/// What a payload says that it is.
fn said(payload: &[u8]) -> (u64, u64, u64) {
    let mut words = payload.splitn(4, |byte| *byte == b' ');
    let mut number = || {
        let word = words.next().expect("a payload has three numbers");
        std::str::from_utf8(word).unwrap().parse::<u64>().unwrap()
    };
    (number(), number(), number())
}
