//! What opens shares, on a node.

use std::collections::BTreeMap;

use common::name::ShareName;
use common::port::share::{Access, AzureOpener, AzurePlace, Description, FolderPlace};
use rollout::machine::{Goal, renew_shares};
use testkit::hosts::{Health, machine_programs as engine};

use crate::world::{ADDRESS, Notes, World, ensure};

const FOLDER: &str = "/var/lib/avishkar/agent/shares";

fn access(secret: &str) -> Access {
    let place = AzurePlace {
        account: "examplestore".to_owned(),
        name: "code".to_owned(),
        endpoint: None,
        opened_by: AzureOpener::Sas,
    };
    Access { share: Description::AzureBlob(place), secret: Some(secret.to_owned()) }
}

async fn node(world: &World) -> Goal {
    let goal = world.given();
    let machine = ensure(&world.ports, &goal, &Notes::default()).await.unwrap();
    Goal { machine, ..goal }
}

#[tokio::test(start_paused = true)]
async fn a_node_knows_what_opens_a_share_now_and_is_told_once() {
    let world = World::new();
    let goal = node(&world).await;
    let read = |file: &str| {
        world.hosts.with(ADDRESS, |system| engine::text(system, &format!("{FOLDER}/{file}")))
    };
    let mounted = Access {
        share: Description::Folder(FolderPlace { path: "/mnt/code".into() }),
        secret: None,
    };
    let (code, local): (ShareName, ShareName) =
        ("code".parse().unwrap(), "mounted".parse().unwrap());
    for (secret, told) in [("old", 2), ("new", 1), ("new", 0)] {
        let shares =
            BTreeMap::from([(code.clone(), access(secret)), (local.clone(), mounted.clone())]);
        let renewed = renew_shares(&world.ports, &goal, &shares).await.unwrap();
        assert_eq!(renewed.len(), told, "{secret}");
        assert_eq!(read("code.secret"), format!("{secret}\n"));
    }
    let described: Description = serde_json::from_str(&read("code.json")).unwrap();
    assert_eq!(described, access("new").share);
    assert_eq!(read("mounted.secret"), "");
    let mode =
        world.hosts.with(ADDRESS, |system| system.files[&format!("{FOLDER}/code.secret")].mode);
    assert_eq!(mode, 0o600);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_there_is_passed_over_and_one_that_does_not_answer_is_told() {
    let world = World::new();
    let shares = BTreeMap::from([("code".parse().unwrap(), access("new"))]);
    assert!(renew_shares(&world.ports, &World::local(), &shares).await.unwrap().is_empty());
    let goal = node(&world).await;
    world.hosts.with(ADDRESS, |system| system.health = Health::Off);
    let failure = renew_shares(&world.ports, &goal, &shares).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "MACHINE_UNREACHABLE");
    assert!(!failure.to_string().contains("new"), "{failure}");
}
