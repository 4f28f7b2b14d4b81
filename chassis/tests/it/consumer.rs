use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chassis::consumer::{Commands, ConsumerLoop, Disposition, Incoming};
use chassis::lifecycle::Lifecycle;
use chassis::{records, service};
use common::message::{Reject, RejectCode, header};
use common::port::bus::{Header, Offset, Record};
use common::port::store::{Op, Path, Precondition};
use common::port::{Bus as _, Store as _};
use common::record::operation::Operation;
use common::service::ServiceName;
use common::topic::Topic;
use jiff::SignedDuration;
use testkit::bus::{Availability, FailureMode};
use testkit::{ManualClock, MemoryBus, MemoryStore};

const TOPIC: Topic = Topic::DeploymentManager;

/// Notes the texts it was offered; fails the first `failures` offers.
#[derive(Default)]
struct Notebook {
    texts: Mutex<Vec<String>>,
    failures: Mutex<u32>,
    takes: Duration,
}

/// A service's own error.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Records(#[from] records::Error),
}

/// What reading a record gives that is none.
async fn unreadable() -> Trouble {
    let store = MemoryStore::new();
    let path: Path = "/avishkar/deployments/00/damaged".parse().unwrap();
    let precondition = Precondition::Absent;
    let garbage = Op::Put { path: path.clone(), value: "garbage".into(), precondition };
    store.commit(vec![garbage]).await.unwrap();
    records::load::<Operation>(&store, &path).await.unwrap_err().into()
}

#[async_trait]
impl Commands for Notebook {
    async fn accept(&self, message: Incoming) -> Result<Disposition, service::Error> {
        tokio::time::sleep(self.takes).await;
        if self.fails() {
            return Err("not now".into());
        }
        if message.envelope.msg == "deploy app$damaged" {
            return Err(unreadable().await.into());
        }
        if message.envelope.msg == "refuse me" {
            let reject =
                Reject { code: RejectCode::UnknownKind, detail: "no such verb".to_owned() };
            return Ok(Disposition::Refused(reject));
        }
        self.texts.lock().unwrap().push(message.envelope.msg);
        Ok(Disposition::Done)
    }
}

impl Notebook {
    fn fails(&self) -> bool {
        let mut failures = self.failures.lock().unwrap();
        let left = failures.checked_sub(1);
        *failures = left.unwrap_or_default();
        left.is_some()
    }
}

struct World {
    bus: MemoryBus,
    clock: Arc<ManualClock>,
    notebook: Notebook,
}

impl World {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let world =
            World { bus: MemoryBus::new(clock.clone()), clock, notebook: Notebook::default() };
        world.bus.ensure_topics(&[TOPIC.into(), TOPIC.dead_letter()]).await.unwrap();
        world
    }

    async fn publish(&self, payload: &str) {
        let record = Record {
            key: None,
            headers: Vec::new(),
            payload: Bytes::copy_from_slice(payload.as_bytes()),
        };
        self.bus.publish(&TOPIC.into(), record).await.unwrap();
    }

    async fn say(&self, msg: &str) {
        let body = serde_json::json!({
            "to_topic": "DeploymentManager", "from_topic": "first_topic",
            "request_id": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "msg": msg,
        });
        self.publish(&body.to_string()).await;
    }

    /// Runs the loop for a minute of paused time: one process's life.
    async fn live(&self) {
        let lifecycle = Lifecycle::new();
        let service = ServiceName::DeploymentManager;
        let consumer = ConsumerLoop { bus: &self.bus, clock: &*self.clock, service, topic: TOPIC };
        let life = consumer.run(&self.notebook, &lifecycle);
        drop(tokio::time::timeout(Duration::from_mins(1), life).await);
    }

    async fn reasons(&self) -> Vec<String> {
        let topic = TOPIC.dead_letter();
        let end = self.bus.end(&topic).await.unwrap();
        let mut consumer = self.bus.read(&topic, Offset(0)).await.unwrap();
        let mut reasons = Vec::new();
        for _ in 0..end.0 {
            let letter = consumer.next().await.unwrap();
            let reason = letter.record.header(header::REASON).unwrap();
            reasons.push(String::from_utf8_lossy(reason).split(':').next().unwrap().to_owned());
        }
        reasons
    }
}

/// Runs the loop, and gives whether it was ever silent within ten minutes.
async fn is_ever_silent(world: &World) -> bool {
    let lifecycle = Lifecycle::new();
    let service = ServiceName::DeploymentManager;
    let consumer = ConsumerLoop { bus: &world.bus, clock: &*world.clock, service, topic: TOPIC };
    let watching = async {
        for _ in 0..600 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if !lifecycle.silent_loops().is_empty() {
                return true;
            }
        }
        false
    };
    tokio::select! {
        biased;
        () = consumer.run(&world.notebook, &lifecycle) => panic!("it ended"),
        silent = watching => silent,
    }
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_is_away_and_a_store_that_says_not_now_are_no_silence() {
    let mut world = World::new().await;
    assert!(!is_ever_silent(&world).await, "nothing is to do");
    world.bus.set_availability(Availability::Down);
    assert!(!is_ever_silent(&world).await, "the bus is away");
    world.bus.set_availability(Availability::Up);
    world.say("deploy app$a").await;
    // As long as a store that is away may take to say so, again and again.
    world.notebook = Notebook { takes: Duration::from_secs(50), ..Notebook::default() };
    *world.notebook.failures.lock().unwrap() = u32::MAX;
    assert!(!is_ever_silent(&world).await, "the store is away");
}

