//! `GET /api/v1/messages/{topic}`: what travels on the bus, as it comes, a JSON object a line.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data, Path, Query};
use chassis::http::Refusal;
use common::message::header;
use common::port::Bus;
use common::port::bus::{Consumer, Delivery, Error as BusError, Offset};
use common::topic::TopicName;
use futures::stream;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::commands::Error;
use crate::context::Context;
use crate::domain::access::Person;
use crate::http::problems::ApiError;

const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// After this long without a record an empty line is written: whoever is gone is noticed then.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How long one answer goes on at most. Whoever wants more asks again, from where it ended.
const READ_WITHIN: Duration = Duration::from_hours(1);
const RETRY: Duration = Duration::from_secs(1);
/// The header that says which record would have been the first.
const OFFSET: &str = "x-offset";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Wish {
    #[serde(default)]
    from: Begin,
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "String")]
enum Begin {
    /// The oldest record that is kept.
    Start,
    /// The next record that comes.
    #[default]
    End,
    At(Offset),
}

impl TryFrom<String> for Begin {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        match text.as_str() {
            "start" => Ok(Begin::Start),
            "end" => Ok(Begin::End),
            number => match number.parse() {
                Ok(offset) if offset >= 0 => Ok(Begin::At(Offset(offset))),
                Ok(_) | Err(_) => Err("from is start, end or an offset"),
            },
        }
    }
}

pub(in crate::http) async fn read(
    context: Data<Context>,
    person: Person,
    topic: Path<String>,
    wish: Query<Wish>,
) -> Result<HttpResponse, ApiError> {
    let topic: TopicName = topic.parse().map_err(|_| Error::TopicUnknown)?;
    let Ok(place) = Arc::clone(&context.watching).try_acquire_owned() else {
        return Err(Error::Busy.into());
    };
    let opening = open(context.ports.bus.as_ref(), &topic, wish.from);
    let opened = timeout(OPEN_WITHIN, opened_or_away(opening)).await;
    let (offset, consumer) = opened.map_err(|_| away())??;
    tracing::info!(user = %person.name, topic = %topic, "a topic is read by hand");
    let until = Instant::now() + READ_WITHIN;
    let reader = Reader { consumer, until, stopping: context.stopping.clone(), _place: place };
    let lines = stream::unfold(reader, |mut reader| async {
        let line = reader.next().await?;
        Some((Ok::<Bytes, Infallible>(line), reader))
    });
    Ok(HttpResponse::Ok()
        .content_type("application/x-ndjson")
        .insert_header((OFFSET, offset.0.to_string()))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(lines))
}

async fn opened_or_away<T>(
    opening: impl Future<Output = Result<T, BusError>>,
) -> Result<T, ApiError> {
    opening.await.map_err(|_| away())
}

fn away() -> ApiError {
    ApiError::new(Refusal::unavailable("BUS_UNAVAILABLE", "the bus does not answer").0)
}

async fn open(
    bus: &dyn Bus,
    topic: &TopicName,
    from: Begin,
) -> Result<(Offset, Box<dyn Consumer>), BusError> {
    let offset = match from {
        Begin::Start => Offset(0),
        Begin::End => bus.end(topic).await?,
        Begin::At(offset) => offset,
    };
    Ok((offset, bus.read(topic, offset).await?))
}

/// Reads a topic until the time is over, or the service stops.
struct Reader {
    consumer: Box<dyn Consumer>,
    until: Instant,
    stopping: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Reader {
    /// The next line; none at the end. A bus that is away for a while is waited for.
    async fn next(&mut self) -> Option<Bytes> {
        let heartbeat = Instant::now() + HEARTBEAT;
        loop {
            let read = tokio::select! {
                biased;
                () = self.stopping.cancelled() => return None,
                () = sleep_until(self.until) => return None,
                () = sleep_until(heartbeat) => return Some(Bytes::from_static(b"\n")),
                read = self.consumer.next() => read,
            };
            match read {
                Ok(delivery) => return Some(line(&delivery)),
                Err(err) if err.is_retryable() => sleep(RETRY).await,
                Err(_) => return None,
            }
        }
    }
}

/// A record as it is shown.
#[derive(Serialize)]
struct Line<'a> {
    offset: Offset,
    at: Timestamp,
    key: Option<&'a str>,
    payload: Cow<'a, str>,
    details: Option<Cow<'a, str>>,
    /// Why it is a dead letter.
    reason: Option<Cow<'a, str>>,
}

