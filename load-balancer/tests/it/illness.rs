//! Replicas that their nodes' agents find ill get no requests while others serve.

use std::time::Duration;

use common::name::{ContainerName, NodeName};
use common::port::nodes::EndedIll;
use common::record::course::DecisionKind;
use testkit::bus::Availability;
use testkit::nodes::Reach;

use crate::balance::{Platform, SCALING, seconds};
use crate::world::{Api, name, until, wanted};

/// A platform with one app of two replicas, of which each may be ill.
struct Ward {
    platform: Platform,
    node: NodeName,
}

impl Ward {
    async fn of_two() -> Self {
        let platform = Platform::of(None);
        platform.serves(2).await;
        Ward::of(platform)
    }

    fn of(platform: Platform) -> Self {
        Ward { platform, node: "node-1".parse().unwrap() }
    }

    async fn live(&self, story: impl AsyncFnOnce(Api)) {
        let told = async |api: Api| {
            assert_eq!(api.set(&wanted("shop", 1, &[20000, 20001])).await.status, 200);
            story(api).await;
        };
        self.platform.world.live(told).await;
    }

    fn fails(&self, replica: u32, looks: u32) {
        let name: ContainerName = format!("shop_instance_{replica}").parse().unwrap();
        self.platform.world.nodes.set_failed_looks(&self.node, &name, looks);
    }

    /// The host ports of the replicas that get requests.
    fn served(&self) -> Vec<u16> {
        let row = self.platform.world.edge.row(&name("shop")).unwrap();
        row.upstreams.iter().map(|upstream| upstream.port).collect()
    }

