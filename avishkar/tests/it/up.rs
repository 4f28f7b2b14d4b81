//! `avishkar up` as far as it comes without a real engine.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use rustix::process::geteuid;
use serde_json::{Value, json};

use crate::doctor::{engine, engine_on};
use crate::{avishkar, said};

/// Its edge runs, so that the ports of this machine do not matter, and there is no image of it.
fn started(place: &Path, words: &[&str]) -> Output {
    let data = place.join("data");
    let labels = json!({ "avishkar.platform": "edge", "avishkar.edge": "", "avishkar.home": data });
    let edge = json!({ "Names": ["/avishkar-edge"], "Labels": labels });
    let socket = engine(place, ("28.0.4", "1.48"), json!([edge]));
    let home = tempfile::tempdir().unwrap();
    let services = [
        "app-manager",
        "deployment-manager",
        "node-manager",
        "load-balancer",
        "monitoring",
        "lifecycle-manager",
        "platform-initializer",
    ];
    // All are held at once, so that no two are the same.
    let listeners = services.map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let addresses = listeners.map(|listener| listener.local_addr().unwrap());
    let mut command = avishkar(words, &home);
    command.arg("up").arg("--data").arg(data);
    for (service, address) in services.iter().zip(addresses) {
        command.arg("--set").arg(format!("{service}.http.address={address}"));
    }
    command.arg("--set").arg(format!("node-agent.docker.socket={}", socket.display()));
    // The packet filter is this machine's own.
    command.args(["--set", "node-agent.firewall.enabled=false"]);
    command.output().unwrap()
}

#[test]
fn for_programs_logs_are_in_the_file_and_not_on_standard_output() {
    for (words, logs_on_output) in [(&["--json"][..], false), (&[][..], true)] {
        let place = tempfile::tempdir().unwrap();
        let output = started(place.path(), words);
        let told = said(&output.stderr);
        assert!(told.contains("there is no image"), "{told}");
        assert_eq!(said(&output.stdout).contains("started"), logs_on_output, "{words:?}");
        assert_eq!(output.stdout.is_empty(), !logs_on_output, "{}", said(&output.stdout));
        let logs = place.path().join("data/logs/avishkar_logs.log");
        assert!(fs::read_to_string(logs).unwrap().contains("started"), "{words:?}");
    }
}

#[test]
fn a_folder_of_settings_that_is_not_there_and_a_misspelled_file_are_typed_wrong() {
    let place = tempfile::tempdir().unwrap();
    let missing = place.path().join("nothing");
    let settings = place.path().join("settings");
    fs::create_dir(&settings).unwrap();
    fs::write(settings.join("app-manger.toml"), "").unwrap();
    for (folder, named) in [(&missing, "nothing"), (&settings, "app-manger.toml")] {
        for command in ["up", "doctor"] {
            let folder = folder.to_str().unwrap();
            let words = [command, "--data", "state", "--config", folder];
            let output = avishkar(&words, &place).current_dir(place.path()).output().unwrap();
            let told = said(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{told}");
            assert!(told.contains(named), "{told}");
            assert_eq!(told.contains("up.toml, app-manager.toml"), named != "nothing", "{told}");
        }
    }
    assert!(!place.path().join("state").exists());
}

#[test]
fn somebody_elses_container_with_the_name_of_the_edge_is_in_the_way_and_named() {
    let place = tempfile::tempdir().unwrap();
    let stranger = json!({ "Names": ["/avishkar-edge"], "Labels": {} });
    let socket = engine(place.path(), ("28.0.4", "1.48"), json!([stranger]));
    let setting = format!("node-agent.docker.socket={}", socket.display());
    let data = place.path().join("data");
    let words = ["--json", "up", "--data", data.to_str().unwrap(), "--set", &setting];
    let output = avishkar(&words, &place).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), &told["code"]),
        (Some(23), &json!("EDGE_NAME_TAKEN")),
        "{told}"
    );
    assert!(told["hint"].as_str().unwrap().contains("docker rm avishkar-edge"), "{told}");
    assert!(!data.exists());
}

