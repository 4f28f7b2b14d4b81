//! Verdicts on nodes.

use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use chassis::service::Service as _;
use common::record::leader::Advertised;
use common::record::node::{Alive, Node, Verdict};
use common::record::path;
use node_manager::config::Nodes;
use testkit::nodes::Reach;
use tokio::time::{Instant, sleep, timeout};

use crate::world::{World, name, run, until};

async fn seconds(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_node_is_suspect_after_two_seconds_and_dead_after_six() {
    let world = World::with_nodes(2);
    let (silent, other) = (name("node-1"), name("node-2"));
    world
        .during(async {
            world.until_verdict(&silent, Verdict::Live).await;
            world.until_verdict(&other, Verdict::Live).await;
            seconds(10).await;
            world.nodes.set_reach(&silent, Reach::Partitioned).await;
            let began = Instant::now();
            world.until_verdict(&silent, Verdict::Suspect).await;
            assert!((1900..2400).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
            world.until_verdict(&silent, Verdict::Dead).await;
            assert!((5900..6400).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
            assert_eq!(world.verdict(&other), Some(Verdict::Live));
            let alive: Alive = world.read(&path::alive(&silent)).unwrap();
            assert_eq!(alive.reason, "no sample came for 6 s");
            world.nodes.set_reach(&silent, Reach::Up).await;
            let began = Instant::now();
            world.until_verdict(&silent, Verdict::Live).await;
            assert!((6..9).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_new_node_manager_listens_for_a_window_before_it_judges() {
    let world = World::with_nodes(1);
    let node = name("node-1");
    world.during(world.until_verdict(&node, Verdict::Live)).await;
    world.nodes.set_reach(&node, Reach::Hung).await;
    seconds(3600).await;
    world
        .during(async {
            let began = Instant::now();
            seconds(5).await;
            assert_eq!(world.verdict(&node), Some(Verdict::Live));
            world.until_verdict(&node, Verdict::Dead).await;
            assert_eq!(began.elapsed().as_secs(), 6);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_never_heard_is_dead_after_a_window() {
    let world = World::with_nodes(1);
    world.nodes.set_reach(&name("node-1"), Reach::Dead).await;
    world.during(world.until_verdict(&name("node-1"), Verdict::Dead)).await;
}

#[tokio::test(start_paused = true)]
async fn a_flapping_node_is_held_back() {
    let world = World::with_nodes(1);
    let node = name("node-1");
    let (mut live_again, mut before) = (0, None);
    world
        .during(async {
            world.until_verdict(&node, Verdict::Live).await;
            for _ in 0..12 {
                for reach in [Reach::Dead, Reach::Up] {
                    world.nodes.set_reach(&node, reach).await;
                    for _ in 0..80 {
                        sleep(Duration::from_millis(100)).await;
                        let now = world.verdict(&node);
                        live_again += u32::from(
                            now == Some(Verdict::Live) && before == Some(Verdict::Suspect),
                        );
                        before = now;
                    }
                }
            }
            world.until_verdict(&node, Verdict::Live).await;
        })
        .await;
    // Twelve times gone for eight seconds, and back for eight.
    assert_eq!(live_again, 1);
}

#[tokio::test(start_paused = true)]
async fn a_verdict_is_written_once_and_only_again_when_it_changes() {
    let world = World::with_nodes(1);
    let version = || {
        use common::port::Store as _;
        let at = path::alive(&name("node-1"));
        let store = world.store.clone();
        async move { store.get(&at).await.unwrap().map(|entry| entry.version) }
    };
    world
        .during(async {
            world.until_verdict(&name("node-1"), Verdict::Live).await;
            let first = version().await;
            seconds(600).await;
            assert_eq!(version().await, first);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_death_during_an_outage_of_the_store_is_told_by_the_leader_after_it() {
    let world = World::with_nodes(1);
    let node = name("node-1");
    let story = async {
        world.until_verdict(&node, Verdict::Live).await;
        seconds(10).await;
        world.store.go_down();
        world.nodes.set_reach(&node, Reach::Dead).await;
        seconds(60).await;
        world.store.come_back();
        let began = Instant::now();
        world.until_verdict(&node, Verdict::Dead).await;
        // A new leader listens for as long as a node may be silent, and then judges.
        assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    };
    // Who cannot be sure that it leads ends, and is started again.
    let lives = async {
        loop {
            drop(world.service().run(Lifecycle::new()).await);
        }
    };
    tokio::select! {
        biased;
        () = story => {}
        () = lives => {}
    }
}

#[tokio::test(start_paused = true)]
async fn who_stood_by_when_a_node_fell_silent_knows_since_when() {
    for nodes in ["configured", "stored"] {
        let mut world = World::with_nodes(1);
        let node = name("node-1");
        if nodes == "stored" {
            world.config.nodes = Nodes::Stored;
            world.write(&path::node(&node), &world.members[0]);
        }
        let first = world.service();
        world.config.advertised = Advertised::plain("127.0.0.1:8041");
        let second = world.service();
        let leads = Lifecycle::new();
        let story = async {
            world.until_verdict(&node, Verdict::Live).await;
            run(&second, async {
                seconds(20).await;
                world.nodes.set_reach(&node, Reach::Partitioned).await;
                seconds(5).await;
                assert_ne!(world.verdict(&node), Some(Verdict::Dead));
                leads.stop();
                let began = Instant::now();
                world.until_verdict(&node, Verdict::Dead).await;
                assert!(began.elapsed() < Duration::from_secs(3), "{nodes}: {:?}", began.elapsed());
            })
            .await;
        };
        futures::join!(story, async { first.run(leads.clone()).await.unwrap() });
    }
}

#[tokio::test(start_paused = true)]
async fn nodes_are_enrolled_as_configured_and_dismissed_when_they_no_longer_are() {
    let mut world = World::with_nodes(2);
    let (kept, gone) = (name("node-1"), name("node-2"));
    world
        .during(async {
            world.until_verdict(&gone, Verdict::Live).await;
            let node: Node = world.read(&path::node(&gone)).unwrap();
            assert_eq!(node, world.members[1]);
        })
        .await;
    world.members.truncate(1);
    world
        .during(async {
            until(async || world.read::<Node>(&path::node(&gone)).is_none()).await;
            assert_eq!(world.verdict(&gone), Some(Verdict::Dead));
            world.until_verdict(&kept, Verdict::Live).await;
        })
        .await;
    assert!(world.read::<Node>(&path::node(&kept)).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_node_manager_ends_when_another_one_leads() {
    let world = World::with_nodes(1);
    let (old, new) = (world.service(), world.service());
    let running = async {
        let ended = old.run(Lifecycle::new()).await;
        ended.unwrap_err().to_string()
    };
    let story = async {
        world.until_verdict(&name("node-1"), Verdict::Live).await;
        run(&new, async {
            seconds(1).await;
            world.nodes.set_reach(&name("node-1"), Reach::Dead).await;
            world.until_verdict(&name("node-1"), Verdict::Dead).await;
            // The old one notices with its next write.
            seconds(60).await;
        })
        .await;
    };
    let both = async { futures::join!(running, story) };
    let (ended, ()) = timeout(Duration::from_mins(10), both).await.expect("the old one ends");
    assert!(ended.contains("another"), "{ended}");
}

#[tokio::test(start_paused = true)]
async fn where_the_store_says_which_nodes_there_are_they_come_and_go_with_their_records() {
    let mut world = World::with_nodes(2);
    world.config.nodes = Nodes::Stored;
    let (first, second) = (world.members[0].clone(), world.members[1].clone());
    world.write(&path::node(&first.name), &first);
    world
        .during(async {
            world.until_verdict(&first.name, Verdict::Live).await;
            assert_eq!(world.verdict(&second.name), None);
            world.write(&path::node(&second.name), &second);
            world.until_verdict(&second.name, Verdict::Live).await;
            world.remove(&path::node(&first.name)).await;
            world.until_verdict(&first.name, Verdict::Dead).await;
            world.ask(1, "shop").await;
            assert_eq!(world.choice(1).await.name, second.name);
            world.write(&path::node(&first.name), &first);
            world.until_verdict(&first.name, Verdict::Live).await;
            // Who takes its machine away says so, and nothing is placed there any more.
            world.write(&path::node(&second.name), &Node { leaves: true, ..second.clone() });
            world.until_verdict(&second.name, Verdict::Draining).await;
            world.ask(2, "shop").await;
            assert_eq!(world.choice(2).await.name, first.name);
        })
        .await;
}
