//! The real agent on a real engine: what it sees of real processes, and how fast it helps itself.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use adapters::firewall::{self, ContainerFirewall};
use async_trait::async_trait;
use common::digest::{Digest, ImageRef};
use common::failure::FailureCode;
use common::id::Epoch;
use common::port::container::{ContainerSpec, ContainerState, label};
use common::port::nodes::{self, ContainerUse, Issuer, Measured, Probe, Sample};
use common::port::{Cause, Containers as _, Nodes as _};
use common::service::ServiceName;
use futures::StreamExt as _;
use node_agent::ports::{Firewall, Rules};
use testkit::contract::containers::World as _;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::agent::{Served, while_serving, while_serving_behind};
use crate::engine::{BASE, Engine, LOOPBACK, PATIENCE, dockerfile, with_engine};

const ISSUER: Issuer = Issuer { service: ServiceName::DeploymentManager, epoch: Epoch(1) };

/// Listens where LISTEN says; answers every request with STATUS; works for nothing if BURN is set.
const APP: &str = r#"exec perl -MIO::Socket::INET -e '
    if ($ENV{BURN}) { my $held = "x" x (96 << 20); 1 while 1 }
    my $s = IO::Socket::INET->new(LocalAddr => $ENV{LISTEN}, Listen => 9, ReuseAddr => 1) or die;
    $SIG{TERM} = sub { exit };
    while (my $c = $s->accept) { sysread $c, my $b, 4096; print $c "HTTP/1.0 $ENV{STATUS} x\r\n\r\n"; close $c }
'"#;

/// Runs a test with an agent of a real engine.
async fn with_agent(test: impl AsyncFnOnce(&Engine, &Served)) {
    with_engine(APP, async |engine| {
        let containers = Arc::new(engine.containers.clone());
        while_serving(containers, async |served| test(engine, served).await).await;
    })
    .await;
}

