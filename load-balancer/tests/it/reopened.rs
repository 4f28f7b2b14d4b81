//! Front ports that another program had when the edge started, and that the edge has again since.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chassis::lifecycle::Lifecycle;
use chassis::service::Service as _;
use common::name::LegacyName;
use common::port::Edge;
use common::port::edge::{Error, Status, Table, Traffic, Visits};
use load_balancer::{LoadBalancer, Ports};
use testkit::MemoryEdge;
use tokio::time::Instant;

use crate::world::{World, name, until, wanted};

/// An edge that starts again with all of its ports as soon as it has said that it misses some.
#[derive(Debug)]
struct OpensThen(MemoryEdge);

#[async_trait]
impl Edge for OpensThen {
    async fn load(&self, table: &Table) -> Result<(), Error> {
        self.0.load(table).await
    }

    async fn status(&self) -> Result<Status, Error> {
        let status = self.0.status().await;
        self.0.restart_with_all_ports();
        status
    }

    async fn in_flight(&self) -> Result<BTreeMap<SocketAddr, u64>, Error> {
        self.0.in_flight().await
    }

    async fn visits(&self) -> Result<BTreeMap<LegacyName, Visits>, Error> {
        self.0.visits().await
    }

    async fn traffic(&self) -> Result<Traffic, Error> {
        self.0.traffic().await
    }

    async fn probe(&self, front_port: u16, path: &str) -> Result<Option<u16>, Error> {
        self.0.probe(front_port, path).await
    }
}

async fn with_two_apps() -> World {
    let world = World::new();
    world
        .live(async |api| {
            assert_eq!(api.set(&wanted("shop", 1, &[20000])).await.port(), 2000);
            assert_eq!(api.set(&wanted("blog", 1, &[20001])).await.port(), 2001);
        })
        .await;
    world.edge.restart_with_port_taken(2000);
    world
}

#[tokio::test(start_paused = true)]
async fn an_app_whose_port_is_open_again_while_the_table_is_made_stays_in_it() {
    let world = with_two_apps().await;
    let before = world.edge.taken().len();
    let edge = Arc::new(OpensThen(world.edge.clone()));
    let service = LoadBalancer::new(Ports { edge, ..world.ports() }, world.config.clone());
    let taken = until("there is a table", || world.edge.taken().len() > before);
    tokio::select! {
        biased;
        () = taken => {}
        ended = service.run(Lifecycle::new()) => panic!("the service ended: {ended:?}"),
    }
    let tables = world.edge.taken_since(before);
    let is_served = |table: &Table| table.routes.iter().any(|row| row.instance == name("shop"));
    assert!(tables.iter().all(is_served), "{tables:?}");
}

#[tokio::test(start_paused = true)]
async fn an_app_is_served_as_soon_as_the_edge_says_that_it_has_its_port_again() {
    let world = with_two_apps().await;
    world
        .live(async |api| {
            api.set(&wanted("blog", 2, &[20002])).await;
            assert_eq!(world.edge.row(&name("shop")), None);
            world.edge.restart_with_all_ports();
            let began = Instant::now();
            until("it is served", || world.edge.row(&name("shop")).is_some()).await;
            assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
            // And nothing changes any more.
            let tables = world.edge.taken().len();
            tokio::time::sleep(Duration::from_secs(5)).await;
            assert_eq!(world.edge.taken().len(), tables);
        })
        .await;
}
