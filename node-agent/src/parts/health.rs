//! Looks at every running part about once a second, as its specification says, from the machine itself. One that answers
//! nothing for too long is ended; then it is as any that ended.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use common::name::PartName;
use common::port::part::PartHealth;
use futures::StreamExt as _;
use tokio::time::{Instant, MissedTickBehavior};

use super::Parts;
use super::standing::Stood;
use crate::config::Config;
use crate::domain::silence::{Patience, Verdict, verdict};
use crate::look::{Eyes, Heard};

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
    let mut looked_at = Instant::now();
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !lifecycle.is_stopping() {
        tokio::select! {
            biased;
            () = lifecycle.stopping() => return,
            _ = ticks.tick() => {}
        }
        let passed = looked_at.elapsed();
        looked_at = Instant::now();
        let running = futures::stream::iter(parts.standing.running());
        let looks = running.for_each_concurrent(AT_ONCE, async |stood| {
            beat.now();
            if let Some(heard) = look(parts, config, &eyes, &stood).await {
                parts.standing.looked(&stood.part, heard, passed);
            }
        });
        tokio::select! {
            biased;
            () = lifecycle.stopping() => return,
            () = looks => beat.now(),
        }
    }
}

/// Ends those that are silent for too long, one at a time, until the process stops.
pub(super) async fn end_silent(parts: &Parts, config: &Config, lifecycle: &Lifecycle) {
    let mending = async {
        let mut last: Option<Instant> = None;
        loop {
            tokio::time::sleep(EVERY).await;
            let running = parts.standing.running();
            let Some(due) = too_silent(parts, config, &running) else { continue };
            let silent = running.iter().filter(|stood| stood.silence.lasts()).count();
            let ago = last.map(|last| last.elapsed());
            match verdict(ago, config.restart_after, silent, running.len()) {
                Verdict::Later => continue,
                Verdict::Doubted => {
                    tracing::warn!(part = %due.part.name, silent, "so many parts are silent at once that none is ended for it");
                }
                Verdict::Ended => end(parts, due).await,
            }
            last = Some(Instant::now());
        }
    };
    tokio::select! {
        biased;
        () = lifecycle.stopping() => {}
        () = mending => {}
    }
}

/// The first that should be ended.
fn too_silent<'a>(parts: &Parts, config: &Config, running: &'a [Stood]) -> Option<&'a Stood> {
    let is_due = |stood: &&Stood| {
        let patience = patience(parts, config, &stood.part.name);
        patience.is_some_and(|patience| stood.silence.is_too_long(patience))
    };
    running.iter().find(is_due)
}

/// The keeper starts it again, as whatever ends.
async fn end(parts: &Parts, silent: &Stood) {
    let name = &silent.part.name;
    let _lock = parts.locks.lock(name).await;
    if !parts.standing.is_still(&silent.part) {
        return;
    }
    tracing::warn!(part = %name, "a part runs and answers nothing; it is ended and started again");
    match parts.engine.end_part(name).await {
        Ok(()) => parts.standing.silenced(&silent.part),
        // It is as silent as before, and tried again.
        Err(err) => {
            tracing::warn!(error = &err as &dyn std::error::Error, part = %name, "a silent part could not be ended");
        }
    }
    parts.wake.wake(name.clone());
}

fn patience(parts: &Parts, config: &Config, name: &PartName) -> Option<Patience> {
    let told = parts.ledger.part(name)?.spec;
    let health = told.health?;
    let seconds = |seconds| Duration::from_secs(u64::from(seconds));
    Some(Patience {
        after: config.restart_after,
        start: seconds(health.start_seconds),
        stop: seconds(told.stop_seconds),
        turn: health.turn,
    })
}

/// None if the agent was told of another specification meanwhile, and so does not know how to look, or cannot.
async fn look(parts: &Parts, config: &Config, eyes: &Eyes, stood: &Stood) -> Option<Heard> {
    let told = parts.ledger.part(&stood.part.name)?.spec;
    if told.hash() != stood.part.spec_hash {
        return None;
    }
    // To run is all that is asked of what has no port.
    let Some(health) = &told.health else { return Some(Heard::Well) };
    let (mut best, mut looked) = (Heard::Nothing, true);
    for address in doors(config, health) {
        let heard = eyes.hear(address, health).await;
        looked &= heard.is_some();
        best = best.max(heard.unwrap_or(Heard::Nothing));
        if best == Heard::Well {
            break;
        }
    }
    (looked || best > Heard::Nothing).then_some(best)
}

/// A part listens for other machines, for its own, or for both. Where the agent itself listens is nobody else.
fn doors(config: &Config, health: &PartHealth) -> Vec<SocketAddr> {
    let addresses = [config.ip, IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let mut doors = addresses.map(|ip| SocketAddr::new(ip, health.port)).to_vec();
    doors.dedup();
    doors.retain(|door| config.relay != Some(*door));
    doors
}
