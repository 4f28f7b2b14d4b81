//! Records that become durable in a second: the embedded bus beside Kafka.

use std::sync::Arc;
use std::time::Duration;

use adapters::embedded::{Folder, Retention};
use adapters::{EmbeddedBus, KafkaBus, KafkaSettings};
use async_trait::async_trait;
use bytes::Bytes;
use chassis::system::SystemClock;
use common::port::Bus;
use common::port::bus::Record;
use common::topic::{Topic, TopicName};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;

use crate::durable::{self, AT_ONCE, ROUND, ROUNDS, SIZE, Side};
use crate::figure::{Figure, Goal, median};

const GOAL: Goal = Goal::AtLeast(5000.0);
/// Before the names of topics: as Kafka is used by the platform, and where it syncs as well.
const PLAIN: &str = "avishkar-bench-plain-";
const SYNCED: &str = "avishkar-bench-synced-";
const WITHIN: Duration = Duration::from_secs(20);

/// Kafka acknowledges what the system has, not the disk; so it is measured in both ways.
pub(crate) async fn measure(kafka: &str) -> anyhow::Result<Figure> {
    clear(kafka).await?;
    let place = durable::folder_on_the_engines_disk().await?;
    let folder = Folder::open(place.path())?;
    let own = EmbeddedBus::open(&folder, Arc::new(SystemClock), Retention::default())?;
    let embedded = Writers::new("bus: embedded", own.clone()).await?;
    let plain = Writers::new("bus: Kafka", connect(kafka, PLAIN)?).await?;
    make_synced(kafka).await?;
    let synced = Writers::new("bus: Kafka, syncing", connect(kafka, SYNCED)?).await?;
    let [embedded, plain, synced] =
        durable::in_turns(place.path(), [&embedded, &plain, &synced]).await?;
    own.close().await?;
    let pairs: Vec<(f64, f64)> = embedded.iter().copied().zip(plain).collect();
    let ratios: Vec<f64> = embedded.iter().zip(&synced).map(|(own, other)| own / other).collect();
    let note = format!(
        "{ROUNDS} rounds of {} s, {AT_ONCE} records of {SIZE} bytes at once; over Kafka that syncs \
         before it answers ({:.0}): {:.2}",
        ROUND.as_secs(),
        median(&synced),
        median(&ratios),
    );
    Ok(Figure::of_value_beside("embedded_bus_records_per_s", &pairs, GOAL).with_note(note))
}

/// Publishes to one topic.
struct Writers<B> {
    name: &'static str,
    bus: B,
}

impl<B: Bus> Writers<B> {
    async fn new(name: &'static str, bus: B) -> anyhow::Result<Self> {
        bus.ensure_topics(&[topic()]).await?;
        Ok(Writers { name, bus })
    }
}

#[async_trait]
impl<B: Bus> Side for Writers<B> {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn write(&self, writer: usize) -> anyhow::Result<()> {
        let payload = Bytes::from_static(&[b'x'; SIZE]);
        let record = Record { key: Some(writer.to_string()), headers: Vec::new(), payload };
        self.bus.publish(&topic(), record).await?;
        Ok(())
    }
}

fn topic() -> TopicName {
    Topic::DeploymentManager.into()
}

fn connect(kafka: &str, prefix: &str) -> anyhow::Result<KafkaBus> {
    let settings = KafkaSettings::new(kafka, "avishkar-bench");
    Ok(KafkaBus::connect(&KafkaSettings { topic_prefix: prefix.to_owned(), ..settings })?)
}

fn admin(kafka: &str) -> anyhow::Result<(AdminClient<DefaultClientContext>, AdminOptions)> {
    let admin = ClientConfig::new().set("bootstrap.servers", kafka).create()?;
    let options = AdminOptions::new().operation_timeout(Some(WITHIN)).request_timeout(Some(WITHIN));
    Ok((admin, options))
}

async fn make_synced(kafka: &str) -> anyhow::Result<()> {
    let (admin, options) = admin(kafka)?;
    let name = format!("{SYNCED}{}", topic());
    let topic = NewTopic::new(&name, 1, TopicReplication::Fixed(1)).set("flush.messages", "1");
    for made in admin.create_topics([&topic], &options).await? {
        made.map_err(|(name, code)| anyhow::anyhow!("{name} cannot be made: {code}"))?;
    }
    Ok(())
}

/// Removes the topics of this run, or of one that was killed.
pub(crate) async fn clear(kafka: &str) -> anyhow::Result<()> {
    let (admin, options) = admin(kafka)?;
    let names = [PLAIN, SYNCED].map(|prefix| format!("{prefix}{}", topic()));
    let names = [names[0].as_str(), names[1].as_str()];
    for removed in admin.delete_topics(&names, &options).await? {
        match removed {
            Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
            Err((name, code)) => anyhow::bail!("{name} cannot be removed: {code}"),
        }
    }
    Ok(())
}
