//! Nothing is left of a platform.

use bootstrapper::state::{Book as _, Phase};
use common::name::NodeName;
use common::port::Machines as _;
use testkit::hosts::Health;
use testkit::hosts::machine_programs as engine;

use crate::power::Cut;
use crate::world::{Fate, GIVEN, World};

#[tokio::test(start_paused = true)]
async fn machines_that_were_made_are_gone_and_given_ones_are_as_they_were() {
    let world = World::new();
    let computer = world.computer(1);
    computer.apply().await.unwrap();
    let gone = world.computer_with(1, Cut::Never, computer.book);
    gone.destroy().await.unwrap();
    assert!(world.machines.specs().is_empty());
    assert!(gone.book.load().unwrap().is_none());
    world.hosts.with(GIVEN, |system| {
        assert!(engine::running_agent(system).is_none());
        let left: Vec<&String> =
            system.files.keys().filter(|path| path.contains("/avishkar")).collect();
        assert!(left.is_empty(), "{left:?}");
    });
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_left_the_file_is_removed_as_well() {
    let world = World::new();
    let computer = world.computer(1);
    computer.apply().await.unwrap();
    let mut gone = world.computer_with(1, Cut::Never, computer.book);
    gone.description.platform.machines.retain(|machine| machine.name.as_str() != "node-3");
    gone.destroy().await.unwrap();
    assert!(world.machines.specs().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_reached_is_told_and_stays_known() {
    let world = World::new();
    let computer = world.computer(1);
    computer.apply().await.unwrap();
    world.hosts.with(GIVEN, |system| system.health = Health::Off);
    let gone = world.computer_with(1, Cut::Never, computer.book);
    let troubles = gone.destroy().await.unwrap_err();
    assert!(troubles.iter().all(|trouble| trouble.code == "MACHINE_UNREACHABLE"), "{troubles:?}");
    assert!(world.machines.specs().is_empty());
    let state = gone.book.load().unwrap().unwrap();
    assert_eq!((state.phase, state.machines.len()), (Phase::Destroying, 1));
    world.hosts.with(GIVEN, |system| system.health = Health::Answers);
    world.computer_with(1, Cut::Never, gone.book).destroy().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_there_again_or_of_which_nothing_is_known_stays_known() {
    for (fate, code) in [(Fate::Back, "MACHINE_BACK"), (Fate::Unknown, "MACHINE_REFUSED")] {
        let world = World::new();
        let computer = world.computer(1);
        computer.apply().await.unwrap();
        world.fate(fate);
        let gone = world.computer_with(1, Cut::Never, computer.book);
        let troubles = gone.destroy().await.unwrap_err();
        let told: Vec<_> =
            troubles.iter().map(|trouble| (trouble.code, &trouble.machine)).collect();
        let names: Vec<NodeName> =
            (1..=3).map(|number| format!("node-{number}").parse().unwrap()).collect();
        let expected: Vec<_> = names.iter().map(|name| (code, Some(name.clone()))).collect();
        let expected: Vec<_> = expected.iter().map(|(code, name)| (*code, name)).collect();
        assert_eq!(told, expected);
        let state = gone.book.load().unwrap().unwrap();
        assert_eq!((state.phase, state.machines.len()), (Phase::Destroying, 3), "{fate:?}");
        world.fate(Fate::Gone);
        let again = world.computer_with(1, Cut::Never, gone.book);
        again.destroy().await.unwrap();
        assert!(world.machines.specs().is_empty() && again.book.load().unwrap().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_another_platforms_by_now_is_left_to_it() {
    let world = World::new();
    let computer = world.computer(1);
    computer.apply().await.unwrap();
    let trusted = "/etc/avishkar/pki/ca.pem";
    world.hosts.with(GIVEN, |system| engine::put(system, trusted, "authority 7"));
    let gone = world.computer_with(1, Cut::Never, computer.book);
    gone.destroy().await.unwrap();
    let said = gone.heard.sentences();
    let sentence = "node-4 is a node of another platform, and is left to it".to_owned();
    assert!(said.contains(&sentence), "{said:?}");
    assert!(world.hosts.with(GIVEN, |system| engine::running_agent(system).is_some()));
    assert!(world.machines.specs().is_empty() && gone.book.load().unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn without_what_was_known_a_node_of_which_nobody_says_whose_it_is_is_left_and_told() {
    let pinned = |world: &World| {
        let mut computer = world.computer(2);
        let key = world.hosts.with(GIVEN, |system| system.host_key().clone());
        computer.description.platform.machines[3].host_key = Some(key);
        computer
    };
    let trusted = "/etc/avishkar/pki/ca.pem";
    let is_there =
        |world: &World| world.hosts.with(GIVEN, |system| engine::running_agent(system).is_some());
    // The first machine is gone, and a lifecycle manager says which authority is ours.
    for (authority, is_ours) in [("authority 1", true), ("authority 7", false)] {
        let world = World::new();
        world.computer(1).apply().await.unwrap();
        world.machines.delete(&"node-1".parse().unwrap()).await.unwrap();
        world.hosts.with(GIVEN, |system| engine::put(system, trusted, authority));
        let gone = pinned(&world);
        let destroyed = gone.destroy().await;
        assert!(world.machines.specs().is_empty());
        assert_eq!(is_there(&world), !is_ours, "{authority}");
        if is_ours {
            destroyed.unwrap();
            continue;
        }
        let troubles = destroyed.unwrap_err();
        let [trouble] = troubles.as_slice() else { panic!("{troubles:?}") };
        assert_eq!(
            (trouble.code, trouble.machine.as_ref().unwrap().as_str()),
            ("AUTHORITY_UNKNOWN", "node-4")
        );
        assert!(gone.book.load().unwrap().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn where_there_is_nothing_nothing_is_done() {
    let world = World::new();
    world.computer(1).destroy().await.unwrap();
    assert!(world.hosts.told(GIVEN).is_empty());
}
