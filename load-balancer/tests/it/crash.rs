//! Whatever a life was doing when it ended, the next one finishes it.

use common::message::{Event, LoadBalancerCommand};
use common::record::deployment::{Goal, State};
use common::record::route::RouteGoal;
use testkit::store::Fault;

use crate::world::{Api, World, name, until, wanted};

/// The story all crashes happen in: two apps come, one moves, one goes.
async fn story(api: Api) {
    api.set(&wanted("shop", 1, &[20000])).await;
    api.set(&wanted("blog", 1, &[20001])).await;
    api.set(&wanted("shop", 2, &[20002])).await;
    api.remove("blog", 1).await;
}

/// After the story was told again to its end: one route, one lease in use, nothing else served.
fn assert_converged(world: &World, context: &str) {
    let routes = world.routes();
    assert_eq!(routes.len(), 1, "{context}");
    let route = &routes[0];
    assert_eq!((route.instance.as_str(), route.goal), ("shop", RouteGoal::Served), "{context}");
    assert_eq!((route.upstreams[0].port, route.leaving.len()), (20002, 0), "{context}");
    let in_use: Vec<_> =
        world.leases().into_iter().filter(|(_, lease)| lease.released_at.is_none()).collect();
    assert_eq!(in_use.len(), 1, "{context}");
    assert_eq!(
        (in_use[0].0, &in_use[0].1.instance),
        (route.front_port, &name("shop")),
        "{context}"
    );
    let table = world.edge.table().unwrap();
    assert_eq!(table.routes.len(), 1, "{context}");
    assert_eq!(table.routes[0].front_port, route.front_port, "{context}");
    let mut versions: Vec<_> =
        world.edge.taken().iter().map(|table| (table.epoch, table.generation)).collect();
    let taken = versions.clone();
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions, taken, "{context}: generations only grow");
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_point_is_repaired_by_telling_it_again() {
    let mut ended = false;
    let mut crashes = 0;
    while !ended {
        let world = World::new();
        ended = world.live_for(crashes, story).await;
        world.live(story).await;
        assert_converged(&world, &format!("crash after {crashes} polls"));
        crashes += 1;
    }
    assert!(crashes > 50, "the story has many points to crash at: {crashes}");
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_any_write_is_repaired_by_telling_it_again() {
    for fault in [Fault::Unavailable, Fault::RequestLost, Fault::AnswerLost] {
        for passing in 0..14 {
            let world = World::new();
            world
                .live(async |api| {
                    world.store.fail_commit_after(passing, fault);
                    // The fault may be met in the third telling only.
                    for _ in 0..4 {
                        story(api.clone()).await;
                    }
                })
                .await;
            assert_converged(&world, &format!("{fault:?} after {passing} commits"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_point_loses_no_scale_and_tells_its_end_once() {
    let mut ended = false;
    let mut crashes = 0;
    while !ended {
        let world = World::new();
        world.deploy("shop", Goal::Running, State::Running);
        world.send(1, &LoadBalancerCommand::Scale { instance: name("shop"), replicas: 2 });
        let told = async |api: Api| {
            api.set(&wanted("shop", 1, &[20000, 20001])).await;
            world.told(1).await;
        };
        ended = world.live_for(crashes, told).await;
        world
            .live(async |api| {
                told(api).await;
                let settled = || world.scale("shop").unwrap()["owed"] == serde_json::json!([]);
                until("nothing is owed", settled).await;
            })
            .await;
        let context = format!("crash after {crashes} polls");
        let end = Event::Done { verb: "scale app".to_owned(), text: "shop$2".to_owned() };
        assert!(world.events().iter().all(|event| *event == end), "{context}");
        let ids: std::collections::BTreeSet<_> = world
            .bus
            .records(common::topic::Topic::FirstTopic)
            .iter()
            .map(|told| told.record.header("message-id").unwrap().to_vec())
            .collect();
        assert_eq!(ids.len(), 1, "{context}: repeats carry the same id");
        crashes += 1;
    }
    assert!(crashes > 20, "the story has many points to crash at: {crashes}");
}
