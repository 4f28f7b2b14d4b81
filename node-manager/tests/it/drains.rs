//! Nodes that are drained, and returned.

use std::time::Duration;

use common::name::NodeName;
use common::port::Clock as _;
use common::port::drains::Error;
use common::problem::Problem;
use common::record::node::{Alive, Drain, Node, Verdict};
use common::record::path;
use node_manager::Service;
use node_manager::config::Nodes;
use testkit::contract::drains::holds;
use testkit::nodes::Reach;
use testkit::store::Fault;
use tokio::time::{sleep, timeout};

use crate::world::{World, name, run, until};

async fn are_live(world: &World) {
    for node in &world.members {
        world.until_verdict(&node.name, Verdict::Live).await;
    }
}

/// Drains a node of which something else than a refusal may come: asks until it is decided.
async fn drain(service: &Service, node: &NodeName) {
    until(async || service.local_drains().begin(node).await.is_ok()).await;
}

fn refusal(answer: Result<(), Error>) -> Problem {
    match answer {
        Err(Error::Refused(problem)) => *problem,
        other => panic!("it is not refused: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn drains_of_the_process_keep_the_contract() {
    let world = World::with_nodes(2);
    let service = world.service();
    run(&service, async {
        are_live(&world).await;
        holds(service.local_drains().as_ref(), ["node-1", "node-2"]).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_drained_node_is_draining_and_gets_nothing_over_restarts_until_it_is_returned() {
    let world = World::with_nodes(2);
    let (one, other) = (name("node-1"), name("node-2"));
    let service = world.service();
    run(&service, async {
        are_live(&world).await;
        service.local_drains().begin(&one).await.unwrap();
        world.until_verdict(&one, Verdict::Draining).await;
        let alive: Alive = world.read(&path::alive(&one)).unwrap();
        assert_eq!(alive.reason, "it is drained until it is returned");
    })
    .await;
    // A node of the configuration has its record written as configured: the drain is not in it.
    let service = world.service();
    run(&service, async {
        sleep(Duration::from_secs(10)).await;
        assert_eq!(world.verdict(&one), Some(Verdict::Draining));
        for request in 1..=4 {
            world.ask(request, "shop").await;
            assert_eq!(world.choice(request).await.name, other);
        }
        // Whatever becomes of its machine meanwhile.
        world.nodes.set_reach(&one, Reach::Dead).await;
        world.until_verdict(&one, Verdict::Dead).await;
        world.nodes.set_reach(&one, Reach::Up).await;
        world.until_verdict(&one, Verdict::Draining).await;
        service.local_drains().end(&one).await.unwrap();
        world.until_verdict(&one, Verdict::Live).await;
        world.ask(5, "shop").await;
        assert_eq!(world.choice(5).await.name, one);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_last_node_that_lives_and_takes_apps_is_not_drained() {
    let world = World::with_nodes(3);
    let service = world.service();
    run(&service, async {
        are_live(&world).await;
        world.nodes.set_reach(&name("node-3"), Reach::Dead).await;
        world.until_verdict(&name("node-3"), Verdict::Dead).await;
        let drains = service.local_drains();
        let (one, other) = (name("node-1"), name("node-2"));
        let (first, second) = futures::join!(drains.begin(&one), drains.begin(&other));
        first.unwrap();
        let problem = refusal(second);
        assert_eq!((problem.status, problem.code.as_str()), (409, "LAST_NODE"));
        let sentence = "no node but node-2 lives and takes apps: they would have nowhere to go";
        assert_eq!(problem.detail, sentence);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(world.verdict(&other), Some(Verdict::Live));
        // One that nobody hears may be drained, so that it gets nothing when it comes back.
        drains.begin(&name("node-3")).await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_kept_whatever_becomes_of_its_commit() {
    for fault in [Fault::Unavailable, Fault::RequestLost, Fault::AnswerLost] {
        let world = World::with_nodes(2);
        let store = world.store.session();
        let service = world.service_on(store.clone());
        let node = name("node-1");
        run(&service, async {
            are_live(&world).await;
            for (verdict, drained) in [(Verdict::Draining, true), (Verdict::Live, false)] {
                store.fail_commit(fault);
                let drains = service.local_drains();
                until(async || {
                    let asked = if drained { drains.begin(&node) } else { drains.end(&node) };
                    asked.await.is_ok()
                })
                .await;
                world.until_verdict(&node, verdict).await;
                sleep(Duration::from_secs(2)).await;
                assert_eq!(world.verdict(&node), Some(verdict), "{fault:?}");
            }
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_whose_commit_nobody_waited_for_is_known() {
    for is_late in [false, true] {
        let world = World::with_nodes(2);
        let store = world.store.session();
        let service = world.service_on(store.clone());
        let node = name("node-1");
        run(&service, async {
            are_live(&world).await;
            store.fail_commit(if is_late { Fault::RequestStuck } else { Fault::AnswerStuck });
            let drains = service.local_drains();
            // As who has asked gives up.
            timeout(Duration::from_secs(10), drains.begin(&node)).await.unwrap_err();
            if is_late {
                // The write is on its way yet, and reads do not see it until they wait for it.
                store.freeze_reads();
                let since = world.clock.now();
                let drain = Drain { schema: 1, node: node.clone(), since };
                world.write(&path::drain(&node), &drain);
            }
            assert!(is_drained(&world, &node));
            world.until_verdict(&node, Verdict::Draining).await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_cannot_be_read_drains_its_node_and_costs_no_other() {
    let world = World::with_nodes(2);
    let (one, other) = (name("node-1"), name("node-2"));
    world.write(&path::drain(&one), &"no drain");
    let service = world.service();
    run(&service, async {
        world.until_verdict(&other, Verdict::Live).await;
        world.until_verdict(&one, Verdict::Draining).await;
        let problem = refusal(service.local_drains().begin(&other).await);
        assert_eq!(problem.code.as_str(), "LAST_NODE");
        service.local_drains().end(&one).await.unwrap();
        world.until_verdict(&one, Verdict::Live).await;
        assert!(!is_drained(&world, &one));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn another_node_of_the_same_name_is_not_drained() {
    for nodes in ["configured", "stored"] {
        let mut world = World::with_nodes(3);
        let gone = world.members.pop().unwrap();
        let all: Vec<Node> = world.members.iter().chain([&gone]).cloned().collect();
        if nodes == "stored" {
            world.config.nodes = Nodes::Stored;
            for node in &all {
                world.write(&path::node(&node.name), node);
            }
        } else {
            world.members = all;
        }
        let service = world.service();
        run(&service, async {
            world.until_verdict(&gone.name, Verdict::Live).await;
            are_live(&world).await;
            drain(&service, &gone.name).await;
            world.until_verdict(&gone.name, Verdict::Draining).await;
            if nodes == "stored" {
                world.remove(&path::node(&gone.name)).await;
                world.until_verdict(&gone.name, Verdict::Dead).await;
                until(async || !is_drained(&world, &gone.name)).await;
            }
        })
        .await;
        if nodes == "configured" {
            world.members.pop();
            let service = world.service();
            run(&service, until(async || !is_drained(&world, &gone.name))).await;
            world.members.push(gone.clone());
        } else {
            world.write(&path::node(&gone.name), &gone);
        }
        world.during(world.until_verdict(&gone.name, Verdict::Live)).await;
    }
}

fn is_drained(world: &World, node: &NodeName) -> bool {
    let drains = world.store.records(&path::folder("drains"));
    drains.iter().any(|(at, _)| *at == path::drain(node))
}
