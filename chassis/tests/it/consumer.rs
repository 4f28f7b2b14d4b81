use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chassis::consumer::{Commands, ConsumerLoop, Disposition, Incoming};
use chassis::lifecycle::Lifecycle;
use chassis::service;
use common::message::{Reject, RejectCode, header};
use common::port::Bus as _;
use common::port::bus::{Offset, Record};
use common::service::ServiceName;
use common::topic::Topic;
use jiff::SignedDuration;
use testkit::{ManualClock, MemoryBus};

const TOPIC: Topic = Topic::DeploymentManager;

/// Notes the texts it was offered; fails the first `failures` offers.
#[derive(Default)]
struct Notebook {
    texts: Mutex<Vec<String>>,
    failures: Mutex<u32>,
}

#[async_trait]
impl Commands for Notebook {
    async fn accept(&self, message: Incoming) -> Result<Disposition, service::Error> {
        let mut failures = self.failures.lock().unwrap();
        if *failures > 0 {
            *failures -= 1;
            return Err("not now".into());
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
async fn what_is_older_than_the_platform_remembers_is_a_dead_letter() {
    let world = World::new().await;
    world.say("deploy app$a").await;
    world.clock.advance(SignedDuration::from_hours(9 * 24));
    world.live().await;
    assert!(world.notebook.texts.lock().unwrap().is_empty());
    assert_eq!(world.reasons().await, ["ENVELOPE_EXPIRED"]);
}
