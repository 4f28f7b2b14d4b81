//! Flaws of positions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use common::port::Bus as _;
use common::port::bus::{Consumer, Error, Offset};
use common::topic::{Topic, TopicName};
use testkit::MemoryBus;
use testkit::contract::bus::World;

use super::super::Planted;
use super::flaw::Flaw;
use super::planted as plant;
use super::reading::{Committing, Gated, HandedOut, Never, Seeking};

pub(super) fn planted() -> Vec<Planted<dyn World>> {
    let begin = "positions::begin_at_the_beginning";
    let committed = "positions::that_are_committed_are_where_the_next_consumer_starts";
    let own = "positions::of_a_reader_are_its_own";
    let late = "it happens in time";
    vec![
        plant(begin, late, || BeginsAtTheEnd),
        plant(begin, late, ResumesWithoutACommit::default),
        plant(committed, "the position is where it starts", || Commits(|_| None)),
        plant(committed, "the position is where it starts", || Commits(|to| Some(to.next()))),
        plant(committed, "the position is where it starts", || KeepsTheFirstCommit),
        plant(committed, "all is done", || ForgetsACommitAtTheEnd),
        plant(
            "positions::that_are_not_committed_are_read_again",
            "what is not done is read again",
            || CommitsWhatItHandsOut,
        ),
        plant(
            "positions::of_a_consumer_are_not_moved_by_its_commit",
            "it reads on where it was",
            || SeeksWhereItCommits,
        ),
        plant(
            "positions::of_two_groups_are_independent",
            "the other group is at the beginning",
            || OnePositionForAllGroups,
        ),
        plant(
            "positions::of_two_topics_are_independent",
            "the group is new to the other topic",
            OnePositionForAllTopics::default,
        ),
        plant("positions::need_no_membership", late, ServesTheNewestOnly::default),
        plant("positions::need_no_membership", late, WaitsForTheOldToLeave::default),
        plant(own, "where it was told to begin", || ReadsFromTheBeginning),
        plant(own, "the position is committed", || RefusesCommitsOfReaders),
        plant(own, "a reader commits nothing", || CommitsForReaders),
        plant("positions::that_are_no_more_mean_the_beginning", late, || WaitsForWhatIsNoMore),
        plant("positions::outlive_the_process", "the position is still there", || ForgetsPositions),
    ]
}

type Consuming = Result<Box<dyn Consumer>, Error>;

/// Consumes from a position that nobody committed.
async fn consume_from(bus: &MemoryBus, topic: &TopicName, group: &str, at: Offset) -> Consuming {
    bus.consume(topic, group).await?.commit(at).await?;
    bus.consume(topic, group).await
}

#[derive(Debug)]
struct BeginsAtTheEnd;

#[async_trait]
impl Flaw for BeginsAtTheEnd {
    async fn consume(&self, bus: &MemoryBus, topic: &TopicName, group: &str) -> Consuming {
        let end = bus.end(topic).await?;
        let at = bus.position(topic.clone(), group).unwrap_or(end);
        consume_from(bus, topic, group, at).await
    }
}

/// A group that has only looked is taken for one that has read all.
#[derive(Debug, Default)]
struct ResumesWithoutACommit {
    seen: Mutex<BTreeSet<String>>,
}

#[async_trait]
impl Flaw for ResumesWithoutACommit {
    async fn consume(&self, bus: &MemoryBus, topic: &TopicName, group: &str) -> Consuming {
        let is_new = self.seen.lock().unwrap().insert(group.to_owned());
        if is_new || bus.position(topic.clone(), group).is_some() {
            return bus.consume(topic, group).await;
        }
        consume_from(bus, topic, group, bus.end(topic).await?).await
    }
}

/// Commits something else, or nothing.
#[derive(Debug)]
struct Commits(fn(Offset) -> Option<Offset>);

#[async_trait]
impl Flaw for Commits {
    async fn consume(&self, bus: &MemoryBus, topic: &TopicName, group: &str) -> Consuming {
        Ok(Committing::boxed(bus.consume(topic, group).await?, self.0))
    }
}

#[derive(Debug)]
struct KeepsTheFirstCommit;

#[async_trait]
impl Flaw for KeepsTheFirstCommit {
    async fn consume(&self, bus: &MemoryBus, topic: &TopicName, group: &str) -> Consuming {
        let mut left = 1;
        let commit = move |position| {
            left -= 1;
            (left == 0).then_some(position)
        };
        Ok(Committing::boxed(bus.consume(topic, group).await?, commit))
    }
}

#[derive(Debug)]
struct ForgetsACommitAtTheEnd;

#[async_trait]
impl Flaw for ForgetsACommitAtTheEnd {
    async fn consume(&self, bus: &MemoryBus, topic: &TopicName, group: &str) -> Consuming {
        if bus.position(topic.clone(), group) == Some(bus.end(topic).await?) {
            bus.forget_position(topic.clone(), group);
        }
        bus.consume(topic, group).await
    }
}

