//! What lifecycle managers of a platform that keeps itself are given, and take back where one does not come back with it.

use bootstrapper::description::Description;
use rollout::parts::Credentials;
use testkit::hosts::machine_programs as engine;

use crate::agents::GIVEN;
use crate::files::described;
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

/// The first that is given what this file says does not come back with it.
async fn given_in_vain(world: &World, file: Description) {
    let (first, manager) = ("node-2".parse().unwrap(), "lifecycle-manager".parse().unwrap());
    world.parts.set_healthy(&first, &manager, false);
    let mut computer = world.computer(2);
    computer.description = file;
    let troubles = computer.apply().await.unwrap_err();
    assert_eq!(troubles.len(), 1, "{troubles:?}");
    let trouble = &troubles[0];
    assert_eq!(trouble.machine.as_ref(), Some(&first), "{trouble}");
    world.parts.set_healthy(&first, &manager, true);
}

#[tokio::test(start_paused = true)]
async fn what_opens_a_share_may_always_change_and_nodes_are_told() {
    let world = World::new();
    let mut owner = world.computer(1);
    owner.description = with_secret_in("/ops/first.secret");
    owner.apply().await.unwrap();
    world.lead(&[1, 2, 3, 4]).await;
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
    make_folders(&world);
    given_in_vain(&world, with_secret_in("/ops/wrong.secret")).await;
    assert_eq!(managers(), [2], "the other still goes by what it had");
    let again: Credentials = serde_json::from_slice(&given(2).unwrap().bytes).unwrap();
    assert_eq!(secret_of(&again), Some("content of /ops/first.secret"));
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
