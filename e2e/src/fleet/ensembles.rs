//! Whether the ensembles of a fleet are whole: each member takes part, and has what the others have.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::Fleet;

/// Where a `ZooKeeper` is told of the others.
const ZOOKEEPER_CONFIG: &str = "/etc/avishkar/zoo.cfg";
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What one broker knows of all of them.
#[derive(Debug, Default)]
struct Copies {
    /// How many brokers take part.
    brokers: usize,
    partitions: Vec<Partition>,
}

/// Which brokers should have a partition, and which have all of it.
#[derive(Debug)]
struct Partition {
    /// `<topic>/<number>`.
    name: String,
    wanted: Vec<i32>,
    in_sync: Vec<i32>,
}

impl Fleet {
    pub(super) async fn ensembles_are_whole(&self) -> anyhow::Result<()> {
        let machines = self.machines_with("zookeeper").await?;
        let first = machines.first().context("no machine has a part zookeeper")?;
        let config = first.file_of("zookeeper", ZOOKEEPER_CONFIG).await?;
        let mut modes = Vec::new();
        for machine in &machines {
            modes.push(mode(&machine.says(2181, b"srvr").await?));
        }
        is_one(members(&config), &modes)?;

        let machines = self.machines_with("kafka").await?;
        let addresses: Vec<String> =
            machines.iter().map(|machine| format!("{}:9092", machine.address)).collect();
        are_copied(machines.len(), &copies(addresses.join(",")).await?)
    }
}

/// How many an ensemble has, by the configuration of one of them; one alone has nobody to be told of.
fn members(config: &str) -> usize {
    config.lines().filter(|line| line.starts_with("server.")).count().max(1)
}

/// What a `ZooKeeper` is to the others, by its word; one that still follows nobody says nothing of it.
fn mode(said: &str) -> String {
    let found = said.lines().find_map(|line| line.strip_prefix("Mode: "));
    found.unwrap_or("no member").to_owned()
}

/// One leads, and all others follow.
fn is_one(members: usize, modes: &[String]) -> anyhow::Result<()> {
    let count = |wanted: &str| modes.iter().filter(|mode| *mode == wanted).count();
    let is_whole = match members {
        1 => count("standalone") == 1,
        more => count("leader") == 1 && count("follower") + 1 == more,
    };
    ensure!(is_whole, "{members} ZooKeepers should be one ensemble, and say {modes:?}");
    Ok(())
}

/// Every broker takes part, and has the whole of what it should have a copy of.
fn are_copied(brokers: usize, copies: &Copies) -> anyhow::Result<()> {
    let known = copies.brokers;
    ensure!(known == brokers, "{known} of {brokers} brokers take part");
    ensure!(!copies.partitions.is_empty(), "Kafka has no topic");
    let mut behind = copies.partitions.iter().filter(|one| one.in_sync.len() < one.wanted.len());
    if let Some(Partition { name, wanted, in_sync }) = behind.next() {
        let others = behind.count();
        anyhow::bail!("only {in_sync:?} of {wanted:?} have {name}, and {others} others are so");
    }
    Ok(())
}

async fn copies(addresses: String) -> anyhow::Result<Copies> {
    #[expect(clippy::disallowed_methods, reason = "the library's calls block")]
    let asked = tokio::task::spawn_blocking(move || {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", addresses);
        // A new client each time: it asks a broker, and remembers nothing.
        let client: BaseConsumer = config.create()?;
        let found = client.fetch_metadata(None, ANSWER_WITHIN)?;
        let mut copies = Copies { brokers: found.brokers().len(), partitions: Vec::new() };
        for topic in found.topics() {
            copies.partitions.extend(topic.partitions().iter().map(|partition| Partition {
                name: format!("{}/{}", topic.name(), partition.id()),
                wanted: partition.replicas().to_vec(),
                in_sync: partition.isr().to_vec(),
            }));
        }
        anyhow::Ok(copies)
    });
    asked.await?
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;

    use super::*;

    fn one_of(members: usize, modes: &[&str]) -> bool {
        let modes: Vec<String> = modes.iter().map(|mode| (*mode).to_owned()).collect();
        is_one(members, &modes).is_ok()
    }

    #[test]
    fn zookeepers_are_one_ensemble_when_all_that_there_should_be_follow_one() {
        assert!(one_of(3, &["follower", "leader", "follower"]));
        assert!(one_of(1, &["standalone"]));
        assert!(!one_of(3, &["leader", "follower"]), "one has no part any more");
        assert!(!one_of(3, &["leader", "follower", "no member"]));
        assert!(!one_of(3, &["leader", "leader", "follower"]));
        assert!(!one_of(3, &["follower", "follower", "follower"]));
        let config = "tickTime=500\nserver.1=192.0.2.11:2888:3888\nserver.2=192.0.2.12:2888:3888\n";
        assert_eq!((members(config), members("tickTime=500\n")), (2, 1));
        assert_eq!(mode("Zookeeper version: 3\nMode: leader\nNode count: 5\n"), "leader");
        assert_eq!(
            mode("This ZooKeeper instance is not currently serving requests\n"),
            "no member"
        );
    }

    fn partition(in_sync: &[i32]) -> Partition {
        Partition {
            name: "first_topic/0".to_owned(),
            wanted: vec![1, 2, 3],
            in_sync: in_sync.into(),
        }
    }

    #[test]
    fn a_broker_that_is_away_or_has_not_caught_up_is_seen() {
        let of = |brokers, last: &[i32]| {
            let copies =
                Copies { brokers, partitions: vec![partition(&[3, 1, 2]), partition(last)] };
            are_copied(3, &copies)
        };
        assert!(of(3, &[1, 2, 3]).is_ok());
        let behind = of(3, &[1, 3]).unwrap_err().to_string();
        assert!(behind.contains("[1, 3] of [1, 2, 3] have first_topic/0"), "{behind}");
        assert!(of(3, &[]).is_err());
        assert!(of(2, &[1, 2, 3]).is_err());
        assert!(are_copied(3, &Copies { brokers: 3, ..Copies::default() }).is_err());
    }

    #[tokio::test]
    async fn who_has_which_copy_is_asked_of_the_brokers() {
        let cluster = MockCluster::new(3).unwrap();
        cluster.create_topic("first_topic", 1, 3).unwrap();
        let found = copies(cluster.bootstrap_servers()).await.unwrap();
        are_copied(3, &found).unwrap();
        assert!(are_copied(4, &found).is_err(), "{found:?}");
        let [partition] = found.partitions.as_slice() else { panic!("{found:?}") };
        assert_eq!((partition.name.as_str(), partition.wanted.len()), ("first_topic/0", 3));
    }
}