    fn decisions(&self) -> Vec<(DecisionKind, String)> {
        let route = self.platform.world.routes().remove(0);
        let decisions = route.decisions.into_iter();
        decisions.map(|decision| (decision.kind, decision.reason)).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn an_ill_replica_gets_no_requests_until_it_is_found_well() {
    let ward = Ward::of_two().await;
    ward.live(async |api| {
        seconds(1).await;
        ward.fails(2, 2);
        seconds(10).await;
        assert_eq!(ward.served(), [20000, 20001], "two looks are too few");
        ward.fails(2, 3);
        let began = tokio::time::Instant::now();
        until("the ill one is left out", || ward.served() == [20000]).await;
        assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
        // Whoever asks for the same route has it, and a route with another replica as well.
        assert_eq!(api.set(&wanted("shop", 1, &[20000, 20001])).await.status, 200);
        ward.platform.serves(3).await;
        assert_eq!(api.set(&wanted("shop", 1, &[20000, 20001, 20002])).await.status, 200);
        assert_eq!(ward.served(), [20000, 20002]);
        ward.fails(2, 0);
        until("it is back", || ward.served() == [20000, 20001, 20002]).await;
        let who = "replica 2 at 192.0.2.1:20001 gets";
        let why = [
            (DecisionKind::LeftOut, "no requests: 3 looks of its node's agent failed in a row"),
            (DecisionKind::PutBack, "requests again: its node's agent found it well"),
        ];
        assert_eq!(ward.decisions(), why.map(|(kind, text)| (kind, format!("{who} {text}"))));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_an_ill_replica_was_asked_is_that_of_one_that_is_served() {
    let ward = Ward::of_two().await;
    ward.live(async |api| {
        let port = api.set(&wanted("shop", 1, &[20000, 20001])).await.port();
        let edge = &ward.platform.world.edge;
        for _ in 0..2 {
            let (_, address) = edge.begin_request(port).unwrap();
            edge.end_request_with(address, 500, Duration::ZERO);
        }
        seconds(1).await;
        ward.fails(2, 3);
        until("the ill one is left out", || ward.served() == [20000]).await;
        seconds(1).await;
        let replicas = api.traffic("shop").await.body["replicas"].clone();
        let told =
            replicas.as_array().unwrap().iter().map(|one| {
                (one["port"].as_u64(), one["is_served"].as_bool(), one["errors"].as_u64())
            });
        let told: Vec<_> = told.collect();
        assert_eq!(told, [20000, 20001].map(|port| (Some(port), Some(true), Some(1))));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn that_an_ill_replica_was_started_again_is_told_once_with_the_reason() {
    let ward = Ward::of_two().await;
    let name: ContainerName = "shop_instance_2".parse().unwrap();
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    let nodes = &ward.platform.world.nodes;
    nodes.set_ended_ill(&ward.node, &name, EndedIll { at, failed_looks: 31 });
    let restarts = || ward.platform.world.routes().remove(0).restarts;
    let told = "done restart replica$shop$2";
    ward.live(async |api| {
        until("it is noted", || !restarts().is_empty()).await;
        assert_eq!(ward.platform.world.told(1).await, [told]);
        // It is told with every sample, and another route of the app keeps it.
        assert_eq!(api.set(&wanted("shop", 1, &[20000, 20001])).await.status, 200);
        seconds(10).await;
    })
    .await;
    // Who leads next hears it anew.
    ward.live(async |_| seconds(10).await).await;
    let reason = "replica 2 at 192.0.2.1:20001 was stopped and started again: 31 looks of its node's agent failed in a row";
    let kept: Vec<_> = restarts().into_iter().map(|one| (one.at, one.kind, one.reason)).collect();
    assert_eq!(kept, [(at, DecisionKind::Restarted, reason.to_owned())]);
    assert_eq!(ward.platform.world.told(1).await, [told]);
    assert_eq!((ward.served(), ward.decisions().len()), (vec![20000, 20001], 0));
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_leaves_does_not_wait_for_what_is_told_of_another() {
    let ward = Ward::of_two().await;
    let world = &ward.platform.world;
    let name: ContainerName = "shop_instance_1".parse().unwrap();
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    let story = async |api: Api| {
        world.bus.set_availability(Availability::Stalled);
        world.nodes.set_ended_ill(&ward.node, &name, EndedIll { at, failed_looks: 31 });
        until("it is noted", || !world.routes().remove(0).owed.is_empty()).await;
        seconds(1).await;
        assert_eq!(api.set(&wanted("shop", 1, &[20000])).await.status, 200);
        until("the other one is gone", || world.routes().remove(0).leaving.is_empty()).await;
        assert_eq!((ward.served(), world.routes().remove(0).owed.len()), (vec![20000], 1));
        world.bus.set_availability(Availability::Up);
        assert_eq!(world.told(1).await, ["done restart replica$shop$1"]);
        until("nothing is owed", || world.routes().remove(0).owed.is_empty()).await;
    };
    ward.live(story).await;
}

#[tokio::test(start_paused = true)]
async fn a_route_whose_replicas_are_all_ill_keeps_all_of_them() {
    let ward = Ward::of_two().await;
    ward.fails(1, 9);
    ward.fails(2, 9);
    ward.live(async |_| {
        seconds(30).await;
        assert_eq!((ward.served(), ward.decisions().len()), (vec![20000, 20001], 0));
        ward.fails(1, 0);
        until("the other one is left out", || ward.served() == [20000]).await;
        ward.fails(1, 3);
        until("both are asked again", || ward.served() == [20000, 20001]).await;
        let (_, why) = ward.decisions().pop().unwrap();
        assert!(why.ends_with("too few others are known to be well"), "{why}");
        ward.fails(1, 0);
        seconds(20).await;
        assert_eq!(ward.served(), [20000, 20001], "what is well and ill by turns is served");
        until("the other one is left out again", || ward.served() == [20000]).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn at_most_half_of_the_replicas_get_no_requests() {
    let ward = Ward::of_two().await;
    ward.live(async |api| {
        ward.platform.serves(4).await;
        let four = wanted("shop", 1, &[20000, 20001, 20002, 20003]);
        assert_eq!(api.set(&four).await.status, 200);
        for replica in [1, 2, 4] {
            ward.fails(replica, 3);
        }
        until("two are left out", || ward.served() == [20002, 20003]).await;
        seconds(10).await;
        assert_eq!(ward.served(), [20002, 20003]);
        // With those that are well, the ill ones come back, too.
        assert_eq!(api.set(&wanted("shop", 1, &[20000, 20001])).await.status, 200);
        assert_eq!(ward.served(), [20000, 20001]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn while_a_replica_is_ill_the_number_is_not_lowered() {
    let ward = Ward::of(Platform::of(Some(SCALING)));
    let platform = &ward.platform;
    platform.serves(1).await;
    let story = async |api: Api| {
        assert_eq!(api.set(&wanted("shop", 1, &[20000])).await.status, 200);
        platform.load(1, 95.0);
        until("a second replica is wanted", || platform.wanted() == Some(2)).await;
        platform.load(1, 10.0);
        platform.load(2, 10.0);
        platform.serves(2).await;
        assert_eq!(api.set(&wanted("shop", 1, &[20000, 20001])).await.status, 200);
        ward.fails(2, 3);
        seconds(120).await;
        assert_eq!((platform.wanted(), ward.served()), (Some(2), vec![20000]));
        ward.fails(2, 0);
        until("one replica is wanted", || platform.wanted() == Some(1)).await;
    };
    platform.world.live(story).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_node_said_before_it_fell_silent_is_forgotten() {
    let ward = Ward::of_two().await;
    ward.fails(2, 3);
    ward.live(async |_| {
        until("the ill one is left out", || ward.served() == [20000]).await;
        ward.platform.world.nodes.set_reach(&ward.node, Reach::Partitioned).await;
        seconds(2).await;
        assert_eq!(ward.served(), [20000], "a break is no silence");
        until("it is back", || ward.served() == [20000, 20001]).await;
        let (kind, why) = ward.decisions().pop().unwrap();
        assert_eq!(kind, DecisionKind::PutBack);
        assert!(why.ends_with("too few others are known to be well"), "{why}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_leads_next_goes_on_from_the_record() {
    let ward = Ward::of_two().await;
    ward.fails(2, 3);
    ward.live(async |_| until("it is left out", || ward.served() == [20000]).await).await;
    let before = ward.platform.world.edge.taken().len();
    ward.live(async |_| {
        seconds(20).await;
        assert_eq!((ward.served(), ward.decisions().len()), (vec![20000], 1));
        let tables = ward.platform.world.edge.taken().split_off(before);
        let counts = tables.iter().map(|table| table.routes[0].upstreams.len());
        assert!(counts.clone().all(|count| count == 1), "{:?}", counts.collect::<Vec<_>>());
        ward.fails(2, 0);
        until("it is back", || ward.served() == [20000, 20001]).await;
    })
    .await;
}
