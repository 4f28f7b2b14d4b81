//! Under which epoch the edge of who follows is told.

use super::*;

#[tokio::test(start_paused = true)]
async fn who_follows_tells_its_edge_of_a_new_leader_that_changed_nothing() {
    let pair = Pair::new();
    let leads = || pair.leader.edge.table().is_some();
    let follows = async {
        until("one leads", leads).await;
        pair.follower.run().await;
    };
    let story = async {
        let served = async {
            until("one leads", leads).await;
            until("the other follows", || pair.follower.edge.table().is_some()).await;
            pair.leader.routes().set(&wanted("shop", 1, &[20000])).await.unwrap();
        };
        tokio::select! {
            biased;
            () = served => {}
            () = pair.leader.run() => {}
        }
        let epoch = json!({ "schema": 1, "epoch": 2, "taken_by": "candidate-0000000009" });
        pair.world.write(&path::epoch(ServiceName::LoadBalancer), &epoch);
        let told = until("its edge is told", || {
            pair.follower.edge.table().is_some_and(|table| table.epoch.0 == 2)
        });
        timeout(Duration::from_secs(40), told).await.unwrap();
        assert!(pair.follower.serves("shop", 20000));
    };
    tokio::select! {
        biased;
        () = story => {}
        () = follows => {}
    }
}
