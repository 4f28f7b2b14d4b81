//! What every upkeep must do.

use common::id::RequestId;
use common::name::NodeName;
use common::port::Upkeep;
use common::port::upkeep::{Addition, Error, Pin, Target};
use common::record::machine::MachineState;
use uuid::Uuid;

/// Runs the whole contract on a platform that runs; `described` is a machine of its description that is ready, and
/// `quarantined` is another one that is not. Its requests are restarts of a service, and one of a machine more.
pub async fn holds(upkeep: &dyn Upkeep, described: &NodeName, quarantined: &NodeName) {
    machines_are_listed_in_the_order_of_names(upkeep, described).await;
    a_request_is_taken_again_and_never_for_something_else(upkeep).await;
    an_id_stands_for_one_request_of_all_families(upkeep, described).await;
    what_nobody_is_called_is_refused(upkeep).await;
    a_machine_of_the_description_stays(upkeep, described).await;
    a_host_key_is_pinned_where_a_quarantine_asks_for_it(upkeep, quarantined).await;
}

fn request(number: u128) -> RequestId {
    RequestId(Uuid::from_u128(number))
}

fn target(family: &str, name: &str) -> Target {
    Target::of(family, name).expect("it is a family").expect("it is a name")
}

/// A host key of no machine.
pub fn pin() -> Pin {
    let key = format!("ssh-ed25519 SHA256:{}", "A".repeat(43));
    Pin { host_key: key.parse().expect("it is a host key") }
}

/// Status and code of a refusal.
fn told<T>(answer: Result<T, Error>) -> (u16, String) {
    match answer {
        Err(Error::Refused(problem)) => (problem.status, problem.code),
        Err(Error::Unavailable(source)) => panic!("it is away: {source}"),
        Ok(_) => panic!("it is taken"),
    }
}

async fn machines_are_listed_in_the_order_of_names(upkeep: &dyn Upkeep, described: &NodeName) {
    let machines = upkeep.machines().await.expect("machines are listed");
    assert!(machines.is_sorted_by(|one, other| one.name < other.name), "{machines:?}");
    let found = machines.iter().find(|machine| machine.name == *described);
    assert_eq!(found.expect("it is there").state, MachineState::Ready);
}

async fn a_request_is_taken_again_and_never_for_something_else(upkeep: &dyn Upkeep) {
    let (one, other) = (target("services", "node_manager"), target("services", "node-manager"));
    let third = target("services", "monitoring");
    upkeep.restart(request(1), &one).await.expect("it is taken");
    upkeep.restart(request(1), &one).await.expect("it is a repeat");
    upkeep.restart(request(1), &other).await.expect("a service has two names");
    upkeep.restart(request(2), &other).await.expect("it is another request");
    let mismatch = (409, "IDEMPOTENCY_MISMATCH".to_owned());
    assert_eq!(told(upkeep.restart(request(1), &third).await), mismatch);
    let wanted = |name: Option<&str>| Addition {
        name: name.map(|name| name.parse().expect("it is a name")),
        reason: "more room".to_owned(),
    };
    upkeep.add(request(3), &wanted(None)).await.expect("it is taken");
    upkeep.add(request(3), &wanted(None)).await.expect("it is a repeat");
    assert_eq!(told(upkeep.add(request(3), &wanted(Some("extra-1"))).await), mismatch);
}

async fn an_id_stands_for_one_request_of_all_families(upkeep: &dyn Upkeep, described: &NodeName) {
    let mismatch = (409, "IDEMPOTENCY_MISMATCH".to_owned());
    upkeep.restart(request(6), &target("services", "monitoring")).await.expect("it is taken");
    for (family, name) in
        [("nodes", described.as_str()), ("apps", "monitoring"), ("models", "monitoring")]
    {
        let refused = told(upkeep.restart(request(6), &target(family, name)).await);
        assert_eq!(refused, mismatch, "{family}");
    }
    let more = Addition { name: None, reason: "more room".to_owned() };
    assert_eq!(told(upkeep.add(request(6), &more).await), mismatch);
    upkeep.restart(request(6), &target("services", "monitoring")).await.expect("it is a repeat");
}

async fn what_nobody_is_called_is_refused(upkeep: &dyn Upkeep) {
    let nobody = upkeep.restart(request(4), &target("services", "scheduler")).await;
    assert_eq!(told(nobody), (404, "NOT_FOUND".to_owned()));
    // Whoever asks agents to restart would be no agent.
    let agent = upkeep.restart(request(5), &target("services", "node-agent")).await;
    assert_eq!(told(agent), (404, "NOT_FOUND".to_owned()));
    let unknown = (404, "NODE_UNKNOWN".to_owned());
    let nobody: NodeName = "nobody".parse().expect("it is a name");
    assert_eq!(told(upkeep.remove(&nobody).await), unknown);
    assert_eq!(told(upkeep.pin(&nobody, &pin()).await), unknown);
}

async fn a_machine_of_the_description_stays(upkeep: &dyn Upkeep, described: &NodeName) {
    let refused = told(upkeep.remove(described).await);
    assert_eq!(refused, (409, "MACHINE_IN_USE".to_owned()));
}

async fn a_host_key_is_pinned_where_a_quarantine_asks_for_it(
    upkeep: &dyn Upkeep,
    quarantined: &NodeName,
) {
    let state = async || {
        let machines = upkeep.machines().await.expect("machines are listed");
        machines.into_iter().find(|one| one.name == *quarantined).expect("it is there").state
    };
    assert_eq!(state().await, MachineState::Quarantined);
    for _ in 0..2 {
        upkeep.pin(quarantined, &pin()).await.expect("it is pinned");
        assert_ne!(state().await, MachineState::Quarantined);
    }
    let other = format!("ssh-ed25519 SHA256:{}", "B".repeat(43));
    let other = Pin { host_key: other.parse().expect("it is a host key") };
    let refused = told(upkeep.pin(quarantined, &other).await);
    assert_eq!(refused, (409, "NOT_QUARANTINED".to_owned()));
    upkeep.pin(quarantined, &pin()).await.expect("it is known by that one");
}
