//! What there is once: whoever comes first makes it.

use std::sync::Arc;

use common::port::Hosts as _;
use common::port::host::{Access, Credential, Gate};
use futures::future::join_all;
use rollout::Code;
use rollout::seed::{self, FOLDER, Seed};
use testkit::SeededEntropy;
use testkit::hosts::machine_programs as engine;

use crate::world::{ADDRESS, World};

async fn first(world: &World, number: u64) -> Seed {
    let key = world.hosts.make_key("/keys/ops", "ops");
    let host_key = world.hosts.with(ADDRESS, |system| {
        system.authorize("root", &key);
        system.host_key().clone()
    });
    let access = Access {
        at: Gate::new(ADDRESS),
        user: "root".to_owned(),
        credential: Credential::KeyFile("/keys/ops".into()),
        host_key,
    };
    Seed {
        machine: "node-1".parse().unwrap(),
        host: world.hosts.connect(&access).await.unwrap(),
        entropy: Arc::new(SeededEntropy::new(number)),
    }
}

#[tokio::test(start_paused = true)]
async fn of_many_who_come_at_once_one_wins_and_all_get_the_same() {
    let world = World::new();
    world.given();
    let mut seeds = Vec::new();
    for number in 0..8 {
        seeds.push(first(&world, number).await);
    }
    let secrets = join_all(seeds.iter().map(|seed| seed.secret("jwt"))).await;
    let first = secrets[0].as_ref().unwrap();
    assert!(first.len() == 64 && secrets.iter().all(|secret| secret.as_ref().unwrap() == first));
    world.hosts.with(ADDRESS, |system| {
        let kept: Vec<_> =
            system.files.iter().filter(|(path, _)| path.starts_with(FOLDER)).collect();
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert_eq!((kept[0].1.mode, kept[0].1.owner.as_str()), (0o600, "root"));
    });
}

#[tokio::test(start_paused = true)]
async fn what_stands_there_is_kept_and_what_does_not_is_not_there() {
    let world = World::new();
    world.given();
    let seed = first(&world, 1).await;
    assert_eq!(seed.find("note").await.unwrap(), None);
    assert_eq!(seed.ensure_once("note", "first").await.unwrap(), "first");
    assert_eq!(seed.ensure_once("note", "second").await.unwrap(), "first");
    assert_eq!(seed.find("note").await.unwrap().unwrap(), "first");
    seed.replace("note", "third").await.unwrap();
    assert_eq!(seed.find("note").await.unwrap().unwrap(), "third");
    let refused = seed.ensure_once("../note", "x").await.unwrap_err();
    assert_eq!(refused.code, Code::StepFailed);
    world.hosts.with(ADDRESS, |system| engine::put(system, &format!("{FOLDER}/jwt"), "theirs"));
    assert_eq!(seed.secret("jwt").await.unwrap(), "theirs");
}

#[tokio::test(start_paused = true)]
async fn what_a_lifecycle_manager_has_is_put_back_and_replaces_nothing() {
    let world = World::new();
    world.given();
    let first = first(&world, 1).await;
    first.ensure_once(seed::JWT, "theirs").await.unwrap();
    first.restore(&crate::parts::secrets()).await.unwrap();
    let authority = first.find(seed::AUTHORITY).await.unwrap().unwrap();
    assert_eq!(authority, r#"{"certificate":"ca","key":"ca key"}"#);
    assert_eq!(first.find(seed::SSH_KEY).await.unwrap().unwrap(), "ssh secret");
    assert_eq!(first.find(seed::JWT).await.unwrap().unwrap(), "theirs");
}
