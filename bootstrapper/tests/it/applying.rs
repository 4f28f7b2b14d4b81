//! From nothing to a platform.

use bootstrapper::state::{Book as _, Phase};
use bootstrapper::{HostKeys, Manner, Novelty};
use rollout::platform::Component;
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
    world.lead(&[1, 2, 3, 4]).await;
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
    let mut computer = world.computer(1);
    computer.manner.novelty = Novelty::Said;
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
async fn an_archive_that_cannot_be_read_says_why() {
    let world = World::new();
    let mut computer = world.computer(1);
    let file = "/images/compressed.tar".to_owned();
    computer.description.images.names.insert(Component::Edge, file);
    let troubles = computer.apply().await.unwrap_err();
    assert_eq!(
        troubles[0].to_string(),
        "IMAGE_UNAVAILABLE: find the image images.edge: /images/compressed.tar: the images cannot be read: it is compressed: gunzip it first; make the platform's images first (`make images`), or name others in the file"
    );
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_nobody_can_sign_in_to_says_all_that_is_behind_it() {
    let world = World::new();
    world.hosts.with(GIVEN, |system| system.health = Health::Off);
    let mut computer = world.computer(1);
    computer.description.platform.machines.rotate_right(1);
    let troubles = computer.apply().await.unwrap_err();
    let [trouble] = troubles.as_slice() else { panic!("{troubles:?}") };
    assert_eq!(trouble.code, "MACHINE_UNREACHABLE");
    assert_eq!(trouble.step, "ask for its host key");
    assert_eq!(trouble.cause, "192.0.2.14:22 cannot be reached: connection refused");
}
