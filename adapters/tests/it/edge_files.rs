//! The edge of plain files on Debian's own nginx.

mod damage;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use adapters::{FilesEdge, FilesSettings};
use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptions, RestartContainerOptions, StartContainerOptions, TopOptions,
};
use common::port::Edge as _;
use common::port::edge::{Balance, EdgeOptions, Error, Table};
use testkit::contract::edge::{Apps as _, holds, table};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use crate::edge::{
    LocalApps, PATIENCE, ask, ask_with, demand_docker, free_ports, start, start_app, with_container,
};

const IMAGE: &str = "avishkar/stock-nginx:dev";

/// An app that answers with its name.
async fn named(name: &'static str) -> SocketAddr {
    start(async |mut visit| visit.answer(200, name).await).await
}

/// An nginx as a machine has it, in a container on this machine's network; its `conf.d` is a folder here.
struct World {
    edge: FilesEdge,
    settings: FilesSettings,
    docker: Docker,
    container: String,
    conf: tempfile::TempDir,
    _beside: [tempfile::TempDir; 2],
    first: u16,
}

async fn with_nginx(test: impl AsyncFnOnce(&World)) {
    demand_docker();
    let world = World::open().await;
    with_container(&world.docker, &world.container, test(&world)).await;
}

/// What nginx is told after it can hear and before it waits for words, it keeps until it hears the next ones.
async fn wait_for_workers(docker: &Docker, container: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        let top = docker.top_processes(container, None::<TopOptions>).await;
        let running = top.ok().and_then(|top| top.processes).unwrap_or_default();
        if running.iter().flatten().any(|word| word.contains("nginx: worker process")) {
            return;
        }
        assert!(Instant::now() < until, "nginx has no workers: {running:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

impl World {
    async fn open() -> World {
        let [conf, sites, log] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let (first, host_port) = free_ports();
        let host = HostConfig {
            network_mode: Some("host".to_owned()),
            binds: Some(vec![
                format!("{}:/etc/nginx/conf.d", conf.path().display()),
                // Debian's own page has port 80.
                format!("{}:/etc/nginx/sites-enabled", sites.path().display()),
                format!("{0}:{0}", log.path().display()),
            ]),
            ..HostConfig::default()
        };
        let body = ContainerCreateBody {
            image: Some(IMAGE.to_owned()),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        };
        let docker = Docker::connect_with_unix_defaults().unwrap();
        let made = docker.create_container(None::<CreateContainerOptions>, body).await.unwrap();
        let container = made.id;
        docker.start_container(&container, None::<StartContainerOptions>).await.unwrap();
        let nginx = |arguments: &[&str]| {
            let command = ["docker", "exec", &container, "nginx"]
                .into_iter()
                .chain(arguments.iter().copied());
            command.map(str::to_owned).collect::<Vec<String>>()
        };
        let settings = FilesSettings {
            conf_folder: conf.path().to_owned(),
            access_log: log.path().join("avishkar.log"),
            test: nginx(&["-t", "-q"]),
            reload: nginx(&["-s", "reload"]),
            listen: Ipv4Addr::UNSPECIFIED.into(),
            first_port: first,
            last_port: first + 9,
            host_port,
            control_port: host_port + 1,
            names_hash_bucket: Some(512),
            reload_every: Duration::from_millis(500),
        };
        wait_for_workers(&docker, &container).await;
        let edge = FilesEdge::new(settings.clone());
        World { edge, settings, docker, container, conf, _beside: [sites, log], first }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.conf.path().join(name)
    }

    /// The names and contents of all files.
    fn files(&self) -> Vec<(String, String)> {
        let mut files: Vec<(String, String)> = fs::read_dir(self.conf.path())
            .unwrap()
            .map(Result::unwrap)
            .map(|entry| {
                (
                    entry.file_name().into_string().unwrap(),
                    fs::read_to_string(entry.path()).unwrap(),
                )
            })
            .collect();
        files.sort();
        files
    }

    async fn serves(&self) -> (u64, u64) {
        let status = self.edge.status().await.unwrap();
        (status.epoch.0, status.generation.0)
    }

    /// A table is refused with this code, and nothing is otherwise than before.
    async fn refuses(&self, table: &Table, wanted: &str) {
        let (serves, files) = (self.serves().await, self.files());
        let err = self.edge.load(table).await.unwrap_err();
        assert!(matches!(&err, Error::Refused { code } if code == wanted), "{err:?}");
        assert_eq!(self.files(), files);
        assert_eq!(self.serves().await, serves);
    }

    async fn restart(&self) {
        let restart =
            self.docker.restart_container(&self.container, None::<RestartContainerOptions>);
        restart.await.unwrap();
        let until = Instant::now() + PATIENCE;
        while let Err(err) = self.edge.status().await {
            assert!(Instant::now() < until, "nginx does not answer: {err:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// A table with one app.
    async fn shop(&self, generation: u64, status: u16) -> (Table, SocketAddr) {
        let app = LocalApps.start(status).await;
        (table(1, generation, &[("shop", self.first, &[app])]), app)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stock_nginx_keeps_the_contract() {
    with_nginx(async |world| holds(&world.edge, &LocalApps).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_of_the_table_is_left_alone_and_has_its_name() {
    with_nginx(async |world| {
        let theirs = "# somebody's\n";
        fs::write(world.file("shop.conf"), theirs).unwrap();
        let (shop, _) = world.shop(1, 204).await;
        world.edge.load(&shop).await.unwrap();
        assert_eq!(world.edge.probe(world.first, "/").await.unwrap(), Some(204));
        assert!(world.file("shop.avishkar.conf").exists());
        world.edge.load(&table(1, 2, &[])).await.unwrap();
        assert!(!world.file("shop.avishkar.conf").exists());
        assert_eq!(fs::read_to_string(world.file("shop.conf")).unwrap(), theirs);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_refused_where_both_names_of_an_app_are_strangers() {
    with_nginx(async |world| {
        world.edge.load(&table(1, 1, &[])).await.unwrap();
        for name in ["shop.conf", "shop.avishkar.conf"] {
            fs::write(world.file(name), "# somebody's\n").unwrap();
        }
        let (shop, _) = world.shop(2, 204).await;
        world.refuses(&shop, "TABLE_INVALID").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_himself_out_of_the_limits_by_what_he_says() {
    with_nginx(async |world| {
        let app = LocalApps.start(200).await;
        let mut limited = table(1, 1, &[("shop", world.first, &[app])]);
        limited.routes[0].options =
            EdgeOptions { requests_per_second: Some(1), ..EdgeOptions::default() };
        world.edge.load(&limited).await.unwrap();
        let claim =
            "GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: avishkar-edge@127.0.0.1@127.0.0.1\r\n";
        let crowd = (0..30).map(|_| ask_with(world.first, claim, ""));
        let answers = futures::future::join_all(crowd).await;
        assert!(answers.iter().any(|answer| answer.starts_with("HTTP/1.1 429")), "{answers:?}");
        for _ in 0..9 {
            assert_eq!(world.edge.probe(world.first, "/").await.unwrap(), Some(200));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_nginx_that_starts_again_or_a_successor_finds_the_last_table() {
    with_nginx(async |world| {
        let (shop, _) = world.shop(3, 204).await;
        world.edge.load(&shop).await.unwrap();
        world.restart().await;
        assert_eq!(world.serves().await, (1, 3));
        assert_eq!(world.edge.probe(world.first, "/").await.unwrap(), Some(204));
        let successor = FilesEdge::new(world.settings.clone());
        let files = world.files();
        successor.load(&shop).await.unwrap();
        assert_eq!(world.files(), files);
        let err = successor.load(&table(1, 2, &[])).await.unwrap_err();
        assert!(matches!(err, Error::Stale { .. }), "{err:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_cost_no_request() {
    with_nginx(async |world| {
        let (shop, app) = world.shop(1, 200).await;
        world.edge.load(&shop).await.unwrap();
        let done = Semaphore::new(0);
        let visits = async {
            let mut answers = Vec::new();
            while done.available_permits() == 0 {
                answers.push(ask(world.first).await);
            }
            answers
        };
        let changes = async {
            let other = LocalApps.start(200).await;
            for generation in 2..8 {
                let rows = [("shop", world.first, &[app, other][..])];
                world.edge.load(&table(1, generation, &rows)).await.unwrap();
            }
            done.add_permits(1);
        };
        let (answers, ()) = futures::join!(visits, changes);
        let failed: Vec<&String> =
            answers.iter().filter(|answer| !answer.starts_with("HTTP/1.1 200")).collect();
        assert!(failed.is_empty() && answers.len() > 10, "{failed:?} of {}", answers.len());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_under_way_are_counted_also_at_replicas_that_are_in_no_table_any_more() {
    with_nginx(async |world| {
        let permits = Arc::new(Semaphore::new(0));
        let app = start_app(200, Arc::clone(&permits)).await;
        world.edge.load(&table(1, 1, &[("shop", world.first, &[app])])).await.unwrap();
        let under_way =
            async || world.edge.in_flight().await.unwrap().get(&app).copied().unwrap_or(0);
        let wait_for = async |wanted: u64| {
            let reached = async {
                while under_way().await != wanted {
                    sleep(Duration::from_millis(20)).await;
                }
            };
            assert!(
                timeout(PATIENCE, reached).await.is_ok(),
                "{wanted} requests are not under way"
            );
        };
        let story = async {
            wait_for(3).await;
            world.edge.load(&table(1, 2, &[("shop", world.first, &[])])).await.unwrap();
            assert_eq!(under_way().await, 3);
            permits.add_permits(2);
            wait_for(1).await;
            permits.add_permits(1);
            wait_for(0).await;
        };
        let asked = futures::future::join_all((0..3).map(|_| ask(world.first)));
        let (answers, ()) = futures::join!(asked, story);
        assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 200")), "{answers:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_apps_ask_for_holds() {
    with_nginx(async |world| {
        let replicas = [named("one").await, named("two").await];
        let mut asking = table(
            1,
            1,
            &[("asks", world.first, &replicas), ("plain", world.first + 1, &[replicas[0]])],
        );
        asking.routes[0].options = EdgeOptions {
            hosts: vec!["shop.example.org".parse().unwrap()],
            max_body_bytes: Some(10),
            requests_per_second: Some(20),
            connections: Some(5),
            timeout_seconds: Some(9),
            sticky: true,
            balance: Balance::LeastConnections,
            ..EdgeOptions::default()
        };
        world.edge.load(&asking).await.unwrap();
        for (host, wanted) in [
            ("asks", "200"),
            ("asks.localhost", "200"),
            ("shop.example.org", "200"),
            ("plain.example.org", "200"),
            ("other", "404"),
        ] {
            let lines = format!("GET / HTTP/1.1\r\nHost: {host}\r\n");
            let answer = ask_with(world.settings.host_port, &lines, "").await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {wanted}")), "{host}: {answer}");
        }
        let post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n";
        let answer = ask_with(world.first, post, "12345678901").await;
        assert!(answer.contains(r#""code":"BODY_TOO_LARGE""#), "{answer}");
        let first = ask(world.first).await;
        let cookie = first.lines().find_map(|line| line.strip_prefix("Set-Cookie: ")).unwrap();
        assert!(
            cookie.starts_with("avishkar-asks=")
                && cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax")
        );
        let cookie = cookie.split(';').next().unwrap();
        let again = format!("GET / HTTP/1.1\r\nHost: x\r\nCookie: a=b; {cookie}\r\n");
        for _ in 0..6 {
            let answer = ask_with(world.first, &again, "").await;
            assert_eq!(answer.lines().last(), first.lines().last());
            assert!(!answer.contains("Set-Cookie"), "{answer}");
        }
        let crowd = futures::future::join_all((0..80).map(|_| ask(world.first))).await;
        let refused = crowd.iter().filter(|answer| answer.starts_with("HTTP/1.1 429")).count();
        assert!(
            refused > 0 && crowd.iter().any(|answer| answer.contains(r#""code":"RATE_LIMITED""#)),
            "{refused}"
        );
        assert_eq!(world.edge.probe(world.first, "/").await.unwrap(), Some(200));
        assert!(ask(world.first + 1).await.starts_with("HTTP/1.1 200"));
    })
    .await;
}
