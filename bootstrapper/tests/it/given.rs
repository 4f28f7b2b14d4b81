//! What lifecycle managers of a platform that keeps itself are given, and take back where one does not come back with it.

use bootstrapper::description::Description;
use common::name::{NodeName, PartName};
use rollout::parts::Credentials;
use testkit::hosts::machine_programs as engine;

use crate::agents::GIVEN;
use crate::files::described;
use crate::keeper::node;
use crate::world::{FILE, World};

/// The machines of lifecycle managers.
pub(crate) const MANAGERS: [u8; 2] = [2, 3];

/// With a share that is opened by what stands in this file.
pub(crate) fn with_secret_in(file: &str) -> Description {
    let share = "[shares.code]\nkind = \"s3\"\nbucket = \"code\"\nregion = \"eu-west-1\"\nkey_id = \"id\"\nsecret_file = \"node-3.password\"\n";
    let mut description = described(&format!("{FILE}{share}")).unwrap();
    let known = description.shares.values_mut().next().unwrap();
    known.secret_file = Some(file.into());
    description
}

/// As agents have them for lifecycle managers.
pub(crate) fn make_folders(world: &World) {
    for number in MANAGERS {
        world.hosts.with(&format!("192.0.2.1{number}"), |system| {
            let folder = GIVEN.rsplit_once('/').unwrap().0;
            system.folders.insert(folder.to_owned());
        });
    }
}

fn secret_of(credentials: &Credentials) -> Option<&str> {
    credentials.shares.values().next()?.secret.as_deref()
}

fn manager() -> PartName {
    "lifecycle-manager".parse().unwrap()
}

/// As a machine's lifecycle manager finds it.
pub(crate) fn secret(world: &World, number: u8) -> Option<String> {
    secret_of(&world.given(number)?).map(str::to_owned)
}

/// A platform that keeps itself, with a share.
pub(crate) async fn kept_with_share() -> World {
    kept_with_share_in(World::new()).await
}

pub(crate) async fn kept_with_share_in(world: World) -> World {
    let mut owner = world.computer(1);
    owner.description = with_secret_in("/ops/first.secret");
    owner.apply().await.unwrap();
    world.lead(&[1, 2, 3, 4]).await;
    make_folders(&world);
    world
}

/// What is said of the one machine that does not come back with what this file says.
async fn told_of(world: &World, file: &str, machine: &NodeName) -> String {
    let mut computer = world.computer(2);
    computer.description = with_secret_in(file);
    let troubles = computer.apply().await.unwrap_err();
    assert_eq!(troubles.len(), 1, "{troubles:?}");
    let trouble = &troubles[0];
    assert_eq!(trouble.machine.as_ref(), Some(machine), "{trouble}");
    trouble.hint.clone()
}

/// This one does not come back with what this file says.
async fn given_in_vain(world: &World, number: u8, file: &str) {
    world.wrong.lock().unwrap().insert(node(number), file.to_owned());
    told_of(world, file, &node(number)).await;
}

#[tokio::test(start_paused = true)]
async fn what_opens_a_share_may_always_change_and_nodes_are_told() {
    let world = kept_with_share().await;
    let kept = || {
        (1..=4).map(|number| {
            world.hosts.with(&format!("192.0.2.1{number}"), |system| {
                engine::text(system, "/var/lib/avishkar/agent/shares/code.secret")
            })
        })
    };
    // Lifecycle managers find it in a folder of their own, and nobody else can read it.
    let given = |number: u8| {
        world.hosts.with(&format!("192.0.2.1{number}"), |system| system.files.get(GIVEN).cloned())
    };
    let managers = || (1..=4).filter(|number| given(*number).is_some()).collect::<Vec<_>>();
    assert!(managers().is_empty());
    given_in_vain(&world, 2, "/ops/wrong.secret").await;
    assert_eq!(managers(), [2], "the other still goes by what it had");
    assert_eq!(secret(&world, 2).unwrap(), "content of /ops/first.secret");
    for told in [4, 0] {
        let mut again = world.computer(2);
        again.description = with_secret_in("/ops/second.secret");
        again.apply().await.unwrap();
        assert!(kept().all(|kept| kept == "content of /ops/second.secret\n"));
        let said = again.heard.sentences();
        let told_of = said.iter().filter(|said| said.ends_with("what opens the share code"));
        assert_eq!(told_of.count(), told);
        assert!(!said.iter().any(|said| said.contains("second.secret")), "{said:?}");
        assert_eq!(managers(), MANAGERS);
        let to = said.iter().filter(|said| said.starts_with("give the lifecycle manager of "));
        assert_eq!(to.count(), if told == 0 { 0 } else { MANAGERS.len() });
    }
    for number in MANAGERS {
        let file = given(number).unwrap();
        assert_eq!((file.mode, file.owner.as_str()), (0o600, "10001:10001"));
        let credentials: Credentials = serde_json::from_slice(&file.bytes).unwrap();
        assert_eq!(secret_of(&credentials), Some("content of /ops/second.secret"));
        assert!(credentials.given > 0);
    }
    let begun = world.shown().into_iter().filter(|node| node.contains("lifecycle-manager"));
    // The first one by what was given in vain, by what it had before, and by what was given then.
    let times = ["lifecycle-manager x4", "lifecycle-manager x2"];
    assert!(begun.zip(times).all(|(node, times)| node.contains(times)), "{:?}", world.shown());
}

#[tokio::test(start_paused = true)]
async fn one_that_is_ill_holds_up_no_other_and_keeps_what_the_other_is_ready_by() {
    let world = kept_with_share().await;
    world.parts.set_healthy(&node(2), &manager(), false);
    let hint = told_of(&world, "/ops/second.secret", &node(2)).await;
    assert!(hint.contains("it was not ready before either"), "{hint}");
    let second = Some("content of /ops/second.secret".to_owned());
    assert_eq!(MANAGERS.map(|number| secret(&world, number)), [second.clone(), second]);
    let mut again = world.computer(2);
    again.description = with_secret_in("/ops/second.secret");
    again.apply().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_reaches_no_second_one_where_one_is_ill_either() {
    let world = kept_with_share().await;
    let falls_ill = |number| world.parts.set_healthy(&node(number), &manager(), false);
    falls_ill(2);
    given_in_vain(&world, 3, "/ops/wrong.secret").await;
    let first = Some("content of /ops/first.secret".to_owned());
    assert_eq!(MANAGERS.map(|number| secret(&world, number)), [None, first.clone()]);
    // Where none is ready, it may be to blame.
    falls_ill(3);
    let before = world.given(3);
    let mut computer = world.computer(2);
    computer.description = with_secret_in("/ops/wrong.secret");
    computer.apply().await.unwrap_err();
    assert_eq!((secret(&world, 2), world.given(3)), (first, before));
}