fn line(delivery: &Delivery) -> Bytes {
    let Delivery { offset, timestamp, record } = delivery;
    let header = |name| record.header(name).map(String::from_utf8_lossy);
    let line = Line {
        offset: *offset,
        at: *timestamp,
        key: record.key.as_deref(),
        payload: String::from_utf8_lossy(&record.payload),
        details: header(header::DETAILS),
        reason: header(header::REASON),
    };
    let mut bytes = serde_json::to_vec(&line).expect("a line is numbers and texts");
    bytes.push(b'\n');
    bytes.into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use common::port::bus::{Header, Record};
    use common::topic::Topic;
    use testkit::bus::Availability;
    use testkit::{ManualClock, MemoryBus};
    use tokio::sync::Semaphore;

    use super::*;

    const TOPIC: Topic = Topic::FirstTopic;

    fn bus() -> MemoryBus {
        MemoryBus::new(Arc::new(ManualClock::default())).with_topics()
    }

    fn say(bus: &MemoryBus, payload: &[u8]) {
        let payload = Bytes::copy_from_slice(payload);
        bus.inject_record(TOPIC, Record { key: None, headers: Vec::new(), payload });
    }

    async fn reader(bus: &MemoryBus, from: Begin) -> Reader {
        let (_, consumer) = open(bus, &TOPIC.into(), from).await.unwrap();
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let until = Instant::now() + READ_WITHIN;
        Reader { consumer, until, stopping: CancellationToken::new(), _place: place }
    }

    #[test]
    fn reading_begins_at_the_start_the_end_or_an_offset() {
        let from = |text: &str| Begin::try_from(text.to_owned());
        assert_eq!(from("start"), Ok(Begin::Start));
        assert_eq!(from("end"), Ok(Begin::End));
        assert_eq!(from("17"), Ok(Begin::At(Offset(17))));
        for wrong in ["", "-1", "End", "1.5", "99999999999999999999"] {
            assert!(from(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_line_is_one_line_whatever_the_record_holds() {
        let header = |name: &str, value: &'static [u8]| Header {
            name: name.to_owned(),
            value: Bytes::from_static(value),
        };
        let record = Record {
            key: Some("shop".to_owned()),
            headers: vec![header(header::REASON, b"MSG_MALFORMED: x")],
            payload: Bytes::from_static(b"a\n\"b\"\x1b\xff"),
        };
        let timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let shown = line(&Delivery { offset: Offset(7), timestamp, record });
        let expected = r#"{"offset":7,"at":"2026-01-01T00:00:00Z","key":"shop","payload":"a\n\"b\"\u001b�","details":null,"reason":"MSG_MALFORMED: x"}"#;
        assert_eq!(String::from_utf8_lossy(&shown), format!("{expected}\n"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_topic_shows_that_it_is_read() {
        let bus = bus();
        let mut reader = reader(&bus, Begin::End).await;
        for _ in 0..3 {
            let before = Instant::now();
            assert_eq!(reader.next().await.unwrap(), "\n");
            assert_eq!(before.elapsed(), HEARTBEAT);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_bus_that_is_away_is_waited_for_without_falling_silent() {
        let bus = bus();
        let mut reader = reader(&bus, Begin::End).await;
        bus.set_availability(Availability::Down);
        assert_eq!(reader.next().await.unwrap(), "\n");
        bus.set_availability(Availability::Up);
        say(&bus, b"back");
        let read = reader.next().await.unwrap();
        assert!(String::from_utf8_lossy(&read).contains("back"));
    }

    #[tokio::test(start_paused = true)]
    async fn reading_ends_after_its_time_and_when_the_service_stops() {
        let bus = bus();
        let mut late = reader(&bus, Begin::Start).await;
        late.until = Instant::now();
        say(&bus, b"unread");
        assert_eq!(late.next().await, None);
        let mut stopped = reader(&bus, Begin::End).await;
        let stopping = stopped.stopping.clone();
        let (read, ()) = tokio::join!(stopped.next(), async { stopping.cancel() });
        assert_eq!(read, None);
    }
}
