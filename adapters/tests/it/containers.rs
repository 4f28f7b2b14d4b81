//! The contract of containers on a real engine, and what only a real engine can show.

use std::os::unix::net::UnixListener;
use std::time::Duration;

use adapters::docker::{DockerContainers, Settings};
use common::id::{Epoch, SlotNumber};
use common::port::Containers as _;
use common::port::container::{ContainerFile, ContainerSpec, ContainerState, Limits};
use common::port::containers::Error;
use testkit::contract::containers::{World as _, holds};

use crate::engine::{BASE, LOOPBACK, dockerfile, fresh_port, with_engine};

const READY: &str = "echo ready; trap 'exit 0' TERM; sleep 600 & wait";

const SHOW: &str = "grep -E 'CapEff|NoNewPrivs' /proc/self/status; id -u; \
    echo port $PORT $GREETING; cat /etc/avishkar/app.json; touch /x; \
    touch /etc/avishkar/app.json; touch /tmp/x && echo tmp; ulimit -n";

#[tokio::test]
async fn the_contract_is_kept() {
    with_engine(READY, async |engine| {
        holds(engine).await;
    })
    .await;
}

#[tokio::test]
async fn an_app_has_no_privileges_and_sees_its_files() {
    with_engine(SHOW, async |engine| {
        for read_only in [false, true] {
            let file = ContainerFile {
                path: "/etc/avishkar/app.json".to_owned(),
                content: "{\"location\":\"here\"}\n".to_owned(),
            };
            let spec = ContainerSpec { read_only, files: vec![file], ..engine.spec() };
            engine.containers.ensure_running(&spec, Epoch(1)).await.unwrap();
            engine.exit_of(&spec.name()).await;
            let output = engine.output_of(&spec.name()).await;
            for expected in [
                "CapEff:\t0000000000000000",
                "NoNewPrivs:\t1",
                "10001",
                "port 8080 hello",
                "{\"location\":\"here\"}",
                "tmp\n",
                "4096",
            ] {
                assert!(output.contains(expected), "{expected} is missing in {output}");
            }
            assert_eq!(output.matches("cannot touch").count(), 2, "{output}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_app_that_takes_too_much_memory_is_killed_and_that_is_told() {
    with_engine("exec perl -e '$x = \"x\" x (1 << 28); sleep 60'", async |engine| {
        let mut told = Vec::new();
        // The engine hears of an end and of its reason from two sides, and may be late with the reason.
        for _ in 0..5 {
            let limits = Limits { memory_bytes: 64 << 20, ..Limits::default() };
            let spec = ContainerSpec { limits, ..engine.spec() };
            engine.containers.ensure_running(&spec, Epoch(1)).await.unwrap();
            let state = engine.exit_of(&spec.name()).await;
            assert!(matches!(state, ContainerState::Exited { code: 137, .. }), "{state:?}");
            if matches!(state, ContainerState::Exited { out_of_memory: true, .. }) {
                return;
            }
            told.push(state);
        }
        panic!("never told: {told:?}");
    })
    .await;
}

#[tokio::test]
async fn a_command_that_does_not_exist_ends_at_once_and_says_why() {
    with_engine(READY, async |engine| {
        let broken = dockerfile(&format!("FROM {BASE}\nENTRYPOINT [\"/no/such/command\"]\n"));
        let image = engine.build(broken).await;
        // With an init in front the engine itself starts well; the app then ends at once.
        let spec = ContainerSpec { image, ..engine.spec() };
        engine.containers.ensure_running(&spec, Epoch(1)).await.unwrap();
        let state = engine.exit_of(&spec.name()).await;
        assert!(matches!(state, ContainerState::Exited { code: 127, .. }), "{state:?}");
        assert!(engine.output_of(&spec.name()).await.contains("/no/such/command"));
    })
    .await;
}

#[tokio::test]
async fn a_build_that_fails_says_its_last_words() {
    with_engine(READY, async |engine| {
        let failing =
            dockerfile(&format!("FROM {BASE}\nRUN echo before; echo after >&2; exit 3\n"));
        let built = engine.containers.build("adapters-test/failing", failing).await;
        let Err(Error::BuildFailed { output }) = built else { panic!("{built:?}") };
        let text = output.join("\n");
        assert!(text.contains("before") && text.contains("after"), "{text}");
        assert!(text.contains("returned a non-zero code: 3"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn replicas_share_a_network_and_instances_do_not() {
    with_engine(READY, async |engine| {
        let one = engine.spec();
        let two = ContainerSpec { slot: SlotNumber(2), host_port: fresh_port(), ..one.clone() };
        let other = engine.spec();
        for spec in [&one, &two, &other] {
            engine.containers.ensure_running(spec, Epoch(1)).await.unwrap();
        }
        let network = engine.network_of(&one.name()).await;
        assert_eq!(engine.network_of(&two.name()).await, network);
        assert_ne!(engine.network_of(&other.name()).await, network);
    })
    .await;
}

#[tokio::test]
async fn a_network_that_someone_removed_is_made_again() {
    with_engine(READY, async |engine| {
        let spec = engine.spec();
        engine.containers.ensure_running(&spec, Epoch(1)).await.unwrap();
        let network = engine.network_of(&spec.name()).await;
        engine.kill(&spec.name()).await;
        engine.exit_of(&spec.name()).await;
        engine.docker.remove_network(&network).await.unwrap();
        let container = engine.containers.ensure_running(&spec, Epoch(1)).await.unwrap();
        assert!(matches!(container.state, ContainerState::Running { .. }));
    })
    .await;
}

#[tokio::test]
async fn an_engine_that_is_not_there_yet_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let containers = DockerContainers::new(Settings {
        socket: folder.path().join("docker.sock"),
        host_ip: LOOPBACK,
        subnets: "10.222.0.0/20".parse().unwrap(),
        build_env: folder.path().to_owned(),
        registry: None,
        home: None,
    });
    let refused = containers.list().await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    let _engine = UnixListener::bind(folder.path().join("docker.sock")).unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(200), containers.list()).await;
    assert!(waiting.is_err(), "it is asked now, and never answers: {waiting:?}");
}
