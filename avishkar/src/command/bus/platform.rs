//! By way of the platform's HTTP interface, whatever its bus is.

use std::time::Duration;

use anyhow::Context as _;
use common::id::RequestId;
use common::port::bus::Offset;
use common::topic::{Topic, TopicName};
use futures::StreamExt as _;
use reqwest::{Method, Response};
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use super::{Begin, Line};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;

/// The platform shows within 15 s that it goes on; without three of those signs it is gone.
const SIGN_WITHIN: Duration = Duration::from_secs(45);
const OPEN_WITHIN: Duration = Duration::from_secs(30);
/// Before an answer that ended is asked for anew.
const PAUSE: Duration = Duration::from_secs(1);
/// More than the largest record takes, every letter of it escaped.
const LONGEST_LINE: usize = 8 * 1024 * 1024;
/// The header with the offset at which an answer begins.
const OFFSET: &str = "x-offset";

#[derive(Debug, Serialize)]
struct Message<'a> {
    to_topic: Topic,
    msg: &'a str,
}

#[derive(Debug, Serialize, Deserialize)]
struct Sent {
    topic: Topic,
    request_id: RequestId,
    offset: Offset,
}

pub(super) async fn send(
    client: &Client,
    topic: Topic,
    msg: String,
    output: Output,
) -> anyhow::Result<()> {
    let message = Message { to_topic: topic, msg: &msg };
    let sent: Sent = client.post("/api/v1/messages", &message).await?;
    output.answer(&sent, &format!("sent to {topic} as request {}", sent.request_id))
}

/// Goes on for ever: an answer that ends, as each does once in a while, is asked for anew from where
/// it ended. A platform that cannot be asked any more is a failure.
pub(super) async fn tail(
    client: &Client,
    topic: &TopicName,
    from: Begin,
    output: Output,
) -> anyhow::Result<()> {
    let mut begin = match from {
        Begin::Start => "start".to_owned(),
        Begin::End => "end".to_owned(),
    };
    loop {
        let path = format!("/api/v1/messages/{topic}?from={begin}");
        let request = client.request(Method::GET, &path)?;
        let opened = timeout(OPEN_WITHIN, client.open(request)).await;
        let response = opened.map_err(|_| Failure::TimedOut {
            what: format!("reading {topic}"),
            hint: "is the platform busy? try again in a moment".to_owned(),
        })??;
        let mut next = first(&response)?;
        follow(response, &mut next, output).await?;
        begin = next.0.to_string();
        sleep(PAUSE).await;
    }
}

fn first(response: &Response) -> anyhow::Result<Offset> {
    let value = response.headers().get(OFFSET).and_then(|value| value.to_str().ok());
    let offset = value.and_then(|value| value.parse().ok()).map(Offset);
    offset.context("the platform's answer does not say where it begins")
}

/// Shows lines until the answer ends or breaks off; `next` is the offset after the last one.
async fn follow(response: Response, next: &mut Offset, output: Output) -> anyhow::Result<()> {
    let mut pieces = response.bytes_stream();
    let mut pending = Vec::new();
    while let Ok(Some(Ok(piece))) = timeout(SIGN_WITHIN, pieces.next()).await {
        pending.extend_from_slice(&piece);
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            if line.len() > 1 {
                let line: Line<'_> = serde_json::from_slice(&line)
                    .context("the platform's answer is not what it should be")?;
                line.show(output)?;
                *next = line.offset.next();
            }
        }
        anyhow::ensure!(pending.len() < LONGEST_LINE, "the platform's answer has no end of a line");
    }
    Ok(())
}
