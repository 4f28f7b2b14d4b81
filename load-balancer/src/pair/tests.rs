//! The pair by itself.

use common::id::{Epoch, Generation};
use common::port::edge::{EdgeOptions, TableRoute};
use testkit::edge::Health;
use testkit::{MemoryEdge, MemoryStore};
use tokio::time::advance;

use super::*;

/// An edge, and a load balancer that has nothing to do for it.
#[derive(Debug)]
struct Beside(MemoryEdge);

#[async_trait]
impl OtherEdge for Beside {
    async fn take_routes(&self) -> Result<TakenRoutes, Error> {
        let ports = self.0.status().await?.ports;
        Ok(TakenRoutes { ports, refused: BTreeMap::new() })
    }

    async fn take_certificates(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn in_flight(&self) -> Result<BTreeMap<SocketAddr, u64>, Error> {
        self.0.in_flight().await
    }

    async fn traffic(&self) -> Result<Traffic, Error> {
        self.0.traffic().await
    }

    async fn visits(&self) -> Result<BTreeMap<LegacyName, Visits>, Error> {
        self.0.visits().await
    }
}

/// An app at rest.
fn table() -> Table {
    let instance: LegacyName = "shop".parse().unwrap();
    let route = TableRoute {
        host: instance.host_label(),
        instance,
        front_port: 2000,
        upstreams: Vec::new(),
        options: EdgeOptions { held: true, ..EdgeOptions::default() },
    };
    Table { epoch: Epoch(1), generation: Generation(1), routes: vec![route] }
}

async fn asked(pair: &Pair) -> (u32, u64) {
    let visits = pair.visits().await.unwrap();
    let shop = &visits[&"shop".parse().unwrap()];
    (shop.waiting, shop.idle_seconds)
}

#[tokio::test(start_paused = true)]
async fn who_waits_at_either_edge_waits_and_nobody_rests_while_one_is_not_known() {
    let (own, other) = (MemoryEdge::default(), MemoryEdge::default());
    for edge in [&own, &other] {
        edge.load(&table()).await.unwrap();
    }
    let up = IntGauge::new("up", "up").unwrap();
    let beside = Arc::new(Beside(other.clone()));
    let refused = IntGauge::new("refused", "refused").unwrap();
    // It is no node of this store.
    let machine = Machine::new(Arc::new(MemoryStore::new()), None);
    let (edge, certificates) = (Arc::new(own.clone()), Arc::new(own.clone()));
    let pair = Pair::new(edge, certificates, beside, machine, (up.clone(), refused));
    advance(Duration::from_secs(100)).await;
    pair.traffic().await.unwrap();
    assert_eq!((asked(&pair).await, up.get()), ((0, 100), 1));
    assert_eq!(other.begin_request(2000), None);
    assert_eq!(asked(&pair).await, (1, 0));
    other.set_health(Health::Down);
    assert!(pair.traffic().await.is_err());
    assert_eq!((asked(&pair).await, up.get()), ((0, 0), 0));
    // What is gone is asked for nothing.
    advance(GONE_AFTER).await;
    assert_eq!(asked(&pair).await, (0, 110));
}
