//! Azure's bad days: limits, conflicts, quotas, failures halfway, lost answers, tokens that run out.

use std::time::Duration;

use adapters::AzureMachines;
use common::port::Machines as _;
use common::port::machines::{Error, MachineSpec, Power};
use futures::future::join_all;
use testkit::azure::{Fault, SECRET};
use tokio::time::Instant;

use super::{Rig, principal, settings};

const NOTHING: [&str; 2] = ["resourceGroups/fleet", "virtualNetworks/fleet"];
const KINDS: [&str; 6] = [
    "resourceGroups",
    "virtualNetworks",
    "networkSecurityGroups",
    "publicIPAddresses",
    "networkInterfaces",
    "virtualMachines",
];

/// Makes a machine, with a fault in every step of it, and removes it with one in every step of that.
async fn passes_through(fault: Fault) {
    let rig = Rig::open().await;
    let spec = rig.spec();
    for kind in KINDS {
        rig.azure.fail_next("PUT", kind, [fault]);
        rig.azure.fail_next("GET", kind, [fault]);
        rig.azure.fail_next("DELETE", kind, [fault]);
    }
    for verb in ["start", "deallocate"] {
        rig.azure.fail_next("POST", &format!("virtualMachines/{verb}"), [fault]);
    }
    rig.azure.fail_next("GET", "operations", [fault]);
    if fault != Fault::Busy {
        rig.azure.fail_next("POST", "token", [fault]);
    }
    let made = rig.machines.create(&spec).await.unwrap();
    assert_eq!(made.power, Power::Running);
    rig.machines.stop(&spec.name).await.unwrap();
    assert_eq!(rig.machines.start(&spec.name).await.unwrap(), made);
    rig.machines.delete(&spec.name).await.unwrap();
    assert_eq!(rig.azure.names(), NOTHING, "{fault:?}");
}

#[tokio::test]
async fn a_limit_of_requests_and_a_busy_resource_are_waited_for() {
    passes_through(Fault::Throttled(0)).await;
    passes_through(Fault::Busy).await;
}

#[tokio::test]
async fn a_request_or_an_answer_that_is_lost_is_asked_for_again() {
    let faults = [Fault::Broken, Fault::NotReceived, Fault::AnswerLost];
    join_all(faults.map(passes_through)).await;
}

#[tokio::test]
async fn an_operation_is_followed_however_it_is_told() {
    for fault in [Fault::LocationOnly, Fault::NoLink, Fault::LinkElsewhere] {
        passes_through(fault).await;
    }
}

