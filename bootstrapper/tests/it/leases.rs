//! The right to change a platform.

use std::sync::Arc;
use std::time::Duration;

use bootstrapper::{Holder, Lease, LeaseError};
use common::port::host::{Access, Credential, Gate};
use common::port::{Host, Hosts as _};
use futures::future::join_all;
use testkit::hosts::machine_programs as engine;
use testkit::{MemoryHosts, SeededEntropy};

const AT: &str = "192.0.2.7";
const FOLDER: &str = "/var/lib/avishkar/platform/leases/";

/// A machine with a clock, and a connection to it.
async fn machine() -> (MemoryHosts, Arc<dyn Host>) {
    let hosts = MemoryHosts::new();
    engine::install(&hosts);
    let host_key = hosts.add(AT);
    let key = hosts.make_key("/keys/ops", "ops");
    hosts.with(AT, |system| {
        engine::bare(system, 1_000_000);
        system.authorize("root", &key);
    });
    let access = Access {
        at: Gate::new(AT),
        user: "root".to_owned(),
        credential: Credential::KeyFile("/keys/ops".into()),
        host_key,
    };
    let host = hosts.connect(&access).await.unwrap();
    (hosts, host)
}

fn pass(hosts: &MemoryHosts, seconds: i64) {
    hosts.with(AT, |system| {
        let now: i64 = engine::text(system, "/proc/clock").parse().unwrap();
        engine::put(system, "/proc/clock", &(now + seconds).to_string());
    });
}

fn holder(number: u64) -> Holder {
    Holder { name: format!("ops@{number}"), computer: number.to_string() }
}

async fn take(host: &Arc<dyn Host>, number: u64) -> Result<Lease, LeaseError> {
    let entropy = Arc::new(SeededEntropy::new(number));
    Lease::take(Arc::clone(host), entropy, &holder(number), Duration::ZERO, |_| {}).await
}

#[tokio::test(start_paused = true)]
async fn of_many_who_come_at_once_one_has_it() {
    let (_, host) = machine().await;
    let all = join_all((0..8).map(|number| take(&host, number))).await;
    let held = all.iter().filter(|taken| matches!(taken, Err(LeaseError::Held { .. }))).count();
    assert_eq!((all.iter().filter(|taken| taken.is_ok()).count(), held), (1, 7));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_given_back_is_anybodys_at_once() {
    let (hosts, host) = machine().await;
    for number in 0..3 {
        let lease = take(&host, number).await.unwrap();
        assert!(matches!(take(&host, 99).await, Err(LeaseError::Held { .. })));
        lease.release().await.unwrap();
    }
    let files = hosts
        .with(AT, |system| system.files.keys().filter(|path| path.starts_with(FOLDER)).count());
    assert_eq!(files, 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_renewed_ends_by_the_machines_clock() {
    let (hosts, host) = machine().await;
    let lost = take(&host, 1).await.unwrap();
    pass(&hosts, 89);
    let held = take(&host, 2).await.unwrap_err();
    let LeaseError::Held { holder, seconds_ago } = held else { panic!("{held}") };
    assert_eq!((holder.as_str(), seconds_ago), ("ops@1", 89));
    pass(&hosts, 1);
    let taken = take(&host, 2).await.unwrap();
    // Who comes back hears that it is his no more, and changes nothing.
    assert!(matches!(lost.keep().await, LeaseError::Lost));
    assert!(matches!(lost.release().await, Err(LeaseError::Lost)));
    assert!(matches!(take(&host, 3).await, Err(LeaseError::Held { .. })));
    taken.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_was_killed_takes_up_his_own_at_once() {
    let (_, host) = machine().await;
    drop(take(&host, 1).await.unwrap());
    take(&host, 1).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_no_lease_is_nobodys_to_remove() {
    let (hosts, host) = machine().await;
    hosts.with(AT, |system| engine::put(system, &format!("{FOLDER}7"), "{"));
    let damaged = take(&host, 1).await.unwrap_err();
    assert!(matches!(&damaged, LeaseError::Damaged { path } if path.ends_with("/7")), "{damaged}");
}
