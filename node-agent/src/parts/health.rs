//! Looks at every running part about once a second, as its specification says, from the machine itself. One that answers
//! nothing for too long is ended; then it is as any that ended.

use std::collections::{BTreeMap, BTreeSet};
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
use crate::domain::silence::{self, Patience, Verdict, verdict};
use crate::look::{Eyes, Heard};

const EVERY: Duration = Duration::from_secs(1);
const AT_ONCE: usize = 16;
/// How soon the agents of other machines are asked again that did not let a part be ended.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// How long it may take to end one part: what the slowest may, and who else works at it.
const END_WITHIN: Duration = Duration::from_mins(25);

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
    let beat = lifecycle.beat("part-silence");
    let mending = async {
        let mut last: Option<Instant> = None;
        let mut others = Others::default();
        let mut is_left = false;
        loop {
            tokio::time::sleep(EVERY).await;
            beat.busy_for(END_WITHIN);
            others.give_back(parts).await;
            let running = parts.standing.running();
            let was_left = std::mem::replace(&mut is_left, is_idleness_shared(parts, &running));
            if is_left && !was_left {
                tracing::warn!(
                    "so many services say at once that their loops are silent that none is ended for it"
                );
            }
            let due = running.iter().filter(|stood| !(is_left && stood.is_idle));
            let due: Vec<&Stood> = due.filter(|stood| is_due(parts, config, stood)).collect();
            let Some(first) = due.first() else { continue };
            let silent = running.iter().filter(|stood| stood.silence.lasts()).count();
            let ago = last.map(|last| last.elapsed());
            match verdict(ago, config.restart_after, silent, running.len()) {
                Verdict::Later => continue,
                Verdict::Doubted => {
                    tracing::warn!(part = %first.part.name, silent, "so many parts are silent at once that none is ended for it");
                }
                Verdict::Ended => {
                    if !others.end_one(parts, config, &due).await {
                        continue;
                    }
                }
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

/// Whether so many services say that their loops are silent that none of those is ended for it.
pub(super) fn is_idleness_shared(parts: &Parts, running: &[Stood]) -> bool {
    let idle = running.iter().filter(|stood| stood.is_idle).count();
    let by_path = running.iter().filter(|stood| {
        let health = parts.ledger.part(&stood.part.name).and_then(|told| told.spec.health);
        health.is_some_and(|health| health.path.is_some())
    });
    silence::is_idleness_shared(idle, by_path.count())
}

/// What the agents of other machines were asked.
#[derive(Default)]
struct Others {
    /// About which parts, and when.
    asked: BTreeMap<PartName, Instant>,
    /// Whose consent is not given back yet.
    held: BTreeSet<PartName>,
}

impl Others {
    /// Ends the first that may be ended; false if there is none. What somebody is at, or another machine's agent refuses,
    /// holds up no other part. A consent runs out: nothing is waited for between it and the end.
    async fn end_one(&mut self, parts: &Parts, config: &Config, due: &[&Stood]) -> bool {
        for one in due {
            let name = &one.part.name;
            if self.asked.get(name).is_some_and(|asked| asked.elapsed() < ASK_AGAIN) {
                continue;
            }
            let Some(_lock) = parts.locks.try_lock(name) else { continue };
            let Some(told) = parts.ledger.part(name) else { continue };
            if !is_still_due(parts, config, one) {
                continue;
            }
            let may_end = parts.may_end(&told.spec).await;
            self.asked.insert(name.clone(), Instant::now());
            if !may_end {
                continue;
            }
            if end(parts, config, one).await {
                self.held.insert(name.clone());
            } else {
                parts.give_back(&told.spec).await;
            }
            return true;
        }
        false
    }

    /// What is back needs the consent of others no more.
    async fn give_back(&mut self, parts: &Parts) {
        self.asked.retain(|_, asked| asked.elapsed() < ASK_AGAIN);
        let back = |name: &&PartName| parts.standing.is_steady(name);
        let back: Vec<PartName> = self.held.iter().filter(back).cloned().collect();
        for name in back {
            self.held.remove(&name);
            if let Some(told) = parts.ledger.part(&name) {
                parts.give_back(&told.spec).await;
            }
        }
    }
}

fn is_due(parts: &Parts, config: &Config, stood: &Stood) -> bool {
    let patience = patience(parts, config, &stood.part.name);
    patience.is_some_and(|patience| stood.silence.is_too_long(patience))
}

fn is_still_due(parts: &Parts, config: &Config, silent: &Stood) -> bool {
    let still = parts.standing.still(&silent.part);
    still.is_some_and(|now| is_due(parts, config, &now))
}

/// The keeper starts it again, as whatever ends. One that answered while others were asked is left. Says whether it was
/// ended; the caller has its lock.
async fn end(parts: &Parts, config: &Config, silent: &Stood) -> bool {
    let name = &silent.part.name;
    if !is_still_due(parts, config, silent) {
        return false;
    }
    let why = if silent.is_idle { "says that its loops are silent" } else { "answers nothing" };
    tracing::warn!(part = %name, why, "a part runs and does nothing; it is ended and started again");
    let ended = parts.engine.end_part(name).await;
    match &ended {
        Ok(()) => parts.standing.silenced(&silent.part),
        // It is as silent as before, and tried again.
        Err(err) => {
            tracing::warn!(error = err as &dyn std::error::Error, part = %name, "a silent part could not be ended");
        }
    }
    parts.wake.wake(name.clone());
    ended.is_ok()
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
