//! Two edges with one table and one address between them: who has it, and how long nobody does when its machine dies.

use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use adapters::{EdgeSettings, NginxEdge};
use common::port::Edge as _;
use common::port::edge::Table;
use futures::FutureExt as _;
use testkit::contract::edge::table;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use crate::edge::{PATIENCE, demand_docker, image, start_at};

const ADDRESS_IMAGE: &str = "avishkar/address:dev";
/// What visitors may have to wait at most.
const LONGEST_GAP: Duration = Duration::from_secs(3);
const FRONT_PORT: u16 = 2000;
const VISITORS: usize = 8;

/// Two machines with an edge each, as containers that share a network.
struct World {
    name: String,
    moved: Ipv4Addr,
    machines: [Machine; 2],
    app: SocketAddr,
}

/// An edge and what beside it takes the address: both are gone when the machine dies.
struct Machine {
    name: String,
    edge: NginxEdge,
    _folder: tempfile::TempDir,
}

/// What docker says; a failure is told.
async fn docker(arguments: &[&str]) -> Result<String, String> {
    #[expect(clippy::disallowed_methods, reason = "machines are made and killed by docker")]
    let output = Command::new("docker").args(arguments).output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    if output.status.success() { Ok(format!("{said}{complained}")) } else { Err(complained) }
}

async fn wait_until(what: &str, holds: impl AsyncFn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < until, "not in time: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn with_pair(test: impl AsyncFnOnce(&World)) {
    demand_docker();
    let name = format!("avishkar-pair-{}", uuid::Uuid::new_v4().simple());
    let result =
        AssertUnwindSafe(async { test(&World::open(&name).await).await }).catch_unwind().await;
    for machine in [1, 2] {
        for part in ["address", "edge"] {
            drop(docker(&["rm", "--force", &format!("{name}-{part}-{machine}")]).await);
        }
    }
    let gone = docker(&["network", "rm", &name]).await;
    if let Err(panic) = result {
        resume_unwind(panic);
    }
    gone.unwrap();
}

/// A network that nobody has: its third number.
async fn open_network(name: &str) -> u8 {
    let mut free = 0..=255;
    loop {
        let third = free.next().expect("a network is free");
        let range = format!("198.18.{third}.0/24");
        if docker(&["network", "create", "--subnet", &range, name]).await.is_ok() {
            return third;
        }
    }
}

impl World {
    async fn open(name: &str) -> World {
        let third = open_network(name).await;
        let of = |last: u8| Ipv4Addr::new(198, 18, third, last);
        let app = start_at(of(1), async |mut visit| visit.answer(200, "").await).await;
        let machines = [
            Machine::start(name, 1, [of(10), of(11), of(12)]).await,
            Machine::start(name, 2, [of(10), of(12), of(11)]).await,
        ];
        World { name: name.to_owned(), moved: of(10), machines, app }
    }

    /// One table for both.
    fn table(&self) -> Table {
        table(1, 1, &[("shop", FRONT_PORT, &[self.app])])
    }

    async fn load(&self) {
        for machine in &self.machines {
            wait_until("an edge answers", async || machine.edge.status().await.is_ok()).await;
            machine.edge.load(&self.table()).await.unwrap();
        }
        wait_until("the address answers", async || self.visit().await).await;
    }

    /// Whether a new connection through the moved address is answered by the app.
    async fn visit(&self) -> bool {
        let request = async {
            let mut connection = TcpStream::connect((self.moved, FRONT_PORT)).await.ok()?;
            let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            connection.write_all(request.as_bytes()).await.ok()?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer).await.ok()?;
            answer.starts_with("HTTP/1.1 200").then_some(())
        };
        timeout(Duration::from_millis(500), request).await.ok().flatten().is_some()
    }

    /// The machines that have the address, from 0.
    async fn holders(&self) -> Vec<usize> {
        let mut holders = Vec::new();
        for (index, machine) in self.machines.iter().enumerate() {
            let show = ["exec", &machine.address(), "ip", "-4", "-o", "address", "show"];
            let shown = docker(&show).await.unwrap_or_default();
            if shown.contains(&format!(" {}/32", self.moved)) {
                holders.push(index);
            }
        }
        holders
    }

    async fn holder(&self) -> usize {
        wait_until("one machine has the address", async || self.holders().await.len() == 1).await;
        self.holders().await.first().copied().unwrap()
    }
}