#[test]
fn what_is_in_the_way_of_a_start_has_its_exit_code_and_nothing_is_made() {
    const NEW: (&str, &str) = ("28.0.4", "1.48");
    let part = json!({
        "Names": ["/avishkar_kafka_1"], "Labels": { "com.docker.compose.project": "avishkar" },
    });
    let cases = [
        (12, "DOCKER_TOO_OLD", "/", ("19.03.15", "1.40"), json!([]), "data"),
        // Of a file system that is in memory, nothing is ever free.
        (13, "DOCKER_DISK_FULL", "/sys", NEW, json!([]), "data"),
        (18, "FOLDER_NOT_WRITABLE", "/", NEW, json!([]), "file/below"),
        (20, "CLUSTER_RUNS", "/", NEW, json!([part]), "data"),
    ];
    for (exit_code, code, root, version, running, data) in cases {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("file"), "somebody's").unwrap();
        let socket = engine_on(root, place.path(), version, running);
        let setting = format!("node-agent.docker.socket={}", socket.display());
        let data = place.path().join(data);
        let words = ["--json", "up", "--data", data.to_str().unwrap(), "--set", &setting];
        let output = avishkar(&words, &place).output().unwrap();
        let told: Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), &told["code"]),
            (Some(exit_code), &json!(code)),
            "{told}"
        );
        assert!(!told["hint"].as_str().unwrap().is_empty(), "{told}");
        assert!(!data.exists(), "{code} left a folder");
    }
}

/// The binary after `prepare`, which changes file systems for it alone, or `$@`, what is run. It may change nothing in `data`.
#[expect(clippy::disallowed_methods, reason = "the binary is the thing under test")]
fn after(prepare: &str, words: &[&str], place: &Path) -> Output {
    let script = format!(
        r#"{prepare}
        before=$(find data); "$@"; status=$?
        [ "$before" = "$(find data)" ] || exit 99
        exit $status"#
    );
    let mut command = Command::new("unshare");
    command.arg("--mount").args((!geteuid().is_root()).then_some("--map-root-user"));
    command.args(["sh", "-c", &script, "sh", env!("CARGO_BIN_EXE_avishkar")]).args(words);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("XDG_CONFIG_HOME", place);
    command.current_dir(place).output().unwrap()
}

#[test]
fn bad_days_that_take_another_machine_have_their_exit_codes_too() {
    // Without its capabilities, root is refused as everybody is.
    let powerless =
        r#"chmod 0 docker.sock; set -- setpriv --bounding-set=-all --inh-caps=-all "$@""#;
    let cases = [
        (11, "DOCKER_FORBIDDEN", "up", powerless),
        (19, "FOLDER_DISK_FULL", "up", "mount -t tmpfs -o size=1m none data"),
        (21, "SYSTEMD_ABSENT", "up --install", "mount -t tmpfs none /run"),
        (25, "FOLDER_FAILED", "up", "mkdir data/store.redb; echo 1 >data/format"),
    ];
    for (exit_code, code, typed, prepare) in cases {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("data")).unwrap();
        let socket = engine(place.path(), ("28.0.4", "1.48"), json!([]));
        let setting = format!("node-agent.docker.socket={}", socket.display());
        let mut words = vec!["--json"];
        words.extend(typed.split(' '));
        words.extend(["--data", "data", "--set", &setting]);
        let output = after(prepare, &words, place.path());
        let told = said(&output.stderr);
        assert_eq!(output.status.code(), Some(exit_code), "{code}: {told}");
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["code"], code, "{told}");
        assert!(!told["hint"].as_str().unwrap().is_empty(), "{told}");
    }
}

#[test]
fn down_means_the_engine_that_up_was_given_and_leaves_the_containers_of_others() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    fs::create_dir(&data).unwrap();
    // A node of a cluster: its agent signs nothing.
    let app = json!({ "Names": ["/shop_instance_1"], "Labels": { "avishkar.platform": "app" } });
    let socket = engine(place.path(), ("28.0.4", "1.48"), json!([app]));
    let given = json!({
        "config": null, "files": {},
        "overrides": [["node-agent.docker.socket", socket.to_str().unwrap()]],
    });
    fs::write(data.join("given.json"), given.to_string()).unwrap();
    let words = ["--json", "down", "--data", data.to_str().unwrap()];
    let output = avishkar(&words, &place).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stderr).unwrap();
    let expected = (Some(22), &json!("PLATFORM_ELSEWHERE"));
    assert_eq!((output.status.code(), &told["code"]), expected, "{told}");
}

#[test]
fn a_file_that_is_gone_is_told_with_the_command_that_goes_on_without_it() {
    let place = tempfile::tempdir().unwrap();
    let first = started(place.path(), &["--json"]);
    assert!(said(&first.stderr).contains("there is no image"), "{}", said(&first.stderr));
    fs::remove_file(place.path().join("docker.sock")).unwrap();
    let store = place.path().join("data/store.redb");
    fs::rename(&store, place.path().join("data/elsewhere")).unwrap();
    let second = started(place.path(), &["--json"]);
    let told: Value = serde_json::from_slice(&second.stderr).unwrap();
    assert_eq!((second.status.code(), &told["code"]), (Some(17), &json!("FOLDER_DAMAGED")));
    let hint = told["hint"].as_str().unwrap();
    let command =
        format!("`avishkar up --accept-restore --data {}`", place.path().join("data").display());
    assert!(hint.contains(&command), "{hint}");
    assert!(!store.exists(), "it is not made in silence");
}
