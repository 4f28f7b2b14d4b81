//! Changes of single services: another version, another machine.

use std::time::Duration;

use common::digest::{Digest, ImageRef};
use common::message::{Event, PlatformOutcome};
use common::record::change::{ChangeStage, ServiceChange};
use common::record::path;
use common::record::platform::ServiceImage;
use common::service::ServiceName;
use testkit::store::Fault;
use tokio::time::sleep;

use crate::crash::{DEATHS, FAULTS, assert_one_answer_each};
use crate::lifecycle::Conduct;
use crate::starting::assert_running;
use crate::world::{World, id, until};

const SERVICE: ServiceName = ServiceName::NodeManager;
/// More than a start and a change write.
const COMMITS: usize = 40;

fn image() -> ServiceImage {
    let repository = "127.0.0.1:5000/avishkar/platform";
    ImageRef::new(repository, Digest::of(b"new")).unwrap().into()
}

fn upgrade() -> String {
    format!("upgrade service$node_manager${}", image())
}

const MOVE: &str = "move service$node_manager$node-1$node-3";

async fn started(world: &World) {
    assert!(matches!(world.start(1).await, PlatformOutcome::Yes { .. }));
}

/// The answer to a request that is neither a start nor a stop.
pub(crate) async fn answer(world: &World, request: u128) -> Event {
    let given = || world.answers().into_iter().find(|(answered, _)| *answered == id(request));
    until(async || given().is_some()).await;
    given().unwrap().1
}

fn done(verb: &str) -> Event {
    Event::Done { verb: verb.to_owned(), text: "node_manager".to_owned() }
}

fn error(event: Event) -> String {
    let Event::NotDone { error, .. } = event else { panic!("{event:?}") };
    error
}

