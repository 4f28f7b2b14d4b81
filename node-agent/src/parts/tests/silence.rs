//! Parts that run and answer nothing, looked at over real connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const AFTER: Duration = Duration::from_secs(1);

/// A process that listens, and answers as long as it is awake.
struct Process {
    port: u16,
    awake: Arc<AtomicBool>,
    /// How often it was asked while it hung.
    unanswered: Arc<AtomicUsize>,
}

impl Process {
    #[expect(clippy::disallowed_methods, reason = "it goes on beside the agent, as a process does")]
    async fn start(answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let awake = Arc::new(AtomicBool::new(true));
        let unanswered = Arc::new(AtomicUsize::new(0));
        let (is_awake, asked) = (Arc::clone(&awake), Arc::clone(&unanswered));
        tokio::spawn(async move {
            let mut held = Vec::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if is_awake.load(Ordering::SeqCst) {
                    tokio::spawn(say(stream, answer));
                } else {
                    asked.fetch_add(1, Ordering::SeqCst);
                    held.push(stream);
                }
            }
        });
        Process { port, awake, unanswered }
    }

    fn wakes(&self) {
        self.awake.store(true, Ordering::SeqCst);
    }

    /// As ZooKeeper is asked.
    fn health(&self) -> PartHealth {
        PartHealth { says: b"ruok".to_vec(), ..PartHealth::listens(self.port) }
    }

    fn hangs(&self) {
        self.awake.store(false, Ordering::SeqCst);
    }
}

async fn say(mut stream: TcpStream, answer: &'static [u8]) {
    let asked = stream.read(&mut [0; 1024]).await.unwrap_or_default();
    if asked > 0 {
        drop(stream.write_all(answer).await);
    }
}

fn named(machine: &Machine, name: &str, health: PartHealth) -> PartSpec {
    PartSpec { name: name.parse().unwrap(), health: Some(health), ..machine.spec() }
}

async fn until(what: &str, so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect(what);
}

async fn health(parts: &Parts, spec: &PartSpec) -> Option<bool> {
    let all = parts.list().await.unwrap();
    all.iter().find(|part| part.name == spec.name).and_then(|part| part.healthy)
}

#[tokio::test]
async fn a_part_that_hangs_is_started_again_and_one_that_is_not_ready_is_left_alone() {
    let machine = Machine { restart_after: AFTER, ..Machine::new() };
    let asked = Process::start(b"imok").await;
    let unready =
        Process::start(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").await;
    let hanging = named(&machine, "zookeeper", asked.health());
    let path = Some("/readyz".to_owned());
    let waiting =
        named(&machine, "monitoring", PartHealth { path, ..PartHealth::listens(unready.port) });
    machine
        .with_agent(async |parts| {
            parts.ensure(ISSUER, &waiting).await.unwrap();
            parts.ensure(ISSUER, &hanging).await.unwrap();
            until("it answers", async || health(parts, &hanging).await == Some(true)).await;
            asked.hangs();
            let again = async || machine.engine.starts(&hanging.name) == 2;
            until("it is started again", again).await;
            let list = parts.list().await.unwrap();
            let restarts: Vec<u32> = list.iter().map(|part| part.restarts).collect();
            assert_eq!(restarts, [0, 1], "{list:?}");
            assert_eq!(health(parts, &waiting).await, Some(false));
            assert_eq!(machine.engine.starts(&waiting.name), 1);
        })
        .await;
}

#[tokio::test]
async fn one_that_could_not_be_ended_is_tried_again_and_not_given_longer() {
    let machine = Machine { restart_after: AFTER, ..Machine::new() };
    let process = Process::start(b"imok").await;
    let spec = named(&machine, "zookeeper", process.health());
    machine.engine.fail_to_end_once(&spec.name);
    machine
        .with_agent(async |parts| {
            parts.ensure(ISSUER, &spec).await.unwrap();
            until("it answers", async || health(parts, &spec).await == Some(true)).await;
            process.hangs();
            let again = async || machine.engine.starts(&spec.name) == 2;
            until("it is started again", again).await;
        })
        .await;
}

#[tokio::test]
async fn where_all_are_silent_none_is_ended_until_one_answers_again() {
    // Longer than it takes until all of them are found silent.
    let machine = Machine { restart_after: AFTER * 6, ..Machine::new() };
    let mut all = Vec::new();
    for name in ["kafka", "registry", "zookeeper"] {
        let process = Process::start(b"imok").await;
        all.push((named(&machine, name, process.health()), process));
    }
    let starts = || all.iter().map(|(spec, _)| machine.engine.starts(&spec.name));
    machine
        .with_agent(async |parts| {
            for (spec, _) in &all {
                parts.ensure(ISSUER, spec).await.unwrap();
                until("it answers", async || health(parts, spec).await == Some(true)).await;
            }
            for (_, process) in &all {
                process.hangs();
            }
            let asked = |process: &Process| process.unanswered.load(Ordering::SeqCst);
            let often = async || all.iter().all(|(_, process)| asked(process) >= 5);
            until("they are silent for long", often).await;
            assert!(starts().eq([1, 1, 1]), "it may be the agent who does not hear");
            all[0].1.wakes();
            until("the others are started again", async || starts().eq([1, 2, 2])).await;
        })
        .await;
}
