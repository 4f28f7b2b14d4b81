//! Requests a second through the edge, over a hand-tuned NGINX, over HAProxy and over document 001's configuration; and
//! what is left of them with as many apps as there are front ports.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use e2e::docker::container_of;
use tokio::time::sleep;

use crate::figure::{Figure, Goal, median};
use crate::report::progress;
use crate::servers::{Program, Server, pids};
use crate::stage::Stage;
use crate::{crowd, kernel};

const CLIENTS: usize = 32;
const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_secs(3);
const WARM_UP: Duration = Duration::from_secs(1);
/// All but a few of the front ports.
const CROWD: u16 = 990;
const TUNED: SocketAddr = local(18080);
const DOCUMENT_001: SocketAddr = local(18081);
const HAPROXY: SocketAddr = local(18083);

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
    /// The time within which 99 of 100 answers came, in microseconds.
    p99s: Vec<f64>,
}

/// The edge beside the others.
pub(crate) async fn measure(stage: &Stage) -> anyhow::Result<Vec<Figure>> {
    let tuned = tuned(stage).await?;
    let conf = include_str!("../conf/document_001.conf");
    let document_001 = beside(stage, Program::Nginx, "document-001", conf, DOCUMENT_001).await?;
    let conf = include_str!("../conf/haproxy.cfg");
    let haproxy = beside(stage, Program::HaProxy, "haproxy", conf, HAPROXY).await?;
    let edge = proxy("edge", stage.front, pids(&container_of("edge").await?).await?);
    let mut proxies = [edge, tuned, haproxy, document_001];
    rounds(&mut proxies).await?;
    let [edge, tuned, haproxy, document_001] = &proxies;
    Ok(vec![
        edge.over(tuned, "edge_rps_over_tuned_nginx", Goal::AtLeast(0.95)),
        edge.late(tuned, "edge_p99_over_tuned_nginx", Goal::AtMost(1.1)),
        edge.over(haproxy, "edge_rps_over_haproxy", Goal::Nowhere),
        edge.late(haproxy, "edge_p99_over_haproxy", Goal::Nowhere),
        edge.over(document_001, "edge_rps_over_document_001", Goal::AtLeast(3.0)),
    ])
}

/// What is left of the edge's ratio to a hand-tuned NGINX when the pool of front ports is all but given out.
pub(crate) async fn crowded(stage: &Stage) -> anyhow::Result<Figure> {
    let tuned = tuned(stage).await?;
    let edge = proxy("edge", stage.front, pids(&container_of("edge").await?).await?);
    let mut proxies = [edge, tuned];
    rounds(&mut proxies).await?;
    let before = proxies[0].ratios(&proxies[1]);
    stage.crowd(1..CROWD).await?;
    rounds(&mut proxies).await?;
    let crowded = proxies[0].ratios(&proxies[1]);
    stage.disperse().await?;
    rounds(&mut proxies).await?;
    let after = proxies[0].ratios(&proxies[1]);
    // What the machine did otherwise as time went by is taken off by halves.
    let alone = before.iter().zip(&after).map(|(before, after)| f64::midpoint(*before, *after));
    let pairs: Vec<(f64, f64)> = crowded.into_iter().zip(alone).collect();
    let note = format!(
        "one app, {CROWD}, one; each a ratio to the tuned NGINX of its time, {ROUNDS} rounds"
    );
    Ok(Figure::of_pairs("edge_rps_crowded", &pairs, Goal::AtLeast(0.97)).with_note(note))
}

/// Rounds, each there and back, so that whoever goes first in one direction goes last in the other; what was before is
/// forgotten.
async fn rounds(proxies: &mut [Proxy]) -> anyhow::Result<()> {
    for proxy in proxies.iter_mut() {
        proxy.turn(WARM_UP).await?;
        for values in [&mut proxy.rates, &mut proxy.costs, &mut proxy.p99s] {
            values.clear();
        }
    }
    for _ in 0..ROUNDS {
        kernel::settled().await?;
        for proxy in proxies.iter_mut() {
            proxy.turn(ROUND / 2).await?;
        }
        for proxy in proxies.iter_mut().rev() {
            proxy.turn(ROUND / 2).await?;
        }
        for proxy in proxies.iter_mut() {
            for values in [&mut proxy.rates, &mut proxy.costs, &mut proxy.p99s] {
                join_two(values);
            }
        }
    }
    Ok(())
}

/// The last two values become their mean.
fn join_two(values: &mut Vec<f64>) {
    let back = values.pop();
    if let Some((there, back)) = values.pop().zip(back) {
        values.push(f64::midpoint(there, back));
    }
}

async fn tuned(stage: &Stage) -> anyhow::Result<Proxy> {
    let conf = include_str!("../conf/tuned.conf");
    beside(stage, Program::Nginx, "tuned", conf, TUNED).await
}

async fn beside(
    stage: &Stage,
    program: Program,
    name: &'static str,
    conf: &str,
    listen: SocketAddr,
) -> anyhow::Result<Proxy> {
    let conf = conf
        .replace("@WORKERS@", &program.workers().await?)
        .replace("@BACKEND@", &stage.backend.to_string())
        .replace("@LISTEN@", &listen.to_string());
    let server = Server { program, name, network: "host", conf: &conf, listen };
    Ok(proxy(name, listen, server.start(stage.folder.path()).await?))
}

fn proxy(name: &'static str, at: SocketAddr, pids: Vec<u32>) -> Proxy {
    Proxy { name, at, pids, rates: Vec::new(), costs: Vec::new(), p99s: Vec::new() }
}

impl Proxy {
    async fn turn(&mut self, lasts: Duration) -> anyhow::Result<()> {
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
        self.p99s.push(tally.p99());
        Ok(())
    }

    fn ratios(&self, floor: &Proxy) -> Vec<f64> {
        self.rates.iter().zip(&floor.rates).map(|(rate, floor)| rate / floor).collect()
    }

    fn late(&self, floor: &Proxy, name: &str, goal: Goal) -> Figure {
        let pairs: Vec<(f64, f64)> =
            self.p99s.iter().copied().zip(floor.p99s.iter().copied()).collect();
        let note = format!("of {CLIENTS} connections, in microseconds");
        Figure::of_pairs(name, &pairs, goal).with_note(note)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_the_mean_of_its_way_there_and_back() {
        let mut rates = vec![7.0, 10.0, 14.0];
        join_two(&mut rates);
        assert_eq!(rates, [7.0, 12.0]);
    }
}
