//! `avishkar bus send|tail`: messages by hand, by way of the platform, or as any Kafka client could.

mod direct;
mod platform;

use std::borrow::Cow;

use common::port::bus::Offset;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cli::{Bus, Way};
use crate::client::Client;
use crate::output::Output;

/// `client` is made only where the platform is spoken with: Kafka asks nobody to sign in.
pub(crate) async fn run(
    args: Bus,
    client: impl FnOnce() -> anyhow::Result<Client>,
    output: Output,
) -> anyhow::Result<()> {
    match args {
        Bus::Send { topic, msg, way: Way { brokers: Some(brokers) } } => {
            direct::send(topic, msg, &brokers, output).await
        }
        Bus::Send { topic, msg, way: Way { brokers: None } } => {
            platform::send(&client()?, topic, msg, output).await
        }
        Bus::Tail { topic, from_start, way } => {
            let from = if from_start { Begin::Start } else { Begin::End };
            match way.brokers {
                Some(brokers) => direct::tail(&topic, from, &brokers, output).await,
                None => platform::tail(&client()?, &topic, from, output).await,
            }
        }
    }
}

/// Where a topic is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    Start,
    End,
}

/// A record as it is shown, and as the platform shows it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Line<'a> {
    offset: Offset,
    at: Timestamp,
    #[serde(default)]
    key: Option<Cow<'a, str>>,
    payload: Cow<'a, str>,
    #[serde(default)]
    details: Option<Cow<'a, str>>,
    /// Why it is a dead letter.
    #[serde(default)]
    reason: Option<Cow<'a, str>>,
}

impl Line<'_> {
    fn show(&self, output: Output) -> anyhow::Result<()> {
        if output.is_json() {
            return Output::line(&serde_json::to_string(self)?);
        }
        let reason = self.reason.iter().map(|reason| format!(" ({reason})"));
        let words = format!("{} {}{}", self.at, self.payload, reason.collect::<String>());
        Output::line(&words.chars().filter(|letter| !letter.is_control()).collect::<String>())
    }
}