#[tokio::test]
async fn as_long_is_waited_as_azure_says() {
    let rig = Rig::open().await;
    let spec = rig.spec();
    rig.azure.fail_next("GET", "virtualMachines", [Fault::Throttled(1), Fault::Throttled(1)]);
    let began = Instant::now();
    assert_eq!(rig.machines.look(&spec.name).await.unwrap(), None);
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(rig.azure.asked().iter().filter(|asked| asked.starts_with("GET")).count(), 3);
    rig.machines.create(&spec).await.unwrap();
    rig.azure.set_retry_after(1);
    rig.azure.set_looks(1);
    let began = Instant::now();
    rig.machines.stop(&spec.name).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_there_is_too_little_of_is_told_and_nothing_half_made_is_left() {
    let cores = "Operation could not be completed as it results in exceeding approved Cores quota.";
    let faults = [
        ("virtualMachines", Fault::Refused(409, "OperationNotAllowed", cores)),
        ("virtualMachines", Fault::Refused(409, "SkuNotAvailable", "Not in this location.")),
        ("virtualMachines", Fault::Refused(409, "QuotaExceeded", "No more.")),
        ("virtualMachines", Fault::EndsFailed("AllocationFailed", "There is no capacity.")),
        ("publicIPAddresses", Fault::Refused(400, "PublicIPCountLimitReached", "No more.")),
    ];
    let rig = Rig::open().await;
    for (kind, fault) in faults {
        rig.azure.fail_next("PUT", kind, [fault]);
        let full = rig.machines.create(&rig.spec()).await;
        assert!(matches!(&full, Err(Error::Quota { .. })), "{fault:?}: {full:?}");
        assert!(full.unwrap_err().hint().contains("quota"));
        assert_eq!(rig.azure.names(), NOTHING, "{fault:?}");
    }
}

#[tokio::test]
async fn a_machine_that_is_made_halfway_is_told_and_removed() {
    let rig = Rig::open().await;
    let fault = Fault::EndsFailed("OSProvisioningClientError", "It did not come up.");
    rig.azure.fail_next("PUT", "virtualMachines", [fault]);
    let refused = rig.machines.create(&rig.spec()).await;
    let told = matches!(&refused, Err(Error::Refused(what)) if what.contains("did not come up"));
    assert!(told, "{refused:?}");
    assert_eq!(rig.azure.names(), NOTHING);
}

#[tokio::test]
async fn a_machine_that_somebody_left_half_made_is_finished() {
    let rig = Rig::open().await;
    let spec = rig.spec();
    // As if the process had ended before it was told of the failure, and of its own clearing up.
    let fault = Fault::EndsFailed("InternalExecutionError", "Something broke.");
    rig.azure.fail_next("PUT", "virtualMachines", [fault]);
    let failed = rig.machines.create(&spec).await;
    assert!(matches!(&failed, Err(err) if err.is_retryable()), "{failed:?}");
    let seen = rig.machines.look(&spec.name).await.unwrap().unwrap();
    assert_eq!(seen.power, Power::Unknown);
    assert_eq!(rig.machines.create(&spec).await.unwrap().power, Power::Running);
}

#[tokio::test]
async fn a_machine_that_does_not_start_stays_and_may_start_later() {
    let rig = Rig::open().await;
    let spec = rig.spec();
    let made = rig.machines.create(&spec).await.unwrap();
    rig.machines.stop(&spec.name).await.unwrap();
    let fault = Fault::EndsFailed("AllocationFailed", "There is no capacity.");
    rig.azure.fail_next("POST", "virtualMachines/start", [fault, fault]);
    let full = rig.machines.start(&spec.name).await;
    assert!(matches!(&full, Err(Error::Quota { .. })), "{full:?}");
    let full = rig.machines.create(&spec).await;
    assert!(matches!(&full, Err(Error::Quota { .. })), "{full:?}");
    let seen = rig.machines.look(&spec.name).await.unwrap().unwrap();
    assert_eq!(seen.power, Power::Stopped);
    assert_eq!(rig.machines.create(&spec).await.unwrap(), made);
}

#[tokio::test]
async fn a_restart_whose_answer_is_lost_is_not_asked_for_again() {
    let rig = Rig::open().await;
    let spec = rig.spec();
    let made = rig.machines.create(&spec).await.unwrap();
    let restarts =
        |rig: &Rig| rig.azure.asked().iter().filter(|asked| asked.contains("/restart/")).count();
    rig.azure.fail_next("POST", "virtualMachines/restart", [Fault::AnswerLost]);
    let lost = rig.machines.restart(&spec.name).await;
    assert!(matches!(&lost, Err(err) if err.is_retryable()), "{lost:?}");
    assert_eq!(restarts(&rig), 1);
    assert_eq!(rig.machines.restart(&spec.name).await.unwrap(), made);
    assert_eq!(restarts(&rig), 2);
}

#[tokio::test]
async fn a_token_that_runs_out_on_the_way_is_replaced() {
    let rig = Rig::open().await;
    rig.machines.create(&rig.spec()).await.unwrap();
    assert_eq!(rig.azure.tokens_given(), 1);
    rig.azure.expire_tokens();
    rig.machines.create(&rig.spec()).await.unwrap();
    assert_eq!(rig.azure.tokens_given(), 2);
}

#[tokio::test]
async fn who_is_not_known_or_may_not_is_told_so_and_no_secret_is_shown() {
    let rig = Rig::open().await;
    let stranger = AzureMachines::connect(settings(&rig.azure), principal("hidden")).unwrap();
    let refused = stranger.list().await.unwrap_err();
    assert!(matches!(&refused, Error::CredentialsRefused(_)), "{refused:?}");
    let shown = format!("{refused:?} {stranger:?} {:?}", principal("hidden"));
    assert!(!shown.contains("hidden") && shown.contains("AADSTS7000215"), "{shown}");
    let forbidden = Fault::Refused(403, "AuthorizationFailed", "It may not write.");
    rig.azure.fail_next("PUT", "resourceGroups", [forbidden]);
    let spec: MachineSpec = rig.spec();
    let refused = rig.machines.create(&spec).await.unwrap_err();
    assert!(matches!(&refused, Error::CredentialsRefused(_)), "{refused:?}");
    assert!(!refused.is_retryable() && refused.hint().contains("credentials"));
    let shown = format!("{:?}", rig.machines);
    assert!(!shown.contains("token-1") && !shown.contains(SECRET), "{shown}");
    let unknown = "00000000-0000-0000-0000-00000000000f".to_owned();
    let elsewhere = super::AzureSettings { subscription: unknown, ..settings(&rig.azure) };
    let elsewhere = AzureMachines::connect(elsewhere, principal(SECRET)).unwrap();
    let refused = elsewhere.look(&spec.name).await.unwrap_err();
    assert!(matches!(&refused, Error::CredentialsRefused(_)), "{refused:?}");
}

#[tokio::test]
async fn an_azure_that_cannot_be_reached_may_be_asked_later() {
    let rig = Rig::open().await;
    let settings = settings(&rig.azure);
    drop(rig);
    let machines = AzureMachines::connect(settings, principal(SECRET)).unwrap();
    let refused = machines.list().await.unwrap_err();
    assert!(refused.is_retryable(), "{refused:?}");
}
