//! `GET /api/v1/instances/{name}/logs`: what the replicas print, each line with its replica's number.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::{Bytes, Data, Path, Query};
use chassis::records;
use common::id::SlotNumber;
use common::name::{ContainerName, InstanceName, NodeName};
use common::port::containers::{self, Follow, LineStream};
use common::port::nodes::Agent;
use common::record::deployment::{Deployment, Slot};
use common::record::node::Node;
use common::record::path;
use futures::stream::{self, BoxStream, StreamExt as _};
use serde::Deserialize;
use tokio::time::{sleep, timeout};

use super::instances::one;
use super::problems::ApiError;
use super::request::instance_name;
use crate::commands::Error;
use crate::context::Context;
use crate::domain::access::{Action, Person};
use crate::records::instances;

const LONGEST_LINE: usize = 8 * 1024;
const MOST_LINES: usize = 10_000;
const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// How long an answer takes at most that does not follow, and one that does.
const READ_WITHIN: Duration = Duration::from_mins(1);
const FOLLOW_WITHIN: Duration = Duration::from_hours(1);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    #[serde(default = "some_lines")]
    tail: usize,
    #[serde(default)]
    follow: bool,
}

fn some_lines() -> usize {
    100
}

pub(super) async fn read(
    context: Data<Context>,
    person: Person,
    name: Path<String>,
    wish: Query<Wish>,
) -> Result<HttpResponse, ApiError> {
    let name = instance_name(&name)?;
    let instance = one(&context, &person, &name, Action::ReadLogs).await?;
    let Ok(reader) = Arc::clone(&context.reading).try_acquire_owned() else {
        return Err(Error::Busy.into());
    };
    let deployment = instances::deployment(context.ports.store.as_ref(), &name).await?;
    let tail = wish.tail.min(MOST_LINES);
    let (follow, within) =
        if wish.follow { (Follow::Yes, FOLLOW_WITHIN) } else { (Follow::No, READ_WITHIN) };
    let mut streams = Vec::new();
    if let (Some(deployment), Ok(name)) = (&deployment, name.as_str().parse::<InstanceName>()) {
        for (slot, node) in placed(deployment) {
            let container = ContainerName::new(&name, slot);
            let replica = Replica { slot, node, container };
            streams.push(replica.lines(&context, tail, follow).await?);
        }
    }
    if streams.is_empty() {
        let failures = [instance.failure, deployment.and_then(|deployment| deployment.failure)];
        let words = failures.into_iter().flatten().map(|failure| failure.output);
        let words = words.into_iter().find(|output| !output.is_empty()).unwrap_or_default();
        streams
            .push(stream::iter(words.into_iter().map(|word| line(None, word.as_bytes()))).boxed());
    }
    let lines: BoxStream<'static, Bytes> = match follow {
        Follow::Yes => stream::select_all(streams).boxed(),
        Follow::No => stream::iter(streams).flatten().boxed(),
    };
    let lines = lines.take_until(sleep(within)).map(move |line| {
        // The stream holds the place among the readers, and gives it back at its end.
        let _place = &reader;
        Ok::<Bytes, Infallible>(line)
    });
    Ok(HttpResponse::Ok()
        .content_type(ContentType::plaintext())
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(lines))
}

/// The replicas that have a place, by number; of two under one number, the one that was made last.
fn placed(deployment: &Deployment) -> Vec<(SlotNumber, NodeName)> {
    let mut slots: Vec<&Slot> = deployment.slots.iter().collect();
    slots.sort_by_key(|slot| (slot.number, std::cmp::Reverse(slot.generation)));
    slots.dedup_by_key(|slot| slot.number);
    let place = |slot: &&Slot| Some((slot.number, slot.place.as_ref()?.node.clone()));
    slots.iter().filter_map(place).collect()
}

/// A replica that has a place.
struct Replica {
    slot: SlotNumber,
    node: NodeName,
    container: ContainerName,
}

impl Replica {
    /// Its lines; if they cannot be had, one line says why.
    async fn lines(
        self,
        context: &Context,
        tail: usize,
        follow: Follow,
    ) -> Result<BoxStream<'static, Bytes>, ApiError> {
        let Replica { slot, node, container } = self;
        let path = path::node(&node);
        let stored = records::load::<Node>(context.ports.store.as_ref(), &path).await?;
        let Some(stored) = stored else {
            return Ok(missing(slot, &format!("node {node} is not known")));
        };
        let agent = Agent { node, address: stored.record.agent };
        let opened = context.ports.nodes.logs(&agent, &container, tail, follow);
        Ok(match timeout(OPEN_WITHIN, opened).await {
            Ok(Ok(lines)) => numbered(slot, lines),
            Ok(Err(err)) => missing(slot, &err.to_string()),
            Err(_) => missing(slot, &format!("node {} does not answer", agent.node)),
        })
    }
}

fn missing(slot: SlotNumber, why: &str) -> BoxStream<'static, Bytes> {
    let text = line(Some(slot), format!("(no output: {why})").as_bytes());
    stream::once(async { text }).boxed()
}

fn numbered(slot: SlotNumber, lines: LineStream) -> BoxStream<'static, Bytes> {
    let one = move |read: Result<Bytes, containers::Error>| match read {
        Ok(bytes) => line(Some(slot), &bytes),
        Err(err) => line(Some(slot), format!("(output broke off: {err})").as_bytes()),
    };
    lines.map(one).boxed()
}

/// A line as it is shown: harmless, not longer than is sensible, with its replica's number.
fn line(slot: Option<SlotNumber>, bytes: &[u8]) -> Bytes {
    let mut text = slot.map(|slot| format!("[{slot}] ")).unwrap_or_default();
    let end = bytes.len() - bytes.iter().rev().take_while(|byte| b"\r\n".contains(byte)).count();
    let cut = end.min(LONGEST_LINE);
    for letter in String::from_utf8_lossy(bytes.get(..cut).unwrap_or_default()).chars() {
        if is_harmful(letter) {
            text.push_str(&format!("\\u{:04x}", u32::from(letter)));
        } else {
            text.push(letter);
        }
    }
    if cut < end {
        text.push_str(" (cut)");
    }
    text.push('\n');
    Bytes::from(text)
}

/// What moves a cursor or turns text around.
fn is_harmful(letter: char) -> bool {
    letter.is_control() && letter != '\t'
        || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        String::from_utf8(line(Some(SlotNumber(2)), bytes).to_vec()).unwrap()
    }

    #[test]
    fn lines_carry_their_replica_and_nothing_that_acts() {
        assert_eq!(shown(b"hello\r\n"), "[2] hello\n");
        assert_eq!(shown(b"\x1b]0;x\x07<script>"), "[2] \\u001b]0;x\\u0007<script>\n");
        assert_eq!(shown(b"real\r\nfake"), "[2] real\\u000d\\u000afake\n");
        assert_eq!(shown("a\u{202e}b\tc".as_bytes()), "[2] a\\u202eb\tc\n");
        assert_eq!(shown(b"\xff"), "[2] \u{fffd}\n");
    }

    #[test]
    fn a_long_line_is_cut() {
        let long = shown(&vec![b'x'; 1 << 20]);
        assert_eq!(long.len(), "[2] ".len() + LONGEST_LINE + " (cut)\n".len());
        assert!(long.ends_with("x (cut)\n"));
    }
}
