//! The contract of the edge on the real image, and what only a real edge can show.

mod abuse;
mod acme;
mod changes;
mod damage;
mod dead;
mod gone;
mod held;
mod kept;
mod options;
mod pages;
mod streams;
mod tls;

use std::env;
use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::os::unix::fs::PermissionsExt as _;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use adapters::{EdgeSettings, NginxEdge};
use async_trait::async_trait;
use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptions, RemoveContainerOptionsBuilder, RestartContainerOptions,
    StartContainerOptions,
};
use common::port::Edge;
use futures::FutureExt as _;
use testkit::contract::edge::{Apps, holds, table};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Another image than the cluster's may be tried.
#[expect(clippy::disallowed_methods, reason = "set by who runs the tests")]
pub(crate) fn image() -> String {
    env::var("AVISHKAR_TEST_EDGE_IMAGE").unwrap_or_else(|_| "avishkar/edge:dev".to_owned())
}

/// An edge of its own, in a container on this machine's network.
struct World {
    edge: NginxEdge,
    docker: Docker,
    container: String,
    folder: tempfile::TempDir,
    apps: LocalApps,
    /// The first of ten front ports.
    first: u16,
    /// Of the listener for host names.
    host_port: u16,
    /// Of the one for host names over TLS.
    tls_port: u16,
}

/// Apps in this process.
#[derive(Clone, Default)]
pub(crate) struct LocalApps;

#[async_trait]
impl Apps for LocalApps {
    async fn start(&self, status: u16) -> SocketAddr {
        start_app(status, Arc::new(Semaphore::new(Semaphore::MAX_PERMITS))).await
    }
}

/// An app that answers with this status, once per permit.
pub(crate) async fn start_app(status: u16, permits: Arc<Semaphore>) -> SocketAddr {
    start(move |mut visit| {
        let permits = Arc::clone(&permits);
        async move {
            permits.acquire().await.unwrap().forget();
            visit.answer(status, "").await;
        }
    })
    .await
}

/// A request that an app got: its head, what came of its body with it, and its connection.
pub(crate) struct Visit {
    head: String,
    body: Vec<u8>,
    connection: TcpStream,
}

impl Visit {
    async fn of(mut connection: TcpStream) -> Option<Visit> {
        let mut request = Vec::<u8>::new();
        loop {
            if let Some(end) = request.windows(4).position(|end| end == b"\r\n\r\n") {
                let body = request.split_off(end + 4);
                let head = String::from_utf8(request).unwrap();
                return Some(Visit { head, body, connection });
            }
            let mut piece = [0; 1024];
            match connection.read(&mut piece).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => request.extend(piece.iter().take(count)),
            }
        }
    }

    /// The value of a header, whose name is given in lower case.
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            (key.to_ascii_lowercase() == name).then_some(value)
        })
    }

    pub(crate) async fn answer(&mut self, status: u16, body: &str) {
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        drop(self.connection.write_all(answer.as_bytes()).await);
    }
}

/// An app that does with each request what the test says.
pub(crate) async fn start<F, Done>(behave: F) -> SocketAddr
where
    F: Fn(Visit) -> Done + Send + Sync + 'static,
    Done: Future<Output = ()> + Send + 'static,
{
    start_at(Ipv4Addr::LOCALHOST, behave).await
}

/// The same on another address of this machine.
#[expect(clippy::disallowed_methods, reason = "the app runs beside the test")]
pub(crate) async fn start_at<F, Done>(ip: Ipv4Addr, behave: F) -> SocketAddr
where
    F: Fn(Visit) -> Done + Send + Sync + 'static,
    Done: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((ip, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let behave = Arc::new(behave);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let behave = Arc::clone(&behave);
            tokio::spawn(async move {
                if let Some(visit) = Visit::of(connection).await {
                    behave(visit).await;
                }
            });
        }
    });
    address
}

/// An address that refuses connections.
fn nobody() -> SocketAddr {
    StdListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "tests on real servers find them by the environment")]