#[tokio::test(start_paused = true)]
async fn a_command_that_never_returns_makes_the_loop_silent() {
    let mut world = World::new().await;
    world.notebook = Notebook { takes: Duration::MAX, ..Notebook::default() };
    world.say("deploy app$a").await;
    assert!(is_ever_silent(&world).await);
}

#[tokio::test(start_paused = true)]
async fn what_was_done_is_not_offered_again_to_the_next_process() {
    let world = World::new().await;
    world.say("deploy app$a").await;
    world.live().await;
    world.say("deploy app$b").await;
    world.live().await;
    assert_eq!(*world.notebook.texts.lock().unwrap(), ["deploy app$a", "deploy app$b"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_recorded_now_is_offered_until_it_can() {
    let world = World::new().await;
    *world.notebook.failures.lock().unwrap() = 3;
    world.say("deploy app$a").await;
    world.say("deploy app$b").await;
    world.live().await;
    assert_eq!(*world.notebook.texts.lock().unwrap(), ["deploy app$a", "deploy app$b"]);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_can_read_becomes_a_dead_letter_and_delays_nobody() {
    let world = World::new().await;
    world.publish("not json").await;
    world.say("refuse me").await;
    world.say("deploy app$a").await;
    world.live().await;
    assert_eq!(*world.notebook.texts.lock().unwrap(), ["deploy app$a"]);
    assert_eq!(world.reasons().await, ["MSG_MALFORMED", "MSG_UNKNOWN_KIND"]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_small_enough_to_be_published_and_its_reason_is_ours() {
    let world = World::new().await;
    let header =
        |name: &str, size| Header { name: name.to_owned(), value: vec![b'x'; size].into() };
    let record = Record {
        key: Some("k".repeat(900_000)),
        headers: vec![header(header::REASON, 2), header("large", 900_000), header("small", 10)],
        payload: Bytes::from_static(b"not json"),
    };
    world.bus.inject_record(TOPIC, record);
    world.live().await;
    assert_eq!(world.reasons().await, ["MSG_MALFORMED"]);
    let mut consumer = world.bus.read(&TOPIC.dead_letter(), Offset(0)).await.unwrap();
    let letter = consumer.next().await.unwrap().record;
    assert_eq!(letter.key, None);
    assert_eq!(letter.header("small").map(<[u8]>::len), Some(10));
    assert_eq!(letter.headers.len(), 2);
}

/// The group's positions as time goes by, while each message takes its time.
async fn positions_in_a_backlog(count: usize, each: Duration, seconds: u64) -> BTreeSet<i64> {
    let mut world = World::new().await;
    world.notebook.takes = each;
    for number in 0..count {
        world.say(&format!("deploy app$a{number}")).await;
    }
    let mut seen = BTreeSet::new();
    let looking = async {
        loop {
            seen.extend(world.bus.position(TOPIC, "deployment-manager").map(|position| position.0));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        biased;
        () = world.live() => {}
        () = looking => {}
        () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn a_backlog_is_committed_at_its_end() {
    let seen = positions_in_a_backlog(400, Duration::from_millis(2), 10).await;
    assert_eq!(seen, BTreeSet::from([400]));
}

#[tokio::test(start_paused = true)]
async fn a_long_backlog_is_committed_every_second() {
    let seen = positions_in_a_backlog(1000, Duration::from_millis(10), 5).await;
    assert!((4..=5).contains(&seen.len()), "{seen:?}");
    assert!(seen.iter().all(|position| (90..=500).contains(position)), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_crash_left_uncommitted_is_offered_again() {
    let mut world = World::new().await;
    world.notebook.takes = Duration::from_millis(400);
    for name in ["a", "b"] {
        world.say(&format!("deploy app${name}")).await;
    }
    drop(tokio::time::timeout(Duration::from_millis(500), world.live()).await);
    assert_eq!(*world.notebook.texts.lock().unwrap(), ["deploy app$a"]);
    assert_eq!(world.bus.position(TOPIC, "deployment-manager"), None);
    world.live().await;
    let offered = ["deploy app$a", "deploy app$a", "deploy app$b"];
    assert_eq!(*world.notebook.texts.lock().unwrap(), offered);
}

#[tokio::test(start_paused = true)]
async fn a_message_about_a_record_that_is_not_readable_delays_nobody() {
    let world = World::new().await;
    world.say("deploy app$damaged").await;
    world.say("deploy app$b").await;
    world.live().await;
    assert_eq!(*world.notebook.texts.lock().unwrap(), ["deploy app$b"]);
    assert_eq!(world.reasons().await, ["INTERNAL"]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_the_bus_does_not_take_is_not_forgotten() {
    let world = World::new().await;
    world.publish("not json").await;
    world.say("deploy app$a").await;
    world.bus.fail_next_publishes(3, FailureMode::Refused);
    world.live().await;
    assert_eq!(world.reasons().await, ["MSG_MALFORMED"]);
    assert_eq!(*world.notebook.texts.lock().unwrap(), ["deploy app$a"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_older_than_the_platform_remembers_is_a_dead_letter() {
    let world = World::new().await;
    world.say("deploy app$a").await;
    world.clock.advance(SignedDuration::from_hours(9 * 24));
    world.live().await;
    assert!(world.notebook.texts.lock().unwrap().is_empty());
    assert_eq!(world.reasons().await, ["ENVELOPE_EXPIRED"]);
}
