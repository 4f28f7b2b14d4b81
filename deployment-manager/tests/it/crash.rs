//! A crash at every point of every story: the next life finishes it, and everything is there once.
//!
//! A life is crashed by dropping it after it was polled n times, for every n until the story ends by
//! itself. The fakes let others run before each of their effects, so every point between two effects
//! is met.

use std::time::Duration;

use common::port::nodes::Probe;
use testkit::store::Fault;

use crate::world::{World, image, name};

/// What is told to a world that was prepared, and how it must look in the end.
struct Story {
    prepare: fn(&World),
    /// Deploys before the crashes begin.
    running: bool,
    tell: fn(&World),
    replicas: usize,
    text: &'static str,
}

const DONE: &str = "done shop deploy - 192.0.2.10:2000";

async fn prepared(story: &Story) -> World {
    let world = World::new();
    world.write_instance("shop", 1, 2);
    if story.running {
        world.live(world.deployed(1, "shop")).await;
    }
    (story.prepare)(&world);
    (story.tell)(&world);
    world
}

/// Waits until the story is over, and the sweep was everywhere.
async fn over(world: &World) {
    world.told(2).await;
    world.settled("shop").await;
}

async fn swept(world: &World) {
    over(world).await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    world.settled("shop").await;
}

fn assert_told_once(world: &World, story: &Story, context: &str) {
    let ends = world.ends(2);
    assert_eq!(ends.len(), 1, "{context}: {ends:?}");
    let (_, text) = ends.into_iter().next().unwrap();
    assert_eq!(text, story.text, "{context}");
    world.assert_exact("shop", story.replicas, context);
    let routed = if story.replicas > 0 { vec![name("shop")] } else { Vec::new() };
    assert_eq!(world.routes.instances(), routed, "{context}");
}

async fn survives_every_crash(story: Story) {
    let mut crashes = 0;
    loop {
        let world = prepared(&story).await;
        let ended = world.live_for(crashes, over(&world)).await;
        world.live(swept(&world)).await;
        assert_told_once(&world, &story, &format!("crash after {crashes} polls"));
        if ended {
            break;
        }
        crashes += 1;
    }
    assert!(crashes > 20, "the story has many points to crash at: {crashes}");
}

async fn survives_every_fault(story: Story) {
    for fault in [Fault::Unavailable, Fault::RequestLost, Fault::AnswerLost] {
        for passing in 0..16 {
            let world = prepared(&story).await;
            world.store.fail_commit_after(passing, fault);
            world.live(swept(&world)).await;
            assert_told_once(&world, &story, &format!("{fault:?} after {passing} commits"));
        }
    }
}

/// Reads are as old as they may be: the state after the last write of this client.
async fn survives_stale_reads(story: Story) {
    let world = prepared(&story).await;
    world.store.freeze_reads();
    world.live(swept(&world)).await;
    assert_told_once(&world, &story, "stale reads");
}

fn deploy() -> Story {
    Story {
        prepare: |_| {},
        running: false,
        tell: |world| world.deploy(2, "shop"),
        replicas: 2,
        text: DONE,
    }
}

fn redeploy() -> Story {
    Story { prepare: |world| world.write_instance("shop", 2, 2), running: true, ..deploy() }
}

fn rollback() -> Story {
    Story { prepare: |world| world.write_rollback("shop", 1, 2), running: true, ..deploy() }
}

fn failing() -> Story {
    Story {
        prepare: |world| {
            let exited = Probe::Exited { code: 1, out_of_memory: false, crash_loop: false };
            world.nodes.script_probes(&image(1), [exited]);
        },
        replicas: 0,
        text: "App shop not deployed. Error - APP_EXITED: it ended with code 1",
        ..deploy()
    }
}

fn failing_redeploy() -> Story {
    Story {
        prepare: |world| {
            world.write_instance("shop", 2, 2);
            let exited = Probe::Exited { code: 1, out_of_memory: false, crash_loop: false };
            world.nodes.script_probes(&image(2), [exited]);
        },
        running: true,
        replicas: 2,
        ..failing()
    }
}

fn stop() -> Story {
    Story {
        running: true,
        tell: |world| world.stop(2, "shop"),
        replicas: 0,
        text: "done stopped$shop",
        ..deploy()
    }
}

fn unknown() -> Story {
    Story {
        tell: |world| world.deploy(2, "nothing"),
        replicas: 0,
        text: "App nothing not deployed. Error - APP_UNKNOWN: there is neither an instance nor an app of this name",
        ..deploy()
    }
}

macro_rules! survives {
    ($($crash:ident, $fault:ident, $stale:ident: $story:ident;)*) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $crash() {
                survives_every_crash($story()).await;
            }

            #[tokio::test(start_paused = true)]
            async fn $fault() {
                survives_every_fault($story()).await;
            }

            #[tokio::test(start_paused = true)]
            async fn $stale() {
                survives_stale_reads($story()).await;
            }
        )*
    };
}

survives! {
    a_deploy_survives_a_crash_at_any_point, a_deploy_survives_a_fault_of_any_write, a_deploy_survives_stale_reads: deploy;
    a_redeploy_survives_a_crash_at_any_point, a_redeploy_survives_a_fault_of_any_write, a_redeploy_survives_stale_reads: redeploy;
    a_failing_deploy_survives_a_crash_at_any_point, a_failing_deploy_survives_a_fault_of_any_write, a_failing_deploy_survives_stale_reads: failing;
    a_failing_redeploy_survives_a_crash_at_any_point, a_failing_redeploy_survives_a_fault_of_any_write, a_failing_redeploy_survives_stale_reads: failing_redeploy;
    a_rollback_survives_a_crash_at_any_point, a_rollback_survives_a_fault_of_any_write, a_rollback_survives_stale_reads: rollback;
    a_stop_survives_a_crash_at_any_point, a_stop_survives_a_fault_of_any_write, a_stop_survives_stale_reads: stop;
}

/// A refusal leaves no record behind that could owe it.
#[tokio::test(start_paused = true)]
async fn a_refusal_survives_a_crash_at_any_point() {
    let story = unknown();
    for crashes in 0..60 {
        let world = prepared(&story).await;
        world.live_for(crashes, world.told(2)).await;
        world.live(world.told(2)).await;
        assert_told_once(&world, &story, &format!("crash after {crashes} polls"));
    }
}
