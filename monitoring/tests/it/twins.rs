//! Two instances: one leads, the other takes over.

use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use chassis::service::Service as _;
use tokio::time::{Instant, sleep};

use crate::world::{World, run, seconds, until};

#[tokio::test(start_paused = true)]
async fn only_one_of_two_looks_and_the_other_takes_over_where_it_was() {
    let world = World::with_everything();
    let store = world.store.session();
    let one = world.monitoring_on(store.clone(), 8070);
    let two = world.monitoring_on(world.store.session(), 8071);
    let twin = async {
        world.until_all_up().await;
        two.run(Lifecycle::new()).await
    };
    let story = async {
        run(&one, async {
            world.until_all_up().await;
            seconds(5).await;
            let (looks, began) = (world.probes.looks(), Instant::now());
            seconds(20).await;
            let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
            // Seven services every two seconds, once.
            let rate = (world.probes.looks() - looks) / seconds;
            assert!((2..=4).contains(&rate), "{rate} looks a second");
            world.dies("load_balancer");
            until(async || world.restarted().len() == 1).await;
        })
        .await;
        // The first crashed; its session ends.
        store.expire();
        let began = Instant::now();
        until(async || world.restarted().len() == 2).await;
        // Whoever takes over waits the whole wait again.
        assert!(began.elapsed() >= Duration::from_secs(15), "{:?}", began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
        world.comes_back("load_balancer");
        world.until_verdict("service", "load_balancer", "up").await;
        until(async || world.alerts().len() == 2).await;
    };
    tokio::select! {
        biased;
        () = story => {}
        ended = twin => panic!("the twin ended: {ended:?}"),
    }
    let texts: Vec<String> = world.restarted();
    assert_eq!(texts, ["restart service$load_balancer", "restart service$load_balancer"]);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_lost_the_lead_ends_and_writes_nothing_more() {
    let world = World::with_everything();
    let store = world.store.session();
    let old = world.monitoring_on(store.clone(), 8070);
    let new = world.monitoring_on(world.store.session(), 8071);
    let running = async { old.run(Lifecycle::new()).await.unwrap_err().to_string() };
    let story = async {
        world.until_all_up().await;
        run(&new, async {
            seconds(2).await;
            store.expire();
            sleep(Duration::from_secs(30)).await;
            world.dies("load_balancer");
            until(async || !world.restarted().is_empty()).await;
            seconds(5).await;
        })
        .await;
    };
    let (ended, ()) = futures::join!(running, story);
    assert!(ended.contains("may lead") || ended.contains("leads"), "{ended}");
    assert_eq!(world.restarted(), ["restart service$load_balancer"]);
    assert_eq!(world.alerts().len(), 1);
}
