//! Two lifecycle managers: one leads, and who led before does nothing any more.

use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use chassis::service::Service as _;
use common::id::Epoch;
use common::port::nodes::Issuer;
use common::record::epoch::{EpochRecord, SettledRecord};
use common::record::machine::MachineState;
use common::record::path;
use common::service::ServiceName;
use futures::join;
use testkit::nodes::Reach;
use testkit::parts::PartCall;
use tokio::time::{Instant, sleep};

use crate::world::{NODES, World, name, run, until};

fn epochs(world: &World) -> Vec<Epoch> {
    let issuer = |call: PartCall| match call {
        PartCall::Ensure { issuer, .. }
        | PartCall::Remove { issuer, .. }
        | PartCall::Restart { issuer, .. }
        | PartCall::Push { issuer, .. }
        | PartCall::Registry { issuer, .. }
        | PartCall::Share { issuer, .. }
        | PartCall::Build { issuer, .. } => Some(issuer),
        PartCall::List { .. }
        | PartCall::Logs { .. }
        | PartCall::Images { .. }
        | PartCall::Archive { .. } => None,
    };
    let mut epochs: Vec<Epoch> = world
        .parts
        .calls()
        .into_iter()
        .filter_map(issuer)
        .map(|Issuer { epoch, .. }| epoch)
        .collect();
    epochs.dedup();
    epochs
}

#[tokio::test(start_paused = true)]
async fn who_stands_by_does_nothing_and_takes_over_when_the_leader_is_gone() {
    let world = World::new();
    let (first, second) = (world.store.session(), world.store.session());
    let (leader, twin) = (world.service_on(first.clone(), 1), world.service_on(second, 2));
    let standing_by = async {
        run(&leader, async {
            world.until_calm().await;
            world.wish(&["node-2", "node-3"], None);
            world.until_ready_on(&["node-2", "node-3"]).await;
        })
        .await;
        assert_eq!(epochs(&world), [Epoch(1)], "only the leader speaks to agents");
        // The leader's power is gone, and its session with it.
        first.expire();
        world.set_reach("node-3", Reach::Dead).await;
        until(async || world.state("node-3") == Some(MachineState::Silent)).await;
        world.until_state("node-3", MachineState::Ready).await;
    };
    run(&twin, standing_by).await;
    for node in NODES {
        assert_eq!(
            world.nodes.seen_epoch(&name(node), ServiceName::LifecycleManager),
            Some(Epoch(2))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_says_that_it_is_ready_once_it_has_looked_and_the_next_one_says_so_itself() {
    let world = World::new();
    let at = path::settled(ServiceName::LifecycleManager);
    let settled = || world.read::<SettledRecord>(&at).map(|record| record.epoch);
    for epoch in [Epoch(1), Epoch(2)] {
        let taken = || world.read::<EpochRecord>(&path::epoch(ServiceName::LifecycleManager));
        world
            .during(async {
                until(async || taken().is_some_and(|taken| taken.epoch == epoch)).await;
                assert!(settled() < Some(epoch), "it has only begun to look");
                until(async || settled() == Some(epoch)).await;
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_given_other_credentials_gives_the_lead_away_and_ends() {
    let world = World::new();
    let leader = world.service();
    let lifecycle = Lifecycle::new();
    let giving = async {
        world.until_calm().await;
        world.credentials.give();
    };
    let (ended, ()) = join!(leader.run(lifecycle.clone()), giving);
    assert!(ended.is_ok() && lifecycle.is_stopping(), "{ended:?}");
    // It begins anew, and nobody's session has to end first.
    let before = Instant::now();
    let seen = |node| world.nodes.seen_epoch(&name(node), ServiceName::LifecycleManager);
    world.during(until(async || NODES.map(seen) == [Some(Epoch(2)); 4])).await;
    assert!(before.elapsed() < Duration::from_secs(4), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_was_paused_has_its_orders_refused_and_restarts_nothing_again() {
    let world = World::new();
    let (first, second) = (world.store.session(), world.store.session());
    let (leader, twin) = (world.service_on(first.clone(), 1), world.service_on(second, 2));
    let mut paused = Box::pin(leader.run(Lifecycle::new()));
    tokio::select! {
        biased;
        () = async {
            world.until_calm().await;
            world.wish(&["node-2", "node-3"], None);
            world.until_ready_on(&["node-2", "node-3"]).await;
            sleep(Duration::from_secs(20)).await;
            world.say(1, "restart service$node_manager");
            until(async || world.restarts().len() == 1).await;
        } => {}
        ended = &mut paused => panic!("it ended: {ended:?}"),
    }
    // Nobody polls it any more: it is paused in the middle, for longer than its session lasts.
    first.expire();
    run(&twin, async {
        assert_eq!(world.answer(1).await, "done restart service$node_manager");
        let before = world.restarts().len();
        assert_eq!(before, 2);
        let ended = tokio::time::timeout(Duration::from_mins(1), &mut paused).await;
        assert!(ended.is_ok_and(|ended| ended.is_err()), "it notices that it is deposed");
        sleep(Duration::from_secs(30)).await;
    })
    .await;
    let accepted = world.restarts();
    assert_eq!(accepted.len(), 2, "{accepted:?}");
    assert!(epochs(&world).contains(&Epoch(2)));
}
