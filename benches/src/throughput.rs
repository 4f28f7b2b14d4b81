//! Requests a second through the edge, over a hand-tuned NGINX and over document 001's configuration.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use e2e::docker::container_of;
use tokio::time::sleep;

use crate::figure::{Figure, Goal, median};
use crate::report::progress;
use crate::servers::{Server, pids, workers_of_the_edge};
use crate::stage::Stage;
use crate::{crowd, kernel};

const CLIENTS: usize = 32;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(3);
const WARM_UP: Duration = Duration::from_secs(1);
const TUNED: SocketAddr = local(18080);
const DOCUMENT_001: SocketAddr = local(18081);

const fn local(port: u16) -> SocketAddr {
    use std::net::{IpAddr, Ipv4Addr};
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// One proxy of the comparison and what it did in each round.
struct Proxy {
    name: &'static str,
    at: SocketAddr,
    pids: Vec<u32>,
    rates: Vec<f64>,
    /// Processor time a request, in microseconds.
    costs: Vec<f64>,
}

/// Rounds in turns, in both directions, so that none always comes after the same neighbour.
pub(crate) async fn measure(stage: &Stage) -> anyhow::Result<Vec<Figure>> {
    let tuned = beside(stage, "tuned", include_str!("../conf/tuned.conf"), TUNED).await?;
    let document_001 = include_str!("../conf/document_001.conf");
    let document_001 = beside(stage, "document-001", document_001, DOCUMENT_001).await?;
    let edge = proxy("edge", stage.front, pids(&container_of("edge").await?).await?);
    let mut proxies = [edge, tuned, document_001];
    for proxy in &mut proxies {
        proxy.round(WARM_UP).await?;
    }
    for proxy in &mut proxies {
        proxy.rates.clear();
        proxy.costs.clear();
    }
    for round in 0..ROUNDS {
        kernel::settled().await?;
        if round % 2 == 0 {
            for proxy in &mut proxies {
                proxy.round(ROUND).await?;
            }
        } else {
            for proxy in proxies.iter_mut().rev() {
                proxy.round(ROUND).await?;
            }
        }
    }
    let [edge, tuned, document_001] = &proxies;
    Ok(vec![
        edge.over(tuned, "edge_rps_over_tuned_nginx", Goal::AtLeast(0.95)),
        edge.over(document_001, "edge_rps_over_document_001", Goal::AtLeast(3.0)),
    ])
}

async fn beside(
    stage: &Stage,
    name: &'static str,
    conf: &str,
    listen: SocketAddr,
) -> anyhow::Result<Proxy> {
    let conf = conf
        .replace("@WORKERS@", &workers_of_the_edge().await?)
        .replace("@BACKEND@", &stage.backend.to_string())
        .replace("@LISTEN@", &listen.to_string());
    let server = Server { name, network: "host", conf: &conf, listen };
    Ok(proxy(name, listen, server.start(stage.folder.path()).await?))
}

fn proxy(name: &'static str, at: SocketAddr, pids: Vec<u32>) -> Proxy {
    Proxy { name, at, pids, rates: Vec::new(), costs: Vec::new() }
}

impl Proxy {
    async fn round(&mut self, lasts: Duration) -> anyhow::Result<()> {
        let before = kernel::cpu_time(&self.pids)?;
        let ((), tally) = crowd::during(self.at, "bench", CLIENTS, sleep(lasts)).await;
        let used = kernel::cpu_time(&self.pids)?.saturating_sub(before);
        let name = self.name;
        ensure!(
            tally.failed == 0,
            "{} requests to {name} failed: {:?}",
            tally.failed,
            tally.first_failure
        );
        progress(&format!("throughput: {name}: {:.0} requests a second", tally.rate()));
        let requests = tally.rate() * tally.lasted.as_secs_f64();
        self.costs.push(used.as_secs_f64() * 1e6 / requests);
        self.rates.push(tally.rate());
        Ok(())
    }

    fn over(&self, floor: &Proxy, name: &str, goal: Goal) -> Figure {
        let pairs: Vec<(f64, f64)> =
            self.rates.iter().copied().zip(floor.rates.iter().copied()).collect();
        let note = format!(
            "{} rounds of {} s, {CLIENTS} connections; {:.1} us of processor time a request over {:.1}",
            pairs.len(),
            ROUND.as_secs(),
            median(&self.costs),
            median(&floor.costs)
        );
        Figure::of_pairs(name, &pairs, goal).with_note(note)
    }
}