#[derive(Debug)]
struct CommitsWhatItHandsOut;

#[async_trait]
impl Flaw for CommitsWhatItHandsOut {
    async fn consume(&self, bus: &MemoryBus, topic: &TopicName, group: &str) -> Consuming {
        Ok(Box::new(HandedOut::new(bus.consume(topic, group).await?)))
    }
}

#[derive(Debug)]
struct SeeksWhereItCommits;

#[async_trait]
impl Flaw for SeeksWhereItCommits {
    async fn consume(&self, bus: &MemoryBus, topic: &TopicName, group: &str) -> Consuming {
        let inner = bus.consume(topic, group).await?;
        let (bus, topic, group) = (bus.clone(), topic.clone(), group.to_owned());
        Ok(Box::new(Seeking { inner, bus, topic, group }))
    }
}

#[derive(Debug)]
struct OnePositionForAllGroups;

#[async_trait]
impl Flaw for OnePositionForAllGroups {
    async fn consume(&self, bus: &MemoryBus, topic: &TopicName, _group: &str) -> Consuming {
        bus.consume(topic, "all").await
    }
}

#[derive(Debug, Default)]
struct OnePositionForAllTopics {
    committed: Arc<Mutex<BTreeMap<String, Offset>>>,
}

#[async_trait]
impl Flaw for OnePositionForAllTopics {
    async fn consume(&self, bus: &MemoryBus, topic: &TopicName, group: &str) -> Consuming {
        let committed = self.committed.lock().unwrap().get(group).copied();
        let inner = match committed {
            Some(at) => consume_from(bus, topic, group, at).await?,
            None => bus.consume(topic, group).await?,
        };
        let (committed, group) = (Arc::clone(&self.committed), group.to_owned());
        let commit = move |position| {
            committed.lock().unwrap().insert(group.clone(), position);
            Some(position)
        };
        Ok(Committing::boxed(inner, commit))
    }
}

/// Whoever comes later takes the topic away from those before.
#[derive(Debug, Default)]
struct ServesTheNewestOnly {
    newest: Arc<AtomicU64>,
}

#[async_trait]
impl Flaw for ServesTheNewestOnly {
    async fn consume(&self, bus: &MemoryBus, topic: &TopicName, group: &str) -> Consuming {
        let inner = bus.consume(topic, group).await?;
        let newest = Arc::clone(&self.newest);
        let own = newest.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Gated::boxed(inner, move || newest.load(Ordering::Relaxed) == own))
    }
}

/// As with a membership that the predecessor has to give up.
#[derive(Debug, Default)]
struct WaitsForTheOldToLeave {
    members: Mutex<BTreeMap<String, Arc<()>>>,
}

#[async_trait]
impl Flaw for WaitsForTheOldToLeave {
    async fn consume(&self, bus: &MemoryBus, topic: &TopicName, group: &str) -> Consuming {
        let inner = bus.consume(topic, group).await?;
        let own = Arc::new(());
        let old = self.members.lock().unwrap().insert(group.to_owned(), Arc::clone(&own));
        // Known to the bus, to its consumer and, once there is a successor, to that one.
        let may_read = move || {
            let _member = &own;
            old.as_ref().is_none_or(|old| Arc::strong_count(old) == 1)
        };
        Ok(Gated::boxed(inner, may_read))
    }
}

#[derive(Debug)]
struct ReadsFromTheBeginning;

#[async_trait]
impl Flaw for ReadsFromTheBeginning {
    async fn read(&self, bus: &MemoryBus, topic: &TopicName, _from: Offset) -> Consuming {
        bus.read(topic, Offset(0)).await
    }
}

#[derive(Debug)]
struct RefusesCommitsOfReaders;

#[async_trait]
impl Flaw for RefusesCommitsOfReaders {
    async fn read(&self, bus: &MemoryBus, topic: &TopicName, from: Offset) -> Consuming {
        Ok(Committing::refusing(bus.read(topic, from).await?))
    }
}

#[derive(Debug)]
struct CommitsForReaders;

#[async_trait]
impl Flaw for CommitsForReaders {
    async fn read(&self, bus: &MemoryBus, topic: &TopicName, from: Offset) -> Consuming {
        consume_from(bus, topic, "group", from).await
    }
}

#[derive(Debug)]
struct WaitsForWhatIsNoMore;

#[async_trait]
impl Flaw for WaitsForWhatIsNoMore {
    async fn consume(&self, bus: &MemoryBus, topic: &TopicName, group: &str) -> Consuming {
        if bus.position(topic.clone(), group) > Some(bus.end(topic).await?) {
            return Ok(Box::new(Never));
        }
        bus.consume(topic, group).await
    }
}

#[derive(Debug)]
struct ForgetsPositions;

#[async_trait]
impl Flaw for ForgetsPositions {
    async fn restart(&self, bus: &MemoryBus) {
        bus.forget_position(Topic::DeploymentManager, "group");
    }
}
