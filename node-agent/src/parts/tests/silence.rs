//! Parts that run and answer nothing, looked at over real connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use chassis::http;
use chassis::service::{self, Service};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::look::Heard;
use crate::parts::health::is_idleness_shared;

pub(super) const AFTER: Duration = Duration::from_secs(1);

/// As a service answers that waits for others.
const UNREADY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

/// A process that listens, and answers as long as it is awake.
pub(super) struct Process {
    pub(super) port: u16,
    awake: Arc<AtomicBool>,
    /// How often it was asked while it hung.
    unanswered: Arc<AtomicUsize>,
}

impl Process {
    #[expect(clippy::disallowed_methods, reason = "it goes on beside the agent, as a process does")]
    pub(super) async fn start(answer: &'static [u8]) -> Self {
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

    /// Waits until it was looked at so often and said nothing.
    pub(super) async fn until_asked_in_vain(&self, times: usize) {
        let before = self.unanswered.load(Ordering::SeqCst);
        let asked = async || self.unanswered.load(Ordering::SeqCst) >= before + times;
        until("it is looked at", asked).await;
    }

    pub(super) fn wakes(&self) {
        self.awake.store(true, Ordering::SeqCst);
    }

    /// As ZooKeeper is asked.
    pub(super) fn health(&self) -> PartHealth {
        PartHealth { says: b"ruok".to_vec(), ..PartHealth::listens(self.port) }
    }

    pub(super) fn hangs(&self) {
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

/// As the platform's services are asked.
fn readyz(port: u16) -> PartHealth {
    PartHealth { path: Some("/readyz".to_owned()), ..PartHealth::listens(port) }
}

pub(super) async fn until(what: &str, so: impl AsyncFn() -> bool) {
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
    let unready = Process::start(UNREADY).await;
    let serves_nobody = Process::start(b"imok").await;
    let member = Some(Member::ZooKeeper);
    let apart = named(&machine, "kafka", PartHealth { member, ..serves_nobody.health() });
    let hanging = named(&machine, "zookeeper", asked.health());
    let waiting = named(&machine, "monitoring", readyz(unready.port));
    machine
        .with_agent(async |parts| {
            parts.ensure(ISSUER, &waiting).await.unwrap();
            parts.ensure(ISSUER, &apart).await.unwrap();
            parts.ensure(ISSUER, &hanging).await.unwrap();
            until("it answers", async || health(parts, &hanging).await == Some(true)).await;
            asked.hangs();
            let again = async || machine.engine.starts(&hanging.name) == 2;
            until("it is started again", again).await;
            let counted = async || {
                let list = parts.list().await.unwrap();
                list.iter().map(|part| part.restarts).eq([0, 0, 1])
            };
            until("its start is counted", counted).await;
            assert_eq!(health(parts, &waiting).await, Some(false));
            assert_eq!(machine.engine.starts(&waiting.name), 1);
            let member = parts.list().await.unwrap().swap_remove(0);
            assert_eq!((member.healthy, member.apart), (Some(true), true), "{member:?}");
            assert_eq!(machine.engine.starts(&apart.name), 1);
        })
        .await;
}

/// A service as the chassis makes it, with one loop: it turns until it is told to hang.
#[derive(Debug)]
struct Turning;

#[async_trait]
impl Service for Turning {
    fn name(&self) -> ServiceName {
        ServiceName::LifecycleManager
    }

    async fn run(&self, lifecycle: Lifecycle) -> Result<(), service::Error> {
        lifecycle.stopping().await;
        Ok(())
    }
}

#[tokio::test]
async fn a_service_that_answers_while_a_loop_of_it_hangs_is_started_again() {
    let machine = Machine { restart_after: AFTER, ..Machine::new() };
    let lifecycle = Lifecycle::new();
    let config = http::Config {
        address: Some("127.0.0.1:0".parse().unwrap()),
        internal_address: None,
        advertised: "192.0.2.1:8080".to_owned(),
        pki: machine.data.path().to_owned(),
        workers: 1,
        cors_origins: Vec::new(),
        document_001_gets: false,
    };
    let turning: Arc<dyn Service> = Arc::new(Turning);
    let listeners = http::bind(&config, &turning, &lifecycle, None).unwrap();
    let spec = named(&machine, "lifecycle-manager", readyz(listeners.plain.unwrap().port()));
    let hangs = AtomicBool::new(false);
    let beat = lifecycle.beat("restarts");
    let turns = async {
        while !hangs.load(Ordering::SeqCst) {
            beat.busy_for(Duration::from_secs(2));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        std::future::pending::<()>().await;
    };
    let test = machine.with_agent(async |parts| {
        parts.ensure(ISSUER, &spec).await.unwrap();
        until("it is well", async || health(parts, &spec).await == Some(true)).await;
        hangs.store(true, Ordering::SeqCst);
        until("it is not well", async || health(parts, &spec).await == Some(false)).await;
        let again = async || machine.engine.starts(&spec.name) == 2;
        until("it is started again", again).await;
    });
    tokio::select! {
        biased;
        () = test => {}
        () = turns => {}
        served = listeners.serve(&lifecycle) => panic!("{served:?}"),
    }
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

#[tokio::test(start_paused = true)]
async fn services_that_are_idle_are_compared_with_those_that_can_be() {
    let machine = Machine::new();
    let parts = machine.parts();
    let ensure = async |name: &str, health: PartHealth, heard: Heard| {
        let part = parts.ensure(ISSUER, &named(&machine, name, health)).await.unwrap();
        parts.standing.looked(&part, heard, Duration::from_secs(1));
    };
    let doubted = || is_idleness_shared(&parts, &parts.standing.running());
    for name in ["kafka", "registry", "zookeeper"] {
        ensure(name, PartHealth::listens(1), Heard::Well).await;
    }
    ensure("monitoring", readyz(1), Heard::Idle).await;
    assert!(!doubted());
    ensure("lifecycle-manager", readyz(1), Heard::Idle).await;
    assert!(doubted());
    for name in ["node-manager", "load-balancer"] {
        ensure(name, readyz(1), Heard::Well).await;
    }
    assert!(!doubted());
}