pub(crate) fn demand_docker() {
    assert!(
        std::env::var("AVISHKAR_TEST_DOCKER").is_ok(),
        "this test needs a Docker engine: run `make test`, or set AVISHKAR_TEST_DOCKER=1"
    );
}

/// Ten ports in a row that nothing listens on, and two more; the first of the ten, and of the two.
pub(crate) fn free_ports() -> (u16, u16) {
    let free = |port| StdListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let rows = (0..100).filter_map(|_| {
        let probe = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let first = probe.local_addr().unwrap().port();
        Some((first, first.checked_add(11)? - 1))
    });
    let mut rows = rows.filter(|(first, host)| (*first..=*host + 1).all(free));
    rows.next().expect("twelve ports in a row are free")
}

/// Runs a test with an edge of its own, and clears up whatever happens.
async fn with_edge(test: impl AsyncFnOnce(&World)) {
    with_edge_of(&[], test).await;
}

/// The same with other settings, of which a later one counts.
async fn with_edge_of(settings: &[&str], test: impl AsyncFnOnce(&World)) {
    demand_docker();
    let world = World::open(settings).await;
    let story = async {
        world.wait_until_it_answers().await;
        test(&world).await;
    };
    with_container(&world.docker, &world.container, story).await;
}

/// Runs a test, and removes a container whatever happens.
pub(crate) async fn with_container(
    docker: &Docker,
    container: &str,
    story: impl Future<Output = ()>,
) {
    let result = AssertUnwindSafe(story).catch_unwind().await;
    let remove = RemoveContainerOptionsBuilder::default().force(true).build();
    docker.remove_container(container, Some(remove)).await.unwrap();
    if let Err(panic) = result {
        resume_unwind(panic);
    }
}

impl World {
    async fn open(settings: &[&str]) -> World {
        let folder = tempfile::tempdir().unwrap();
        let (table, run) = (folder.path().join("table"), folder.path().join("run"));
        for sub in [&table, &run] {
            std::fs::create_dir(sub).unwrap();
            // The edge is a user of its own.
            std::fs::set_permissions(sub, Permissions::from_mode(0o777)).unwrap();
        }
        let (first, host_port) = free_ports();
        let tls_port = host_port + 1;
        let last = first + 9;
        let host = HostConfig {
            network_mode: Some("host".to_owned()),
            binds: Some(vec![
                format!("{}:/var/lib/avishkar/edge", table.display()),
                format!("{}:/run/avishkar/edge", run.display()),
            ]),
            ..HostConfig::default()
        };
        let mut env = vec![
            format!("EDGE_FRONT_PORTS={first}-{last}"),
            format!("EDGE_HOST_PORT={host_port}"),
            format!("EDGE_TLS_PORT={tls_port}"),
            "EDGE_WORKERS=2".to_owned(),
            "EDGE_HOLD_SECONDS=8".to_owned(),
        ];
        env.extend(settings.iter().map(|&setting| setting.to_owned()));
        let body = ContainerCreateBody {
            image: Some(image()),
            env: Some(env),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        };
        let docker = Docker::connect_with_unix_defaults().unwrap();
        let made = docker.create_container(None::<CreateContainerOptions>, body).await.unwrap();
        docker.start_container(&made.id, None::<StartContainerOptions>).await.unwrap();
        let edge = NginxEdge::new(EdgeSettings::new(&table, &run));
        let container = made.id;
        World { edge, docker, container, folder, apps: LocalApps, first, host_port, tls_port }
    }

