//! From nothing to a platform.

use bootstrapper::state::{Book as _, Phase};
use bootstrapper::{HostKeys, Manner};
use common::id::Epoch;
use common::port::Parts as _;
use common::port::nodes::{Agent, Issuer};
use common::service::ServiceName;
use testkit::hosts::Health;

use crate::world::{GIVEN, World};

/// What a whole platform of the world's file is.
pub(crate) const WHOLE: [&str; 4] = [
    "node-1 agent=true kafka x1 registry x1 zookeeper x1",
    "node-2 agent=true kafka x1 lifecycle-manager x1 platform-initializer x1 zookeeper x1",
    "node-3 agent=true kafka x1 lifecycle-manager x1 platform-initializer x1 zookeeper x1",
    "node-4 agent=true edge x1",
];

#[tokio::test(start_paused = true)]
async fn a_platform_is_made_from_nothing_and_known_afterwards() {
    let world = World::new();
    let computer = world.computer(1);
    let state = computer.apply().await.unwrap();
    assert_eq!(world.shown(), WHOLE);
    assert_eq!(state.phase, Phase::Applied);
    assert_eq!(computer.book.load().unwrap(), Some(state.clone()));
    let endpoints = state.endpoints.unwrap();
    assert_eq!(endpoints.kafka, ["192.0.2.11:9092", "192.0.2.12:9092", "192.0.2.13:9092"]);
    assert_eq!((endpoints.edge.as_str(), endpoints.lifecycle_managers.len()), (GIVEN, 2));
    assert!(state.machines.iter().all(|machine| machine.host_key.is_some()));
    assert!(state.images.values().all(|image| image.named.is_some()));
    assert_eq!(state.authority.as_deref(), Some("authority 1"));
    let told = serde_json::to_string(&computer.book.load().unwrap()).unwrap();
    assert!(!told.contains("key 1") && !told.contains("content of"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_second_time_nothing_is_left_to_do() {
    let world = World::new();
    world.computer(1).apply().await.unwrap();
    let before = world.hosts.told(GIVEN).len();
    // Another computer, which knows nothing of it, with the same file and key.
    let again = world.computer(2);
    let state = again.apply().await.unwrap();
    assert_eq!(world.shown(), WHOLE);
    assert_eq!(state.authority.as_deref(), Some("authority 1"));
    let acts = world.hosts.told(GIVEN).split_off(before);
    assert!(!acts.iter().any(|command| command.arguments.contains(&"run".to_owned())), "{acts:?}");
}

#[tokio::test(start_paused = true)]
async fn once_a_lifecycle_manager_leads_nothing_is_done_here() {
    let world = World::new();
    let computer = world.computer(1);
    computer.apply().await.unwrap();
    let leader = Issuer { service: ServiceName::LifecycleManager, epoch: Epoch(1) };
    for number in 1..=4 {
        let node = format!("node-{number}").parse().unwrap();
        let address = format!("192.0.2.{}:7443", 10 + number).parse().unwrap();
        let agent = Agent { node, address };
        let registry = "192.0.2.11:5000".parse().unwrap();
        world.parts.registry_at(&agent, leader, registry).await.unwrap();
    }
    let again = world.computer_with(1, crate::power::Cut::Never, computer.book);
    let state = again.apply().await.unwrap();
    assert_eq!(state.phase, Phase::Applied);
    assert!(again.heard.sentences().iter().any(|said| said.contains("keeps the platform")));
    assert_eq!(world.shown(), WHOLE);
}

#[tokio::test(start_paused = true)]
async fn where_one_machine_fails_the_others_become_nodes_and_everything_is_told() {
    let world = World::new();
    world.hosts.with(GIVEN, |system| system.health = Health::Off);
    let computer = world.computer(1);
    let troubles = computer.apply().await.unwrap_err();
    let [trouble] = troubles.as_slice() else { panic!("{troubles:?}") };
    assert_eq!(trouble.machine.as_ref().unwrap().as_str(), "node-4");
    assert_eq!(trouble.code, "MACHINE_UNREACHABLE");
    assert!(!trouble.hint.is_empty());
    let shown = world.shown();
    assert!(shown.iter().filter(|line| line.contains("agent=true")).count() == 3, "{shown:?}");
    // What is there is known; nobody has touched the one that is off.
    let state = computer.book.load().unwrap().unwrap();
    assert_eq!((state.phase, state.machines.len()), (Phase::Applying, 3));
    world.hosts.with(GIVEN, |system| system.health = Health::Answers);
    world.computer_with(1, crate::power::Cut::Never, computer.book).apply().await.unwrap();
    assert_eq!(world.shown(), WHOLE);
}

#[tokio::test(start_paused = true)]
async fn a_given_machine_that_nobody_pinned_is_left_alone() {
    let world = World::new();
    let mut computer = world.computer(1);
    computer.manner = Manner { host_keys: HostKeys::PinnedOnly, ..computer.manner };
    let troubles = computer.apply().await.unwrap_err();
    assert_eq!(troubles[0].code, "HOST_KEY_UNKNOWN");
    let shown = world.hosts.with(GIVEN, |system| system.host_key().to_string());
    assert!(troubles[0].hint.contains(&shown), "{}", troubles[0].hint);
    assert!(world.hosts.told(GIVEN).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_machine_with_another_host_key_is_sent_nothing() {
    let world = World::new();
    let computer = world.computer(1);
    computer.apply().await.unwrap();
    world.hosts.change_host_key(GIVEN);
    let before = world.hosts.told(GIVEN).len();
    let again = world.computer_with(1, crate::power::Cut::Never, computer.book);
    let troubles = again.apply().await.unwrap_err();
    assert_eq!(troubles[0].code, "HOST_KEY_CHANGED");
    assert_eq!(world.hosts.told(GIVEN).len(), before);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_missing_is_told_before_anything_is_touched() {
    let world = World::new();
    let mut computer = world.computer(1);
    let file = crate::world::FILE.replace("avishkar/edge:dev", "missing");
    computer.description = crate::files::described(&file).unwrap();
    let troubles = computer.apply().await.unwrap_err();
    assert_eq!(troubles[0].code, "IMAGE_UNAVAILABLE");
    assert!(world.machines.specs().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_first_machine_that_lost_the_authority_gets_no_second_one() {
    let world = World::new();
    let computer = world.computer(1);
    computer.apply().await.unwrap();
    world.hosts.with("192.0.2.11", |system| {
        system.files.remove("/var/lib/avishkar/platform/authority.json");
    });
    let again = world.computer_with(1, crate::power::Cut::Never, computer.book);
    let troubles = again.apply().await.unwrap_err();
    assert_eq!(troubles[0].code, "AUTHORITY_LOST");
}
