//! An edge of which nothing is heard, or that does not take the table.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_edge_that_is_silent_may_serve_a_replica_that_leaves_until_its_machine_is_dead() {
    let pair = Pair::new();
    pair.live(async |routes| {
        routes.set(&wanted("shop", 1, &[20000])).await.unwrap();
        pair.leader.wire.cut();
        sleep(Duration::from_secs(5)).await;
        let began = Instant::now();
        routes.set(&wanted("blog", 1, &[20010])).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        // Nobody may end the replica: visitors who come by the other edge still meet it.
        for verdict in ["live", "suspect"] {
            pair.is_judged(verdict);
            routes.set(&wanted("shop", 2, &[20001])).await.unwrap_err();
            assert_eq!(pair.leaving_of("shop"), 1);
        }
        pair.is_judged("dead");
        let began = Instant::now();
        until("the replica is drained", || pair.leaving_of("shop") == 0).await;
        let took = began.elapsed();
        assert!((DRAIN_WITHIN..DRAIN_WITHIN + Duration::from_secs(5)).contains(&took), "{took:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_leaves_has_its_deadline_once_the_other_edge_has_the_table() {
    let pair = Pair::new();
    pair.live(async |routes| {
        routes.set(&wanted("shop", 1, &[20000])).await.unwrap();
        pair.follower.edge.begin_request(2000).unwrap();
        pair.leader.wire.cut();
        sleep(Duration::from_secs(5)).await;
        routes.set(&wanted("shop", 2, &[20001])).await.unwrap_err();
        pair.leader.wire.lead_to(&pair.follower.service);
        let began = Instant::now();
        until("the replica is drained", || pair.leaving_of("shop") == 0).await;
        assert!(began.elapsed() >= DRAIN_WITHIN, "{:?}", began.elapsed());
        assert!(!pair.follower.serves("shop", 20000));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_port_of_a_route_is_free_only_when_no_edge_serves_it() {
    let pair = Pair::new();
    pair.live(async |routes| {
        routes.set(&wanted("shop", 1, &[20000])).await.unwrap();
        pair.leader.wire.cut();
        pair.follower.edge.set_load_takes(Duration::from_hours(1));
        sleep(Duration::from_secs(5)).await;
        routes.remove(&name("shop"), Generation(1)).await.unwrap_err();
        sleep(Duration::from_mins(5)).await;
        assert_eq!(pair.world.leases().len(), 1);
        pair.is_judged("dead");
        until("its port is free", || pair.world.leases().is_empty()).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_port_of_a_route_is_not_free_before_the_other_edge_was_given_a_table() {
    let pair = Pair::new();
    let lease = json!({ "schema": 1, "instance": "shop", "released_at": "2020-01-01T00:00:00Z" });
    pair.world.write(&path::edge_port(2000), &lease);
    pair.leader.wire.cut();
    pair.leader.edge.set_health(Health::Down);
    let story = async {
        sleep(Duration::from_mins(5)).await;
        assert_eq!(pair.world.leases().len(), 1);
        pair.is_judged("dead");
        until("its port is free", || pair.world.leases().is_empty()).await;
    };
    tokio::select! {
        biased;
        () = story => {}
        () = pair.leader.run() => {}
    }
}

#[tokio::test(start_paused = true)]
async fn an_edge_that_has_ended_starts_with_the_table_and_holds_up_no_replica() {
    let pair = Pair::new();
    pair.live(async |routes| {
        routes.set(&wanted("shop", 1, &[20000])).await.unwrap();
        pair.follower.edge.set_health(Health::Ended);
        for port in 20_001..20_004 {
            let began = Instant::now();
            routes.set(&wanted("shop", u64::from(port - 19_999), &[port])).await.unwrap();
            let took = began.elapsed();
            assert!(took < DRAIN_WITHIN + Duration::from_secs(3), "{took:?}");
        }
        assert!(pair.follower.serves("shop", 20003));
        pair.follower.edge.set_health(Health::Answers);
        routes.set(&wanted("shop", 5, &[20005])).await.unwrap();
        assert!(pair.follower.serves("shop", 20005));
        let offered: Vec<_> = pair.follower.edge.taken().iter().map(|one| one.generation).collect();
        assert!(offered.is_sorted(), "{offered:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_edge_whose_load_balancer_reads_no_records_is_counted_and_holds_up_drains() {
    let pair = Pair::new();
    pair.live(async |routes| {
        routes.set(&wanted("shop", 1, &[20000])).await.unwrap();
        pair.leader.wire.is_blind.store(true, Ordering::SeqCst);
        routes.set(&wanted("shop", 2, &[20001])).await.unwrap_err();
        assert_eq!(pair.leaving_of("shop"), 1);
        assert!(routes.traffic(&name("shop")).await.is_ok());
        pair.leader.wire.is_blind.store(false, Ordering::SeqCst);
        let drained = until("the replica is drained", || pair.leaving_of("shop") == 0);
        timeout(Duration::from_secs(5), drained).await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_an_edge_missed_while_it_was_silent_it_serves_when_it_answers_again() {
    let pair = Pair::new();
    pair.live(async |routes| {
        pair.leader.wire.cut();
        sleep(Duration::from_secs(5)).await;
        routes.set(&wanted("shop", 1, &[20000])).await.unwrap();
        assert!(!pair.follower.serves("shop", 20000));
        pair.leader.wire.lead_to(&pair.follower.service);
        let served = until("the other serves it, too", || pair.follower.serves("shop", 20000));
        timeout(Duration::from_secs(2), served).await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_counted_while_an_edge_is_silent_until_its_machine_is_dead() {
    let pair = Pair::new();
    pair.live(async |routes| {
        routes.set(&wanted("shop", 1, &[20000])).await.unwrap();
        pair.follower.edge.set_health(Health::Down);
        sleep(Duration::from_secs(4)).await;
        assert!(routes.traffic(&name("shop")).await.is_err());
        sleep(Duration::from_mins(1)).await;
        assert!(routes.traffic(&name("shop")).await.is_err());
        pair.is_judged("dead");
        sleep(Duration::from_secs(4)).await;
        assert!(routes.traffic(&name("shop")).await.is_ok());
    })
    .await;
}
