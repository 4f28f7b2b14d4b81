//! Another file than the platform was made from.

use bootstrapper::Trouble;
use bootstrapper::description::Description;
use bootstrapper::plan;
use bootstrapper::state::{Book as _, Phase};
use common::port::machines::Shape;
use rollout::platform::Component;
use testkit::hosts::machine_programs as engine;

use crate::applying::WHOLE;
use crate::files::described;
use crate::power::Cut;
use crate::world::{Computer, FILE, World};

const NEW_MACHINE: &str = r#"
[[machines]]
name = "node-5"
kind = "local"
memory = "4g"
cpus = 1
address = "192.0.2.15"
"#;

fn with_a_fifth() -> Description {
    described(&FILE.replacen("\n[placement]", &format!("{NEW_MACHINE}\n[placement]"), 1)).unwrap()
}

/// A change, and what is said of it.
type Case = (fn(&mut Description), &'static str);

/// What is said of a description that was changed so, by a computer that knows the platform and by one that does not.
async fn refused(
    world: &World,
    owner: &Computer,
    change: impl Fn(&mut Description),
) -> Vec<Trouble> {
    let knowing = world.computer_with(1, Cut::Never, owner.book.clone());
    let mut told = Vec::new();
    for mut computer in [knowing, world.computer(2)] {
        change(&mut computer.description);
        let troubles = Box::pin(computer.apply()).await.unwrap_err();
        assert!(
            troubles.iter().all(|trouble| trouble.code == "DESCRIPTION_CHANGED"),
            "{troubles:?}"
        );
        assert!(troubles.iter().all(|trouble| !trouble.hint.is_empty()));
        told.push(troubles);
    }
    assert_eq!(told[0], told[1]);
    told.remove(0)
}

#[tokio::test(start_paused = true)]
async fn what_a_platform_that_keeps_itself_would_have_to_become_is_told_and_not_passed_over() {
    let world = World::new();
    let owner = world.computer(1);
    owner.apply().await.unwrap();
    world.lead(&[1, 2, 3, 4]).await;
    let cases: [Case; 8] = [
        (
            |file| file.platform.denied_networks.clear(),
            "network.denied is 192.0.2.0/24, and is to be ",
        ),
        (
            |file| file.platform.door = "0.0.0.0".parse().unwrap(),
            "network.door is 127.0.0.1, and is to be 0.0.0.0",
        ),
        (
            |file| file.platform.placement.edge = "node-1".parse().unwrap(),
            "edge is on [\"node-4\"], and is to be on [\"node-1\"]",
        ),
        (
            |file| file.platform.placement.kafka.truncate(1),
            "kafka is on [\"node-1\", \"node-2\", \"node-3\"], and is to be on [\"node-1\"]",
        ),
        (|file| drop(file.platform.machines.remove(2)), "node-3 is in the file no more"),
        (|file| *file = with_a_fifth(), "node-5 is new in the file"),
        (|file| file.platform.machines[1].shape = Shape::Given, "it was local, and is to be given"),
        (
            |file| drop(file.images.names.insert(Component::Edge, "avishkar/edge:new".to_owned())),
            "images.edge is another image than it was",
        ),
    ];
    for (change, cause) in cases {
        let troubles = refused(&world, &owner, change).await;
        let causes: Vec<&str> = troubles.iter().map(|trouble| trouble.cause.as_str()).collect();
        assert_eq!(causes, [cause]);
        assert_eq!(world.shown(), WHOLE);
        assert_eq!(owner.book.load().unwrap().unwrap().phase, Phase::Applied);
    }
    // How one signs in is not the platform.
    let mut same = world.computer_with(1, Cut::Never, owner.book.clone());
    same.description.platform.machines[3].host_key =
        Some(world.hosts.with(crate::world::GIVEN, |system| system.host_key().clone()));
    same.apply().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_plan_tells_it_as_well() {
    let world = World::new();
    let mut owner = world.computer(1);
    owner.apply().await.unwrap();
    world.lead(&[1, 2, 3, 4]).await;
    owner.description = with_a_fifth();
    let planned = plan(&owner.ports, &owner.description, owner.book.as_ref()).await.unwrap();
    assert!(planned.kept_by_lifecycle_manager && !planned.is_done());
    let [trouble] = planned.refused.as_slice() else { panic!("{planned:?}") };
    assert_eq!(trouble.machine.as_ref().unwrap().as_str(), "node-5");
    assert!(trouble.hint.contains("POST /api/v1/machines"), "{trouble}");
}

#[tokio::test(start_paused = true)]
async fn before_anybody_keeps_the_platform_a_machine_may_come_and_none_may_go() {
    let world = World::new();
    world.parts.add_at("node-5", "192.0.2.15".parse().unwrap());
    let owner = world.computer(1);
    owner.apply().await.unwrap();
    let gone = refused(&world, &owner, |file| drop(file.platform.machines.remove(2))).await;
    assert_eq!(gone[0].machine.as_ref().unwrap().as_str(), "node-3");
    let mut more = world.computer(2);
    more.description = with_a_fifth();
    let state = more.apply().await.unwrap();
    assert_eq!(state.generation.0, 2);
    let runs = world.hosts.with("192.0.2.15", |system| engine::running_agent(system).is_some());
    assert!(runs && state.machines.len() == 5);
    // From now on it belongs to the platform, whoever comes.
    let former = refused(&world, &owner, |_| {}).await;
    assert_eq!(former[0].cause, "node-5 is in the file no more");
}

#[tokio::test(start_paused = true)]
async fn how_packages_are_reached_may_always_change() {
    let world = World::new();
    let mut owner = world.computer(1);
    owner.description.build_env = Some("/ops/packages.tar".into());
    owner.apply().await.unwrap();
    world.lead(&[1, 2, 3, 4]).await;
    let mut again = world.computer_with(1, Cut::Never, owner.book);
    again.description.build_env = Some("/ops/other-packages.tar".into());
    again.apply().await.unwrap();
    for number in 1..=4 {
        let told = world.hosts.with(&format!("192.0.2.1{number}"), |system| {
            engine::text(system, "/etc/avishkar/build-env/content")
        });
        assert_eq!(told, "content of /ops/other-packages.tar");
    }
    assert_eq!(world.shown(), WHOLE);
    let said = again.heard.sentences();
    assert!(!said.iter().any(|said| said.starts_with("run ")), "{said:?}");
}