fn spec(engine: &Engine, environment: &[(&str, &str)]) -> ContainerSpec {
    let mut all: BTreeMap<String, String> =
        [("LISTEN", "0.0.0.0:8080"), ("STATUS", "200")].map(owned).into();
    all.extend(environment.iter().copied().map(owned));
    ContainerSpec { environment: all, ..engine.spec() }
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

async fn until_probe(served: &Served, spec: &ContainerSpec, wanted: &Probe) {
    let mut last = None;
    let seen = async {
        while last.as_ref() != Some(wanted) {
            last = Some(served.client.probe(&served.agent, &spec.name()).await.unwrap());
        }
    };
    let seen = tokio::time::timeout(PATIENCE, seen).await;
    assert!(seen.is_ok(), "{wanted:?} was never seen, but {last:?}");
}

#[tokio::test]
async fn what_listens_in_a_container_is_seen() {
    with_agent(async |engine, served| {
        let silent = Probe::NotListening { listening: vec!["127.0.0.1:5000".to_owned()] };
        let path = || Some("/health".to_owned());
        for (spec, wanted) in [
            (spec(engine, &[]), Probe::Healthy),
            (spec(engine, &[("LISTEN", "127.0.0.1:5000")]), silent),
            (ContainerSpec { health_path: path(), ..spec(engine, &[]) }, Probe::Healthy),
            (
                ContainerSpec { health_path: path(), ..spec(engine, &[("STATUS", "503")]) },
                Probe::Unhealthy { status: Some(503) },
            ),
        ] {
            served.client.ensure(&served.agent, ISSUER, &spec).await.unwrap();
            until_probe(served, &spec, &wanted).await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_container_uses_is_measured() {
    with_agent(async |engine, served| {
        let spec = spec(engine, &[("BURN", "1")]);
        served.client.ensure(&served.agent, ISSUER, &spec).await.unwrap();
        let mut samples = served.client.samples(&served.agent).await.unwrap();
        // Half a core and 256 MiB are its limits: it takes all of the one, and of the other at least 96 MiB.
        let busy = |used: &ContainerUse| {
            let in_one_sample = |measured: Measured| measured.cpu_percent > 60.0;
            (80.0..120.0).contains(&used.cpu_percent)
                && (35.0..95.0).contains(&used.memory_percent)
                && used.measured.is_some_and(in_one_sample)
        };
        let mut last: Option<Sample> = None;
        let measured = async {
            loop {
                let sample = samples.next().await.unwrap().unwrap();
                let used = sample.containers.iter().find(|used| used.name == spec.name());
                let found = used.is_some_and(busy);
                last = Some(sample);
                if found {
                    return;
                }
            }
        };
        let measured = tokio::time::timeout(PATIENCE, measured).await;
        assert!(measured.is_ok(), "{last:?}");
        let node = last.unwrap().node;
        assert!(node.cpu_percent > 0.0 && node.cpu_percent < 120.0, "{node:?}");
        assert!(node.disk_percent > 0.0 && node.memory_total_bytes > 1 << 28, "{node:?}");
    })
    .await;
}

/// How long that takes, in proportion to making a container, is for a quiet machine to measure.
#[tokio::test]
async fn a_container_that_was_killed_serves_again_soon() {
    with_agent(async |engine, served| {
        let (bare, spec) = (spec(engine, &[]), spec(engine, &[]));
        let began = Instant::now();
        engine.containers.ensure_running(&bare, Epoch(1)).await.unwrap();
        until_served((LOOPBACK, bare.host_port).into()).await;
        let floor = began.elapsed();
        served.client.ensure(&served.agent, ISSUER, &spec).await.unwrap();
        until_probe(served, &spec, &Probe::Healthy).await;
        let began = Instant::now();
        engine.kill(&spec.name()).await;
        let restarted = async { while restarts(served, &spec).await == 0 {} };
        tokio::time::timeout(PATIENCE, restarted).await.unwrap();
        until_served((LOOPBACK, spec.host_port).into()).await;
        let took = began.elapsed();
        let found = engine.containers.find(&spec.name()).await.unwrap().unwrap();
        assert!(matches!(found.state, ContainerState::Running { .. }), "{found:?}");
        assert!(took < Duration::from_secs(5), "{took:?}, making one takes {floor:?}");
    })
    .await;
}

async fn restarts(served: &Served, spec: &ContainerSpec) -> u32 {
    let mut samples = served.client.samples(&served.agent).await.unwrap();
    let sample = samples.next().await.unwrap().unwrap();
    let used = sample.containers.iter().find(|used| used.name == spec.name());
    used.map_or(0, |used| used.restarts)
}

async fn until_served(address: SocketAddr) {
    let url = format!("http://{address}/");
    let served = async {
        while reqwest::get(&url).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, served).await.unwrap();
}

/// Tries to reach the machine by its bridge's address, where everything of it that listens on all
/// addresses can be reached, and another address; says what came of it.
const SCAN: &str = r#"perl -MIO::Socket::INET -e '
    open my $r, "<", "/proc/net/route"; my ($g) = map { (split)[1] eq "00000000" ? (split)[2] : () } <$r>;
    my $gateway = join ".", reverse unpack "C4", pack "H8", $g;
    for my $to ("$gateway:$ENV{HOST_PORT}", $ENV{OTHER}) {
        my $s = IO::Socket::INET->new(PeerAddr => $to, Timeout => 2);
        print $to, $s ? " answers\n" : " is silent\n";
    }
'"#;

/// What an app, and a step of a build, reach: of the machine's port and of another address.
struct Scanner<'a> {
    engine: &'a Engine,
    host_port: u16,
    other: SocketAddr,
}

impl Scanner<'_> {
    async fn app(&self) -> String {
        let environment =
            [("HOST_PORT", self.host_port.to_string()), ("OTHER", self.other.to_string())]
                .map(|(name, value)| (name.to_owned(), value))
                .into();
        let spec = ContainerSpec { environment, ..self.engine.spec() };
        self.engine.containers.ensure_running(&spec, Epoch(1)).await.unwrap();
        self.engine.exit_of(&spec.name()).await;
        self.engine.output_of(&spec.name()).await
    }

    /// The step fails, so that the build says what it printed and leaves no image behind.
    async fn build(&self) -> String {
        let (port, other) = (self.host_port, self.other);
        let command = format!("HOST_PORT={port} OTHER={other} {SCAN}; exit 3");
        let step = serde_json::to_string(&["sh", "-c", &command]).unwrap();
        let context = dockerfile(&format!("FROM {BASE}\nRUN {step}\n"));
        let built = self.engine.containers.build("adapters-test/scan", context).await;
        built.unwrap_err().to_failure().output.join("\n")
    }

    /// How many of the two answer an app, and a build.
    async fn answers(&self) -> (usize, usize) {
        let (app, build) = (self.app().await, self.build().await);
        let count = |output: &str| {
            let said = |what: &str| output.lines().filter(|line| line.ends_with(what)).count();
            let (answers, silent) = (said(" answers"), said(" is silent"));
            assert_eq!(answers + silent, 2, "{output}");
            answers
        };
        (count(&app), count(&build))
    }
}

/// Where something listens that is reached through this machine and is not it: a container that is
/// nobody's app. The engine keeps its networks apart; until this is dropped, not from this address.
struct Target {
    address: SocketAddr,
}

impl Target {
    async fn start(engine: &Engine) -> Self {
        let ip = engine.stranger(&format!("export LISTEN=0.0.0.0:8080 STATUS=200; {APP}")).await;
        let target = Target { address: (ip, 8080).into() };
        until_served(target.address).await;
        target.let_through("-I");
        target
    }

    #[expect(clippy::disallowed_methods, reason = "the engine has no call for it")]
    fn let_through(&self, verb: &str) {
        let ip = self.address.ip().to_string();
        for side in ["-s", "-d"] {
            let rule = ["-w", "5", verb, "DOCKER-USER", side, &ip, "-j", "ACCEPT"];
            let done = Command::new("iptables").args(rule).status();
            assert!(done.is_ok_and(|status| status.success()), "{rule:?}");
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.let_through("-D");
    }
}

fn denying(range: String) -> firewall::Rules {
    firewall::Rules { deny: vec![range], resolvers: vec!["192.0.2.53".parse().unwrap()] }
}

/// The machine has one packet filter.
static FILTER: Mutex<()> = Mutex::const_new(());

#[tokio::test]
async fn neither_an_app_nor_a_build_reaches_the_machine_or_what_is_denied() {
    let _filter = FILTER.lock().await;
    with_engine(SCAN, async |engine| {
        // A platform that was killed leaves its wall.
        firewall::remove().await.unwrap();
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let host_port = listener.local_addr().unwrap().port();
        let target = Target::start(engine).await;
        let scanner = Scanner { engine, host_port, other: target.address };
        assert_eq!(scanner.answers().await, (2, 2), "without a wall both can be reached");
        let wall = async |range: String| {
            let rules = denying(range);
            firewall::apply(&rules).await.unwrap();
            firewall::apply(&rules).await.unwrap();
            scanner.answers().await
        };
        let open = wall("192.0.2.0/24".to_owned()).await;
        let closed = wall(format!("{}/32", target.address.ip())).await;
        firewall::remove().await.unwrap();
        assert_eq!(open, (1, 1), "what is not denied can be reached, the machine cannot");
        assert_eq!(closed, (0, 0), "what is denied cannot be reached");
        assert_eq!(scanner.answers().await, (2, 2), "the wall can be taken down");
    })
    .await;
}

#[derive(Debug)]
struct Iptables;

#[async_trait]
impl Firewall for Iptables {
    async fn apply(&self, _: &Rules) -> Result<(), Cause> {
        Ok(firewall::apply(&firewall::Rules::default()).await?)
    }
}

/// What sets the rules for who is not root.
#[derive(Debug)]
struct InContainer(ContainerFirewall);

impl InContainer {
    fn new() -> Self {
        let socket = Path::new("/var/run/docker.sock");
        InContainer(ContainerFirewall::new(socket, "avishkar/firewall:dev").unwrap())
    }
}

#[async_trait]
impl Firewall for InContainer {
    async fn apply(&self, _: &Rules) -> Result<(), Cause> {
        Ok(self.0.apply(&firewall::Rules::default()).await?)
    }
}

/// Whether the machine answers an app that an agent behind this wall starts at once after `take_down`.
async fn reaches_machine(wall: impl Firewall + 'static, take_down: impl AsyncFnOnce()) -> bool {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let mut reached = None;
    with_engine(&format!("{SCAN}; exec sleep 600"), async |engine| {
        let containers = Arc::new(engine.containers.clone());
        while_serving_behind(Arc::new(wall), containers, async |served| {
            let scan = || spec(engine, &[("HOST_PORT", &port), ("OTHER", "127.0.0.1:1")]);
            served.client.ensure(&served.agent, ISSUER, &scan()).await.unwrap();
            take_down().await;
            let second = scan();
            served.client.ensure(&served.agent, ISSUER, &second).await.unwrap();
            let scanned = async {
                loop {
                    let output = engine.output_of(&second.name()).await;
                    if output.lines().count() == 2 {
                        return output;
                    }
                }
            };
            let output = tokio::time::timeout(PATIENCE, scanned).await.unwrap();
            reached = Some(output.contains(" answers"));
        })
        .await;
    })
    .await;
    reached.unwrap()
}

#[tokio::test]
async fn an_app_started_after_the_rules_were_flushed_is_behind_them() {
    let _filter = FILTER.lock().await;
    let reached = reaches_machine(Iptables, async || flush()).await;
    firewall::remove().await.unwrap();
    assert!(!reached);
}

#[expect(clippy::disallowed_methods, reason = "somebody else does it")]
fn flush() {
    for chain in ["AVISHKAR", "AVISHKAR-INPUT"] {
        let flushed = Command::new("iptables").args(["-w", "5", "-F", chain]).status();
        assert!(flushed.unwrap().success(), "{chain}");
    }
}

#[tokio::test]
async fn an_app_started_after_another_user_removed_the_rules_is_behind_them() {
    let _filter = FILTER.lock().await;
    let other = InContainer::new().0;
    let take_down = async || other.remove().await.unwrap();
    let reached = reaches_machine(InContainer::new(), take_down).await;
    other.remove().await.unwrap();
    assert!(!reached);
}

#[tokio::test]
async fn a_missing_image_is_told_whatever_the_app_is_called() {
    with_agent(async |engine, served| {
        let repository = format!("{}/social-network", engine.image.repository());
        let image = ImageRef::new(&repository, Digest::of(b"nobody pushed it")).unwrap();
        let spec = ContainerSpec { image, ..spec(engine, &[]) };
        let refused = served.client.ensure(&served.agent, ISSUER, &spec).await;
        let Err(nodes::Error::Failed { failure, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(failure.code, FailureCode::ImageUnavailable, "{failure}");
    })
    .await;
}

#[tokio::test]
async fn what_stages_of_builds_leave_behind_is_removed_with_the_images() {
    with_engine(APP, async |engine| {
        let stage = format!("{}={}", label::PLATFORM, label::STAGE);
        let text = format!(
            "FROM {BASE} AS first\nLABEL {stage}\nENV MADE_BY={}\n\nFROM {BASE}\nCOPY --from=first /etc/hostname /\n",
            engine.own_instance()
        );
        engine.build(dockerfile(&text)).await;
        assert!(!engine.stages().await.is_empty());
        for image in engine.stages().await {
            engine.containers.remove_image(&image.id).await.unwrap();
        }
        assert_eq!(engine.stages().await, []);
    })
    .await;
}