    async fn wait_until_it_answers(&self) {
        let started = Instant::now();
        while let Err(err) = self.edge.status().await {
            assert!(started.elapsed() < PATIENCE, "the edge does not answer: {err:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn restart(&self) {
        let restart =
            self.docker.restart_container(&self.container, None::<RestartContainerOptions>);
        restart.await.unwrap();
        self.wait_until_it_answers().await;
    }

    /// How many requests are under way at an address.
    async fn under_way(&self, address: SocketAddr) -> u64 {
        let counts = self.edge.in_flight().await.unwrap();
        counts.get(&address).copied().unwrap_or_default()
    }

    async fn wait_for_under_way(&self, address: SocketAddr, wanted: u64) {
        let reached = async {
            while self.under_way(address).await != wanted {
                sleep(Duration::from_millis(50)).await;
            }
        };
        let reached = timeout(PATIENCE, reached).await;
        assert!(reached.is_ok(), "{} requests are under way", self.under_way(address).await);
    }
}

/// A request through a front port, and all of its answer.
pub(crate) async fn ask(port: u16) -> String {
    ask_with(port, "GET / HTTP/1.1\r\nHost: x\r\n", "").await
}

/// A request whose first lines are given, and all of its answer.
pub(crate) async fn ask_with(port: u16, lines: &str, body: &str) -> String {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    let request = format!("{lines}Connection: close\r\n\r\n{body}");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_keeps_the_contract() {
    with_edge(async |world| holds(&world.edge, &world.apps).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_under_way_until_its_answer() {
    with_edge(async |world| {
        let permits = Arc::new(Semaphore::new(0));
        let app = start_app(200, Arc::clone(&permits)).await;
        world.edge.load(&table(1, 1, &[("shop", world.first, &[app])])).await.unwrap();
        let story = async {
            world.wait_for_under_way(app, 3).await;
            // Out of the table: no new requests, those under way stay.
            world.edge.load(&table(1, 2, &[("shop", world.first, &[])])).await.unwrap();
            assert_eq!(world.under_way(app).await, 3);
            permits.add_permits(2);
            world.wait_for_under_way(app, 1).await;
            permits.add_permits(1);
            world.wait_for_under_way(app, 0).await;
        };
        let asked = futures::future::join_all((0..3).map(|_| ask(world.first)));
        let (answers, ()) = futures::join!(asked, story);
        assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 200")), "{answers:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_starts_again_serves_its_table_and_counts_from_zero() {
    with_edge(async |world| {
        let app = world.apps.start(204).await;
        world.edge.load(&table(1, 1, &[("shop", world.first, &[app])])).await.unwrap();
        for _ in 0..5 {
            assert_eq!(world.edge.probe(world.first, "/").await.unwrap(), Some(204));
        }
        world.wait_for_under_way(app, 0).await;
        world.restart().await;
        assert_eq!(world.edge.probe(world.first, "/").await.unwrap(), Some(204));
        world.wait_for_under_way(app, 0).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_of_the_teller_finds_what_the_edge_serves_and_what_is_under_way() {
    with_edge(async |world| {
        let permits = Arc::new(Semaphore::new(1));
        let app = start_app(200, Arc::clone(&permits)).await;
        let shop = table(4, 2, &[("shop", world.first, &[app])]);
        world.edge.load(&shop).await.unwrap();
        assert_eq!(world.edge.probe(world.first, "/").await.unwrap(), Some(200));
        let settings =
            EdgeSettings::new(world.folder.path().join("table"), world.folder.path().join("run"));
        let story = async {
            world.wait_for_under_way(app, 1).await;
            let successor = NginxEdge::new(settings);
            let status = successor.status().await.unwrap();
            assert_eq!((status.epoch, status.generation), (shop.epoch, shop.generation));
            assert_eq!(successor.in_flight().await.unwrap()[&app], 1);
            permits.add_permits(1);
        };
        let (answer, ()) = futures::join!(ask(world.first), story);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    })
    .await;
}

#[tokio::test]
async fn an_edge_that_is_not_there_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let edge = NginxEdge::new(EdgeSettings::new(folder.path(), folder.path()));
    assert!(edge.status().await.unwrap_err().is_retryable());
    assert!(edge.load(&table(1, 1, &[])).await.unwrap_err().is_retryable());
    assert!(edge.in_flight().await.unwrap_err().is_retryable());
}
