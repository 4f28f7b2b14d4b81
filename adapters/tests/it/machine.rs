//! The real agent on a real engine: what it sees of real processes, and how fast it helps itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use adapters::firewall;
use common::id::Epoch;
use common::port::container::{ContainerSpec, ContainerState};
use common::port::nodes::{ContainerUse, Issuer, Probe, Sample};
use common::port::{Containers as _, Nodes as _};
use common::service::ServiceName;
use futures::StreamExt as _;
use testkit::contract::containers::World as _;
use tokio::time::Instant;

use crate::agent::{Served, while_serving};
use crate::engine::{Engine, LOOPBACK, PATIENCE, with_engine};

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
            (80.0..120.0).contains(&used.cpu_percent) && (35.0..95.0).contains(&used.memory_percent)
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
        until_served(bare.host_port).await;
        let floor = began.elapsed();
        served.client.ensure(&served.agent, ISSUER, &spec).await.unwrap();
        until_probe(served, &spec, &Probe::Healthy).await;
        let began = Instant::now();
        engine.kill(&spec.name()).await;
        let restarted = async { while restarts(served, &spec).await == 0 {} };
        tokio::time::timeout(PATIENCE, restarted).await.unwrap();
        until_served(spec.host_port).await;
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

async fn until_served(port: u16) {
    let url = format!("http://{LOOPBACK}:{port}/");
    let served = async {
        while reqwest::get(&url).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, served).await.unwrap();
}

/// Tries to reach the machine by its bridge's address, where everything of it that listens on all
/// addresses can be reached, and says what came of it.
const SCAN: &str = r#"exec perl -MIO::Socket::INET -e '
    open my $r, "<", "/proc/net/route"; my ($g) = map { (split)[1] eq "00000000" ? (split)[2] : () } <$r>;
    my $gateway = join ".", reverse unpack "C4", pack "H8", $g;
    for my $to ("$gateway:$ENV{HOST_PORT}", $ENV{OTHER}) {
        my $s = IO::Socket::INET->new(PeerAddr => $to, Timeout => 2);
        print $to, $s ? " answers\n" : " is silent\n";
    }
'"#;

#[tokio::test]
async fn an_app_reaches_neither_the_machine_nor_what_is_denied() {
    with_engine(SCAN, async |engine| {
        let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let scan = async |other: &str| {
            let environment = [("HOST_PORT", port.to_string()), ("OTHER", other.to_owned())]
                .map(|(name, value)| (name.to_owned(), value))
                .into();
            let spec = ContainerSpec { environment, ..engine.spec() };
            engine.containers.ensure_running(&spec, Epoch(1)).await.unwrap();
            engine.exit_of(&spec.name()).await;
            engine.output_of(&spec.name()).await
        };
        let before = scan("192.0.2.1:9").await;
        assert_eq!(before.matches(" answers").count(), 1, "the machine can be reached: {before}");
        let rules = firewall::Rules {
            deny: vec!["169.254.0.0/16".to_owned()],
            resolvers: vec!["192.0.2.53".parse().unwrap()],
        };
        firewall::apply(&rules).await.unwrap();
        firewall::apply(&rules).await.unwrap();
        let after = scan("169.254.169.254:80").await;
        firewall::remove().await.unwrap();
        assert_eq!(after.matches(" is silent").count(), 2, "{after}");
        let removed = scan("192.0.2.1:9").await;
        assert_eq!(removed.matches(" answers").count(), 1, "{removed}");
    })
    .await;
}
