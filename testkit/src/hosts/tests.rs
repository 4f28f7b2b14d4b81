//! The contract on machines in memory, and the faults that only they have.

use std::time::Duration;

use common::port::host::NewFile;
use tokio::time::Instant;

use super::trial::AT;
use super::*;
use crate::contract::hosts::{World as _, holds};

async fn ops() -> (MemoryHosts, Arc<dyn Host>, Access) {
    let trial = Trial::begin();
    let access = trial.access();
    let hosts = trial.memory().clone();
    let host = hosts.connect(&access).await.unwrap();
    (hosts, host, access)
}

#[tokio::test(start_paused = true)]
async fn the_contract_is_kept() {
    holds(&Trial::begin()).await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_is_off_or_silent_or_full_of_sessions() {
    let (hosts, host, access) = ops().await;
    let with = async |health| {
        hosts.with(AT, |system| system.health = health);
        let ran = host.run(&Command::new("true")).await;
        let connected = hosts.connect(&access).await.map(drop);
        (ran.unwrap_err(), connected.unwrap_err())
    };
    let off = with(Health::Off).await;
    assert!(matches!(off, (Error::Unreachable { .. }, Error::Unreachable { .. })), "{off:?}");
    let began = Instant::now();
    let silent = with(Health::Silent).await;
    let is_late = matches!(silent, (Error::ConnectTimeout { .. }, Error::ConnectTimeout { .. }));
    assert!(is_late && began.elapsed() == 2 * CONNECT, "{silent:?}");
    let (exhausted, _) = with(Health::Exhausted).await;
    assert!(matches!(exhausted, Error::SessionsExhausted { .. }), "{exhausted:?}");
    hosts.with(AT, System::reboot);
    assert!(host.run(&Command::new("true")).await.unwrap().succeeded());
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_was_made_anew_is_told_by_its_key() {
    let (hosts, host, access) = ops().await;
    let found = hosts.change_host_key(AT);
    let refused = host.run(&Command::new("true")).await.unwrap_err();
    let told = matches!(&refused, Error::HostKeyChanged { expected, found: told, .. }
        if *expected == access.host_key && *told == found);
    assert!(told, "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn the_effect_of_a_call_that_fails_is_there_or_not_as_the_fault_says() {
    let (hosts, host, _) = ops().await;
    let path = "/tmp/file".parse().unwrap();
    let file = NewFile::new(path, 0o600).within(Duration::from_secs(7));
    let has_file = || hosts.with(AT, |system| system.files.remove("/tmp/file").is_some());
    for (fault, effect, lost) in [
        (Fault::CutBefore, false, true),
        (Fault::CutAfter, true, true),
        (Fault::StuckBefore, false, false),
        (Fault::StuckAfter, true, false),
    ] {
        hosts.with(AT, |system| system.fail_next([fault]));
        let began = Instant::now();
        let failed = host.write(&file, "x".into()).await.unwrap_err();
        assert_eq!(matches!(failed, Error::ConnectionLost { .. }), lost, "{failed:?}");
        assert!(failed.is_outcome_unknown());
        assert_eq!(began.elapsed() == file.deadline, !lost);
        assert_eq!(has_file(), effect, "{fault:?}");
    }
    host.write(&file, "x".into()).await.unwrap();
    hosts.with(AT, |system| system.disk_full = true);
    let full = host.write(&file, "y".into()).await.unwrap_err();
    assert!(matches!(full, Error::DiskFull { .. }), "{full:?}");
    assert_eq!(hosts.with(AT, |system| system.files["/tmp/file"].bytes.clone()), "x");
}

#[tokio::test(start_paused = true)]
async fn a_test_brings_its_own_programs_and_sees_what_was_told() {
    let (hosts, host, _) = ops().await;
    hosts.install("docker", |system, call| {
        assert_eq!((call.user, call.address), ("root", AT));
        system.folders.insert("/var/lib/docker".to_owned());
        said("26.1.5\n")
    });
    let command = Command::new("docker").args(["version"]).by_root();
    assert_eq!(host.run(&command).await.unwrap().text(), "26.1.5");
    assert_eq!(hosts.told(AT), [command]);
    assert!(hosts.with(AT, |system| system.has_folder("/var/lib/docker")));
}