fn nodes(world: &World) -> Vec<String> {
    world.placement().remove(&SERVICE).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_is_a_wish_and_answered_when_all_instances_run_it() {
    let world = World::with_nodes(3);
    world
        .during(async {
            started(&world).await;
            world.lifecycle.set(SERVICE, Conduct::Works(Duration::from_secs(30)));
            world.say(2, &upgrade()).await;
            sleep(Duration::from_secs(20)).await;
            assert_eq!(world.placed(SERVICE).unwrap().image, Some(image()));
            assert_eq!(world.answers().len(), 1, "not before it is ready");
            assert_eq!(answer(&world, 2).await, done("upgrade service"));
        })
        .await;
    assert_running(&world);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_was_backed_out_of_is_no_longer_wished_for_and_the_reason_is_told() {
    let world = World::with_nodes(3);
    world
        .during(async {
            started(&world).await;
            world.lifecycle.set(SERVICE, Conduct::BacksOut);
            world.say(2, &upgrade()).await;
            let told = error(answer(&world, 2).await);
            assert!(told.starts_with("HEALTH_TIMEOUT: the former version"), "{told}");
            assert_eq!(world.placed(SERVICE).unwrap().image, None);
            world.say(2, &upgrade()).await;
            until(async || world.answers().len() == 3).await;
        })
        .await;
    assert_one_answer_each(&world);
    assert_running(&world);
}

#[tokio::test(start_paused = true)]
async fn a_move_is_made_beside_the_old_instance_and_then_that_goes() {
    let world = World::with_nodes(3);
    world
        .during(async {
            started(&world).await;
            world.lifecycle.set(SERVICE, Conduct::Works(Duration::from_secs(10)));
            world.say(2, MOVE).await;
            sleep(Duration::from_secs(5)).await;
            assert_eq!(nodes(&world), ["node-1", "node-2", "node-3"]);
            assert_eq!(answer(&world, 2).await, done("move service"));
        })
        .await;
    assert_eq!(nodes(&world), ["node-3", "node-2"]);
    assert_eq!(world.registry()["node_manager"], "192.0.2.3:8040");
    assert_running(&world);
}

#[tokio::test(start_paused = true)]
async fn another_number_of_instances_is_made_and_kept_over_a_stop_and_a_start() {
    let world = World::with_nodes(4);
    world
        .during(async {
            started(&world).await;
            world.say(2, "scale service$node_manager$4").await;
            assert_eq!(answer(&world, 2).await, done("scale service"));
            assert_eq!(nodes(&world).len(), 4);
            assert!(matches!(world.stop(3).await, PlatformOutcome::Yes { .. }));
            assert!(matches!(world.start(4).await, PlatformOutcome::Yes { .. }));
            assert_eq!(nodes(&world).len(), 4);
            world.say(5, "scale service$node_manager$1").await;
            assert_eq!(answer(&world, 5).await, done("scale service"));
            assert!(matches!(world.start(6).await, PlatformOutcome::Yes { .. }));
        })
        .await;
    assert_eq!(nodes(&world), ["node-1"]);
    assert_running(&world);
}

#[tokio::test(start_paused = true)]
async fn instances_that_cannot_be_made_are_taken_back_and_the_number_is_as_it_was() {
    let world = World::with_nodes(4);
    world
        .during(async {
            started(&world).await;
            world.lifecycle.set(SERVICE, Conduct::FailsOn(4));
            world.say(2, "scale service$node_manager$4").await;
            let told = error(answer(&world, 2).await);
            assert!(told.starts_with("IMAGE_UNAVAILABLE: node-manager on node-4: "), "{told}");
            world.say(3, "scale service$node_manager$5").await;
            assert!(error(answer(&world, 3).await).starts_with("NO_NODE_FITS: "));
        })
        .await;
    assert_eq!(nodes(&world), ["node-1", "node-2"]);
    assert_eq!(world.placed(SERVICE).unwrap().instances, None);
    assert_running(&world);
}

#[tokio::test(start_paused = true)]
async fn a_move_to_where_it_cannot_run_leaves_it_where_it_is() {
    let world = World::with_nodes(3);
    world
        .during(async {
            started(&world).await;
            world.lifecycle.set(SERVICE, Conduct::FailsOn(3));
            world.say(2, MOVE).await;
            let told = error(answer(&world, 2).await);
            assert!(told.starts_with("IMAGE_UNAVAILABLE: node-manager on node-3: "), "{told}");
        })
        .await;
    assert_eq!(nodes(&world), ["node-1", "node-2"]);
    assert_running(&world);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_done_is_answered_at_once_and_changes_nothing() {
    let world = World::with_nodes(3);
    world
        .during(async {
            world.say(1, &upgrade()).await;
            assert!(error(answer(&world, 1).await).starts_with("SERVICE_UNKNOWN: "));
            started_as(&world, 2).await;
            let before = world.placed(SERVICE);
            for (request, message, code) in [
                (3, "upgrade service$lifecycle_manager$platform", "SERVICE_UNKNOWN"),
                (4, "move service$node_manager$node-1$node-9", "NODE_UNKNOWN"),
                (5, "move service$load_balancer$node-1$node-2", "NO_NODE_FITS"),
            ] {
                world.say(request, message).await;
                let told = error(answer(&world, request).await);
                assert!(told.starts_with(code), "{message}: {told}");
            }
            assert_eq!(world.placed(SERVICE), before);
        })
        .await;
}

async fn started_as(world: &World, request: u128) {
    assert!(matches!(world.start(request).await, PlatformOutcome::Yes { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_the_platform_ends_an_upgrade_that_is_not_done() {
    let world = World::with_nodes(3);
    world
        .during(async {
            started(&world).await;
            world.lifecycle.set(SERVICE, Conduct::Works(Duration::from_secs(30)));
            world.say(2, &upgrade()).await;
            sleep(Duration::from_secs(5)).await;
            assert!(matches!(world.stop(3).await, PlatformOutcome::Yes { .. }));
            assert!(error(answer(&world, 2).await).starts_with("SUPERSEDED: "));
        })
        .await;
    assert_eq!(world.placed(SERVICE).unwrap().image, None, "it never proved itself");
}

/// Nothing that was asked for before is on its way.
fn is_calm(world: &World) -> bool {
    let change = world.read::<ServiceChange>(&path::service_change(SERVICE));
    change.is_none_or(|change| matches!(change.stage, ChangeStage::Done | ChangeStage::Failed))
}

/// A start, an upgrade that works, a move; each answered.
async fn story(world: &World, [start, upgraded, moved]: [u128; 3]) {
    started_as(world, start).await;
    until(async || is_calm(world)).await;
    world.say(upgraded, &upgrade()).await;
    assert_eq!(answer(world, upgraded).await, done("upgrade service"));
    if nodes(world).contains(&"node-1".to_owned()) {
        world.say(moved, MOVE).await;
        assert_eq!(answer(world, moved).await, done("move service"));
    }
}

fn assert_changed(world: &World) {
    assert_running(world);
    assert_eq!(world.placed(SERVICE).unwrap().image, Some(image()));
    assert_eq!(nodes(world), ["node-3", "node-2"]);
    assert_one_answer_each(world);
}

#[tokio::test(start_paused = true)]
async fn every_commit_of_a_change_may_fail_in_every_way() {
    for fault in FAULTS {
        for passing in 0..COMMITS {
            let world = World::with_nodes(3);
            let store = world.store.session();
            store.fail_commit_after(passing, fault);
            world.run(&world.service_on(store), story(&world, [1, 2, 3])).await;
            assert_changed(&world);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_every_commit_of_a_change_is_repaired_by_the_next_leader() {
    for fault in DEATHS {
        for passing in 0..COMMITS {
            let world = World::with_nodes(3);
            let store = world.store.session();
            store.fail_commit_after(passing, fault);
            let crashing = world.service_on(store.clone());
            world
                .run(&crashing, async {
                    let died = until(async || store.faults_left() == 0);
                    tokio::select! {
                        biased;
                        () = died => {}
                        () = story(&world, [1, 2, 3]) => {}
                    }
                })
                .await;
            drop(crashing);
            world.during(story(&world, [4, 5, 6])).await;
            assert_changed(&world);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_every_commit_of_a_backing_out_ends_with_the_former_version() {
    for passing in 0..COMMITS {
        let world = World::with_nodes(3);
        world.lifecycle.set(SERVICE, Conduct::BacksOut);
        let store = world.store.session();
        store.fail_commit_after(passing, Fault::AnswerStuck);
        let crashing = world.service_on(store.clone());
        world
            .run(&crashing, async {
                let told = async {
                    started(&world).await;
                    world.say(2, &upgrade()).await;
                    answer(&world, 2).await
                };
                tokio::select! {
                    biased;
                    () = until(async || store.faults_left() == 0) => {}
                    _ = told => {}
                }
            })
            .await;
        drop(crashing);
        world
            .during(async {
                started_as(&world, 3).await;
                until(async || is_calm(&world)).await;
                world.say(4, &upgrade()).await;
                error(answer(&world, 4).await);
            })
            .await;
        assert_eq!(world.placed(SERVICE).unwrap().image, None);
        assert_one_answer_each(&world);
        assert_running(&world);
    }
}
