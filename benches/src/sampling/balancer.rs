//! The load balancer's decisions on the apps whose replicas the agent looks at.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use chassis::lifecycle::Lifecycle;
use chassis::service::Service as _;
use chassis::system::SystemClock;
use common::id::{Generation, ReleaseNumber, SlotNumber};
use common::port::container::Limits;
use common::port::edge::{EdgeOptions, Upstream, Weight};
use common::port::routes::WantedRoute;
use common::port::store::Path;
use common::port::{Clock, Routes};
use common::record::leader::Advertised;
use common::record::path;
use common::record::scale::Scaling;
use load_balancer::{Config, LoadBalancer, Ports};
use node_agent::NodeAgent;
use serde_json::{Value, json};
use testkit::{MemoryBus, MemoryEdge, MemoryStore};

use super::agent::{APPS, NODE, REPLICAS, app, image, port};
use crate::report::progress;

const IP: [u8; 4] = [127, 0, 0, 1];
const LASTS: Duration = Duration::from_secs(20);
const KNOWN_WITHIN: Duration = Duration::from_secs(20);
const LONG_AGO: &str = "2020-01-01T00:00:00Z";
/// An app of this name made the only release.
const APP: &str = "app";

/// The time within which 99 of 100 cycles ended, in milliseconds, rounded up to a bound of the service's own histogram.
pub(super) async fn p99(agent: &NodeAgent) -> anyhow::Result<f64> {
    progress(&format!("sampling: {} s of balance cycles", LASTS.as_secs()));
    let store = MemoryStore::new();
    seed(&store)?;
    let service = LoadBalancer::new(ports(agent, store), config()?);
    let lifecycle = Lifecycle::new();
    let counted = async {
        serve(&*service.local_routes()).await?;
        e2e::wait::until("all apps are balanced", KNOWN_WITHIN, async || {
            let known = gauge(&service, "load_balancer_balanced_apps")?;
            ensure!(known >= f64::from(APPS), "{known} apps are known");
            Ok(())
        })
        .await?;
        tokio::time::sleep(LASTS).await;
        cycles(&service)
    };
    tokio::select! {
        ended = service.run(lifecycle.clone()) => anyhow::bail!("the load balancer ended: {ended:?}"),
        ended = agent.run(lifecycle.clone()) => anyhow::bail!("the agent ended: {ended:?}"),
        counted = counted => counted,
    }
}

fn ports(agent: &NodeAgent, store: MemoryStore) -> Ports {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let edge = MemoryEdge::default();
    Ports {
        bus: Arc::new(MemoryBus::new(Arc::clone(&clock)).with_topics()),
        store: Arc::new(store),
        edge: Arc::new(edge.clone()),
        certificates: Arc::new(edge),
        other: None,
        authority: None,
        nodes: agent.local_nodes(),
        clock,
    }
}

fn config() -> anyhow::Result<Config> {
    Ok(Config {
        advertised_ip: IP.into(),
        other: None,
        first_port: 2000,
        last_port: 2999,
        confirm_within: Duration::from_secs(15),
        drain_within: Duration::from_secs(10),
        max_replicas: REPLICAS,
        scale_within: Duration::from_mins(2),
        window_samples: 5,
        brake_after: 3,
        default_bounds: None,
        exports: None,
        first_host_port: port(0, 1)?,
        seal_file: PathBuf::from("/nowhere"),
        document_001_gets: false,
        advertised: Advertised::plain("127.0.0.1:8050"),
    })
}

/// What the other services would have written: the node, a release within bounds, and the deployments.
fn seed(store: &MemoryStore) -> anyhow::Result<()> {
    let put = |path: &Path, record: Value| store.seed(path, Bytes::from(record.to_string()));
    let node = json!({
        "schema": 1, "name": NODE, "ip": "127.0.0.1", "agent": "127.0.0.1:7443", "os": "linux",
    });
    put(&path::node(&NODE.parse()?), node);
    let release = json!({
        "schema": 1,
        "app": APP,
        "number": 1,
        "created_at": LONG_AGO,
        "source": { "kind": "image", "image": image()? },
        "port": 8080,
        "health_path": null,
        "environment": {},
        "limits": Limits::default(),
        "read_only": false,
        // They have as many as they must and may: what is measured is the look, and nothing follows from it.
        "scaling": Scaling::within(REPLICAS, REPLICAS),
    });
    put(&path::release(&APP.parse()?, ReleaseNumber(1)), release);
    for number in 0..APPS {
        let mut slots = Vec::new();
        for slot in 1..=REPLICAS {
            slots.push(json!({
                "number": slot,
                "generation": 1,
                "placement_request": format!("00000000-0000-4000-8000-{:012}", number * REPLICAS + slot),
                "state": "routed",
                "since": LONG_AGO,
                "place": { "node": NODE, "ip": "127.0.0.1", "host_port": port(number, slot)? },
            }));
        }
        let deployment = json!({
            "schema": 1,
            "instance": app(number)?,
            "app": APP,
            "release": 1,
            "generation": 1,
            "goal": "running",
            "state": "running",
            "request": format!("00000000-0000-4000-9000-{number:012}"),
            "deadline": LONG_AGO,
            "serving": { "generation": 1, "release": 1, "image": image()? },
            "slots": slots,
            "updated_at": LONG_AGO,
        });
        put(&path::deployment(&app(number)?), deployment);
    }
    Ok(())
}

/// Has every app its route.
async fn serve(routes: &dyn Routes) -> anyhow::Result<()> {
    for number in 0..APPS {
        let mut upstreams = Vec::new();
        for slot in 1..=REPLICAS {
            let slot_number = SlotNumber(slot);
            let port = port(number, slot)?;
            upstreams.push(Upstream {
                ip: IP.into(),
                port,
                slot: slot_number,
                weight: Weight::ONE,
            });
        }
        let route = WantedRoute {
            instance: app(number)?,
            generation: Generation(1),
            revision: 0,
            upstreams,
            image: "bench".to_owned(),
            container_port: 8080,
            container_ids: Vec::new(),
            edge: EdgeOptions::default(),
        };
        routes.set(&route).await?;
    }
    Ok(())
}

fn gauge(service: &LoadBalancer, name: &str) -> anyhow::Result<f64> {
    let families = service.metrics().gather();
    let family = families.iter().find(|family| family.name() == name);
    let metric = family.and_then(|family| family.get_metric().first());
    Ok(metric.with_context(|| format!("there is no {name}"))?.get_gauge().get_value())
}

fn cycles(service: &LoadBalancer) -> anyhow::Result<f64> {
    const NAME: &str = "load_balancer_balance_cycle_seconds";
    let families = service.metrics().gather();
    let family = families.iter().find(|family| family.name() == NAME);
    let metric = family.and_then(|family| family.get_metric().first());
    let histogram = metric.with_context(|| format!("there is no {NAME}"))?.get_histogram();
    let all = histogram.get_sample_count();
    ensure!(all > 0, "there was no cycle");
    let least = all - all / 100;
    let mut buckets = histogram.get_bucket().iter();
    let bucket = buckets.find(|bucket| bucket.cumulative_count() >= least);
    Ok(bucket.map_or(f64::INFINITY, |bucket| 1000.0 * bucket.upper_bound()))
}
