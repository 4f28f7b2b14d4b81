//! Looks at every running part about once a second, as its specification says, from the machine itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use common::port::part::PartHealth;
use futures::StreamExt as _;
use tokio::time::MissedTickBehavior;

use super::Parts;
use super::standing::Stood;
use crate::config::Config;
use crate::look::Eyes;

const EVERY: Duration = Duration::from_secs(1);
const AT_ONCE: usize = 16;

/// Runs until the process stops.
pub(super) async fn watch(parts: &Parts, config: &Config, lifecycle: &Lifecycle) {
    let beat = lifecycle.beat("part-health");
    let eyes = match Eyes::new(config.ip, config.proc_folder.clone()) {
        Ok(eyes) => eyes,
        Err(err) => {
            tracing::error!(error = &err as &dyn std::error::Error, "parts cannot be looked at");
            return;
        }
    };
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !lifecycle.is_stopping() {
        tokio::select! {
            biased;
            () = lifecycle.stopping() => return,
            _ = ticks.tick() => {}
        }
        let running = futures::stream::iter(parts.standing.running());
        let looks = running.for_each_concurrent(AT_ONCE, async |stood| {
            beat.now();
            if let Some(healthy) = look(parts, config, &eyes, &stood).await {
                parts.standing.looked(&stood.part, healthy);
            }
        });
        tokio::select! {
            biased;
            () = lifecycle.stopping() => return,
            () = looks => beat.now(),
        }
    }
}

/// None if the agent was told of another specification meanwhile, and so does not know how to look.
async fn look(parts: &Parts, config: &Config, eyes: &Eyes, stood: &Stood) -> Option<bool> {
    let told = parts.ledger.part(&stood.part.name)?.spec;
    if told.hash() != stood.part.spec_hash {
        return None;
    }
    // To run is all that is asked of what has no port.
    let Some(health) = &told.health else { return Some(true) };
    for address in doors(config, health) {
        if eyes.answers(address, health.path.as_deref()).await {
            return Some(true);
        }
    }
    Some(false)
}

/// A part listens for other machines, for its own, or for both. Where the agent itself listens is nobody else.
fn doors(config: &Config, health: &PartHealth) -> Vec<SocketAddr> {
    let addresses = [config.ip, IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let mut doors = addresses.map(|ip| SocketAddr::new(ip, health.port)).to_vec();
    doors.dedup();
    doors.retain(|door| config.relay != Some(*door));
    doors
}
