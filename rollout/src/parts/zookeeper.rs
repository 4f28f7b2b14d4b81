//! ZooKeeper: one alone, or one of three.

use std::fmt::Write as _;
use std::net::SocketAddr;

use common::port::part::{Member, PartFile, PartHealth, PartSpec};

use super::site::{ENSEMBLE_STARTS, Incomplete, Site, ZOOKEEPER, own, turn};
use crate::platform::Component;

/// Between the servers of an ensemble: for the leader's followers, and for electing one.
pub(super) const FOLLOW: u16 = 2888;
pub(super) const ELECT: u16 = 3888;
const CONFIG: &str = "/etc/avishkar/zoo.cfg";

/// Half a second a tick: sessions may be as short as the platform's.
const COMMON: &str = "\
tickTime=500
initLimit=20
syncLimit=10
minSessionTimeout=1000
maxSessionTimeout=60000
dataDir=/data/zookeeper
admin.enableServer=false
4lw.commands.whitelist=srvr,ruok,mntr
maxClientCnxns=0
autopurge.purgeInterval=1
";

pub fn zookeeper(site: &Site<'_>) -> Result<PartSpec, Incomplete> {
    let servers = &site.platform.placement.zookeeper;
    let number = site.number("zookeeper", servers)?;
    let mut config = COMMON.to_owned();
    let address = site.address()?;
    lines(
        &mut config,
        &[format!("clientPort={ZOOKEEPER}"), format!("clientPortAddress={address}")],
    );
    if servers.len() > 1 {
        for (id, node) in (1..).zip(servers) {
            let at = SocketAddr::new(site.address_of(node)?, FOLLOW);
            lines(&mut config, &[format!("server.{id}={at}:{ELECT}")]);
        }
    }
    let image = site.named(Component::KafkaZookeeper)?;
    Ok(PartSpec {
        command: vec!["zookeeper".to_owned()],
        environment: [
            ("ZOOKEEPER_CONFIG".to_owned(), CONFIG.to_owned()),
            ("ZOOKEEPER_ID".to_owned(), number.to_string()),
        ]
        .into(),
        files: vec![PartFile { path: CONFIG.to_owned(), content: config }],
        volumes: vec![own("zookeeper", "/data")],
        health: Some(PartHealth { ensemble: site.ensemble(servers)?, ..health(number) }),
        ..site.part("zookeeper", image, 512)
    })
}

/// Whether it is there at all, which it answers without the others, too; and whether it serves.
fn health(number: usize) -> PartHealth {
    PartHealth {
        says: b"ruok".to_vec(),
        turn: turn(number),
        start_seconds: ENSEMBLE_STARTS,
        member: Some(Member::ZooKeeper),
        ..PartHealth::listens(ZOOKEEPER)
    }
}

pub(super) fn lines(text: &mut String, lines: &[String]) {
    for line in lines {
        writeln!(text, "{line}").expect("a text takes everything");
    }
}
