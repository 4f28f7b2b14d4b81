//! Kafka as its own controller: one alone, or one of three, each broker and controller at once.

use std::net::SocketAddr;

use common::port::part::{Member, PartFile, PartHealth, PartSpec};

use super::site::{ENSEMBLE_STARTS, Incomplete, KAFKA, Site, own, turn};
use super::zookeeper::lines;
use crate::platform::Component;

pub(super) const CONTROLLER: u16 = 9094;
const CONFIG: &str = "/etc/avishkar/server.properties";

/// A request of Kafka's protocol: which requests it takes. Of length 10: its key, version 0, a number, and nobody's name.
const WHICH_VERSIONS: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];

/// A broker that is silent for so long is replaced as leader: well below the platform's own patience.
const COMMON: &str = "\
process.roles=broker,controller
listener.security.protocol.map=NODES:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=NODES
controller.listener.names=CONTROLLER
log.dirs=/data/kafka
auto.create.topics.enable=false
offsets.topic.num.partitions=8
group.initial.rebalance.delay.ms=0
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
log.retention.hours=168
log.cleaner.dedupe.buffer.size=16777216
";

pub fn kafka(site: &Site<'_>) -> Result<PartSpec, Incomplete> {
    let brokers = &site.platform.placement.kafka;
    let number = site.number("kafka", brokers)?;
    let voters: Result<Vec<String>, Incomplete> = (1..)
        .zip(brokers)
        .map(|(id, node)| {
            let at = SocketAddr::new(site.address_of(node)?, CONTROLLER);
            Ok(format!("{id}@{at}"))
        })
        .collect();
    let (own_address, controller) = (site.at(KAFKA)?, site.at(CONTROLLER)?);
    let mut config = COMMON.to_owned();
    lines(
        &mut config,
        &[
            format!("node.id={number}"),
            format!("controller.quorum.voters={}", voters?.join(",")),
            format!("listeners=NODES://{own_address},CONTROLLER://{controller}"),
            format!("advertised.listeners=NODES://{own_address}"),
        ],
    );
    copies(&mut config, brokers.len());
    let image = site.named(Component::KafkaZookeeper)?;
    Ok(PartSpec {
        command: vec!["kafka".to_owned()],
        environment: [("KAFKA_CONFIG".to_owned(), CONFIG.to_owned())].into(),
        files: vec![PartFile { path: CONFIG.to_owned(), content: config }],
        volumes: vec![own("kafka", "/data")],
        health: Some(PartHealth { ensemble: site.ensemble(brokers)?, ..health(number) }),
        stop_seconds: 60,
        ..site.part("kafka", image, 1024)
    })
}

/// Once it has begun it answers so without the others, too, and is asked whether it is in step with them; to begin it waits
/// for most of them, and reads its log.
fn health(number: usize) -> PartHealth {
    PartHealth {
        says: WHICH_VERSIONS.to_vec(),
        turn: turn(number),
        start_seconds: ENSEMBLE_STARTS,
        member: i32::try_from(number).ok().map(|id| Member::Kafka { id }),
        ..PartHealth::listens(KAFKA)
    }
}

/// As many copies of everything as there are brokers; of three, two must have what is acknowledged.
fn copies(config: &mut String, brokers: usize) {
    let least = brokers.div_ceil(2);
    let copies = [
        "default.replication.factor",
        "offsets.topic.replication.factor",
        "transaction.state.log.replication.factor",
        "share.coordinator.state.topic.replication.factor",
    ];
    let minima = [
        "min.insync.replicas",
        "transaction.state.log.min.isr",
        "share.coordinator.state.topic.min.isr",
    ];
    let copies = copies.map(|key| format!("{key}={brokers}"));
    let minima = minima.map(|key| format!("{key}={least}"));
    lines(config, &copies);
    lines(config, &minima);
}
