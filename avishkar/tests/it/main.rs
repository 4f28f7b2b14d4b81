//! The binary as it is typed.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should say where")]

mod api_map;
mod bootstrap;
mod bus;
mod certificates;
mod doctor;
mod doors;
mod fake_platform;
mod machines;
mod nodes;
mod rolling_back;
mod setup;
mod signing_in;
mod talking;
mod typing;
mod up;

use std::process::{Command, Output};

const SERVICES: [&str; 6] = [
    "app-manager",
    "deployment-manager",
    "node-manager",
    "load-balancer",
    "monitoring",
    "node-agent",
];
const SECRET: &str = "a secret that is long enough to sign with";

/// Runs the binary with these arguments and variables, and no others of ours.
#[expect(clippy::disallowed_methods, reason = "the binary is the thing under test")]
fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_avishkar"));
    command.args(arguments).env_clear().envs(variables.iter().copied());
    command.env("XDG_CONFIG_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.output().unwrap()
}

/// The binary with these arguments, as somebody whose settings are kept in `home`.
#[expect(clippy::disallowed_methods, reason = "the binary is the thing under test")]
fn avishkar(arguments: &[&str], home: &tempfile::TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_avishkar"));
    command.args(arguments).env_clear().env("XDG_CONFIG_HOME", home.path());
    command
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_configuration_of_every_service_is_right_as_it_is_shipped() {
    for service in SERVICES {
        let secret = [("AVISHKAR_AUTH__JWT_SECRET", SECRET)];
        let variables = if service == "app-manager" { &secret[..] } else { &[] };
        let output = run(&["service", service, "--check-config"], variables);
        assert!(output.status.success(), "{service}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_setting_that_does_not_exist_is_refused_with_the_code_for_wrong_typing() {
    for service in SERVICES {
        let output = run(
            &["service", service, "--check-config"],
            &[("AVISHKAR_HTTP__ADRESS", "127.0.0.1:1")],
        );
        assert_eq!(output.status.code(), Some(2), "{service}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("adress"), "{service}: {said}");
    }
}

#[test]
fn without_a_secret_the_app_manager_refuses_to_start() {
    let output = run(&["service", "app-manager", "--check-config"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("auth.jwt_secret"));
}

#[test]
fn a_printed_configuration_shows_no_secret() {
    let output = run(
        &["service", "app-manager", "--print-config"],
        &[("AVISHKAR_AUTH__JWT_SECRET", SECRET)],
    );
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && printed.contains("jwt_secret"), "{printed}");
    assert!(!printed.contains(SECRET), "{printed}");
}

#[test]
fn who_is_not_signed_in_is_told_what_to_do() {
    let output = run(&["apps"], &[]);
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("avishkar login"));
}

#[test]
fn a_platform_that_does_not_answer_has_a_code_of_its_own() {
    let arguments = ["--server", "http://127.0.0.1:1", "login", "--password-file", "/dev/null"];
    let output = run(&arguments, &[]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
}
