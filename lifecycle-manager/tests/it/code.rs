//! Services that are built on their machines of code on a share.

use std::time::Duration;

use common::digest::Digest;
use common::failure::{Failure, FailureCode};
use common::port::part::PartImage;
use common::port::share::Code;
use common::record::platform::ServiceImage;
use testkit::parts::PartCall;
use tokio::time::Instant;

use crate::world::{World, name, placed, until};

fn code(share: &str) -> Code {
    let digest = Digest::of(b"code");
    format!("share://{share}/monitoring@{digest}").parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_version_from_a_share_is_rolled_out_and_each_machine_is_told_of_the_share_once() {
    let world = World::new();
    let wanted = PartImage::Built(code("code"));
    world
        .during(async {
            world.until_calm().await;
            world.wish(&["node-2", "node-3"], None);
            world.until_ready_on(&["node-2", "node-3"]).await;
            world.wish_version(&["node-2", "node-3"], Some(ServiceImage::Built(code("code"))));
            let has = |node| world.parts.told(&name(node), &placed()).unwrap().image == wanted;
            until(async || has("node-2") && has("node-3")).await;
            world.until_ready_on(&["node-2", "node-3"]).await;
        })
        .await;
    let calls = world.parts.calls();
    let told = calls.iter().filter(|call| matches!(call, PartCall::Share { .. }));
    assert_eq!(told.count(), 2, "one on each machine");
}

#[tokio::test(start_paused = true)]
async fn a_share_that_cannot_be_read_is_told_of_the_instance_and_tried_again() {
    let world = World::new();
    let message = "https://example.org/code is unavailable";
    world
        .during(async {
            world.until_calm().await;
            for node in ["node-2", "node-3"] {
                let failure = Failure::new(FailureCode::ShareUnavailable, message);
                world.parts.fail_next(&name(node), failure);
            }
            world.wish_version(&["node-2", "node-3"], Some(ServiceImage::Built(code("code"))));
            let told = || {
                let running = world.running()?;
                running.instances.iter().find_map(|one| one.failure.clone())
            };
            until(async || told().is_some()).await;
            let failure = told().unwrap();
            assert_eq!(failure.code, FailureCode::ShareUnavailable);
            assert_eq!(failure.message, message);
            world.until_ready_on(&["node-2", "node-3"]).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_share_that_nobody_described_is_unknown() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            world.wish_version(&["node-2"], Some(ServiceImage::Built(code("other"))));
            let unknown = || {
                let running = world.running()?;
                let mut told = running.instances.iter().filter_map(|one| one.failure.clone());
                told.find(|failure| failure.code == FailureCode::ShareUnknown)
            };
            until(async || unknown().is_some()).await;
            assert!(world.really_on().is_empty());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_version_that_can_never_be_built_is_backed_out_of_at_once() {
    let world = World::new();
    world
        .during(async {
            world.with_service().await;
            let began = Instant::now();
            world.wish_version(&["node-2", "node-3"], Some(ServiceImage::Built(code("other"))));
            until(async || world.running().unwrap().backed_out.is_some()).await;
            assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
            world.until_ready_on(&["node-2", "node-3"]).await;
        })
        .await;
    let failure = world.running().unwrap().backed_out.unwrap().failure;
    assert_eq!(failure.code, FailureCode::ShareUnknown);
}