impl Machine {
    /// `addresses`: the moved one, its own, the other's.
    async fn start(pair: &str, number: u8, [moved, own, other]: [Ipv4Addr; 3]) -> Machine {
        let folder = tempfile::tempdir().unwrap();
        let (tables, run) = (folder.path().join("table"), folder.path().join("run"));
        for sub in [&tables, &run] {
            std::fs::create_dir(sub).unwrap();
            std::fs::set_permissions(sub, Permissions::from_mode(0o777)).unwrap();
        }
        let machine = Machine {
            name: format!("{pair}-{{}}-{number}"),
            edge: NginxEdge::new(EdgeSettings::new(&tables, &run)),
            _folder: folder,
        };
        let (table, run) = (tables.display(), run.display());
        let (table, run) =
            (format!("{table}:/var/lib/avishkar/edge"), format!("{run}:/run/avishkar/edge"));
        let (at, edge) = (own.to_string(), machine.part("edge"));
        let place = ["--network", pair, "--ip", &at, "--volume", &table, "--volume", &run];
        let settings = ["--env", "EDGE_BIND=0.0.0.0", "--env", "EDGE_FRONT_PORTS=2000-2009"];
        let run = ["run", "--detach", "--name", &edge];
        docker(&[&run[..], &place, &settings, &[&image()]].concat()).await.unwrap();
        let network = format!("container:{edge}");
        // As a part of the platform is: a read-only root, and no right but what it is there for.
        let rights =
            ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--cap-add", "NET_ADMIN"];
        let more = ["--cap-add", "NET_RAW", "--cap-add", "SETGID", "--network", &network];
        let [moved, own, other] = [("", moved), ("_OWN", own), ("_PEER", other)]
            .map(|(key, address)| format!("ADDRESS{key}={address}"));
        let told = ["--env", &moved, "--env", &own, "--env", &other, ADDRESS_IMAGE];
        let address = machine.address();
        let run = ["run", "--detach", "--name", &address];
        docker(&[&run[..], &rights, &more, &told].concat()).await.unwrap();
        machine
    }

    fn part(&self, part: &str) -> String {
        self.name.replace("{}", part)
    }

    fn address(&self) -> String {
        self.part("address")
    }

    /// Without a word to anybody.
    async fn die(&self) {
        docker(&["kill", &self.address(), &self.part("edge")]).await.unwrap();
    }

    /// How often it gave the address away, or began without.
    async fn times_without(&self) -> usize {
        let log = docker(&["logs", &self.address()]).await.unwrap();
        log.matches("(edge) Entering BACKUP STATE").count()
    }
}

/// Visits as fast as they are answered until the end; the longest time without an answer.
async fn longest_gap(world: &World, ended: &Semaphore) -> Duration {
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    while ended.available_permits() == 0 {
        if world.visit().await {
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
    }
    longest.max(last.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_machine_that_has_the_address_dies_under_load_visitors_wait_three_seconds_at_most()
{
    with_pair(async |world| {
        world.load().await;
        let holder = world.holder().await;
        let ended = Semaphore::new(0);
        let visitors = futures::future::join_all((0..VISITORS).map(|_| longest_gap(world, &ended)));
        let story = async {
            world.machines[holder].die().await;
            wait_until("the other has the address", async || world.holders().await == [1 - holder])
                .await;
            for _ in 0..20 {
                wait_until("visitors are answered", async || world.visit().await).await;
            }
            ended.add_permits(1);
        };
        let (gaps, ()) = futures::join!(visitors, story);
        let longest = gaps.iter().max().unwrap();
        assert!(*longest <= LONGEST_GAP, "{}: {gaps:?}", world.name);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_hangs_loses_the_address_and_does_not_take_it_back() {
    with_pair(async |world| {
        world.load().await;
        let holder = world.holder().await;
        let (first, other) = (&world.machines[holder], 1 - holder);
        let before = first.times_without().await;
        docker(&["pause", &first.part("edge")]).await.unwrap();
        wait_until("the other has the address", async || world.holders().await == [other]).await;
        wait_until("visitors are answered", async || world.visit().await).await;
        docker(&["unpause", &first.part("edge")]).await.unwrap();
        wait_until("the first stands by", async || first.times_without().await > before).await;
        assert_eq!(world.holders().await, [other]);
        assert!(world.visit().await);
    })
    .await;
}

#[tokio::test]
async fn what_is_no_address_is_refused_with_a_sentence() {
    demand_docker();
    let told = [
        "--env",
        "ADDRESS=192.0.2.10 }",
        "--env",
        "ADDRESS_OWN=192.0.2.11",
        "--env",
        "ADDRESS_PEER=192.0.2.12",
    ];
    let err = docker(&[&["run", "--rm"][..], &told, &[ADDRESS_IMAGE]].concat()).await.unwrap_err();
    assert!(err.contains("are IPv4 addresses, not '192.0.2.10 }'"), "{err}");
    let told = [
        "--env",
        "ADDRESS=192.0.2.10",
        "--env",
        "ADDRESS_OWN=192.0.2.11",
        "--env",
        "ADDRESS_PEER=192.0.2.12",
    ];
    let err = docker(&[&["run", "--rm"][..], &told, &[ADDRESS_IMAGE]].concat()).await.unwrap_err();
    assert!(err.contains("no network of this machine has ADDRESS_OWN 192.0.2.11"), "{err}");
}
