//! What becomes of records that a service refuses: the dead letter, the counter, the position.

use std::time::Duration;

use adapters::kafka::{KafkaBus, KafkaSettings};
use anyhow::{Context as _, ensure};
use common::message::header;
use common::port::Bus as _;
use common::port::bus::{Consumer, MAX_PAYLOAD};
use common::service::ServiceName;
use common::topic::Topic;
use tokio::time::{Instant, timeout};

use crate::foreign::{BROKERS, Foreign, Sent, position};
use crate::wait;

/// How long a refusal may take.
const TOLD_WITHIN: Duration = Duration::from_secs(2);
/// How long the position may lag behind it.
const MOVED_WITHIN: Duration = Duration::from_secs(1);

/// One topic, its reader, and its dead letters from now on.
pub struct DeadLetters {
    topic: Topic,
    service: ServiceName,
    letters: Box<dyn Consumer>,
    foreign: Foreign,
    /// Where the last record stands that was sent here.
    last: i64,
}

impl DeadLetters {
    pub async fn of(topic: Topic) -> anyhow::Result<Self> {
        let service = reader(topic).context("no service reads the topic")?;
        let bus = KafkaBus::connect(&KafkaSettings::new("127.0.0.1:9092", "avishkar-e2e"))?;
        let from = bus.end(&topic.dead_letter()).await?;
        let letters = bus.read(&topic.dead_letter(), from).await?;
        Ok(DeadLetters { topic, service, letters, foreign: Foreign::connect()?, last: 0 })
    }

    /// Sends a record that must be refused; returns the reason that its dead letter gives, all of it.
    pub async fn reason(&mut self, sent: &Sent) -> anyhow::Result<String> {
        self.last = self.foreign.send(self.topic, sent).await?;
        let published = Instant::now();
        let kept = sent.payload.get(..MAX_PAYLOAD).unwrap_or(&sent.payload);
        let letter = async {
            loop {
                let letter = self.letters.next().await?;
                if letter.record.payload == kept {
                    return anyhow::Ok(letter);
                }
            }
        };
        let letter =
            timeout(TOLD_WITHIN, letter).await.context("no dead letter came in time")??;
        ensure!(published.elapsed() <= TOLD_WITHIN, "it took {:?}", published.elapsed());
        let reasons = letter.record.headers.iter().filter(|one| one.name == header::REASON);
        let reasons: Vec<_> = reasons.collect();
        ensure!(reasons.len() == 1, "{} reasons are given", reasons.len());
        let reason = reasons.first().context("no reason is given")?;
        Ok(String::from_utf8(reason.value.to_vec())?)
    }

    /// Sends a record that need not be refused.
    pub async fn send(&mut self, sent: &Sent) -> anyhow::Result<()> {
        self.last = self.foreign.send(self.topic, sent).await?;
        Ok(())
    }

    /// The service has gone past everything that was sent here.
    pub async fn passed(&self) -> anyhow::Result<()> {
        let moved = async || {
            let position = position(BROKERS, self.service, self.topic).await?;
            ensure!(position > self.last, "it stands at {position}, before {}", self.last);
            Ok(())
        };
        wait::until(&format!("{} moves on", self.service), MOVED_WITHIN, moved).await
    }

    /// How many dead letters the service has counted, of all codes.
    pub async fn counted(&self) -> anyhow::Result<u64> {
        let port = port(self.service).context("the service has no plain listener")?;
        let url = format!("http://127.0.0.1:{port}/metrics");
        let text = reqwest::get(url).await?.text().await?;
        let lines = text.lines().filter(|line| line.starts_with("consumer_dead_letters_total{"));
        let counts = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        Ok(counts.sum())
    }
}

impl std::fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetters").field("topic", &self.topic).finish_non_exhaustive()
    }
}

fn reader(topic: Topic) -> Option<ServiceName> {
    match topic {
        Topic::DeploymentManager => Some(ServiceName::DeploymentManager),
        Topic::NodeManager => Some(ServiceName::NodeManager),
        Topic::LoadBalancer => Some(ServiceName::LoadBalancer),
        Topic::FirstTopic => Some(ServiceName::AppManager),
        Topic::Bootstrapper | Topic::Scheduler | Topic::LifecycleManager => None,
    }
}

fn port(service: ServiceName) -> Option<u16> {
    let services = crate::cluster::SERVICES;
    services.iter().find(|(name, _)| *name == service.as_str()).map(|(_, port)| *port)
}
