//! What the services take while nothing happens.

use std::time::Duration;

use anyhow::Context as _;
use e2e::cluster::{NODES, SERVICES};
use e2e::docker::container_of;
use tokio::time::{Instant, sleep};

use crate::figure::{Figure, Goal};
use crate::kernel::{self, Memory};
use crate::report::progress;

const LASTS: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_secs(5);
const MEGABYTES: Goal = Goal::AtMost(20.0);
const PERCENT: Goal = Goal::AtMost(2.0);

/// Resident memory of each service, the nodes' agents among them, the most there was, and the processor time of all.
pub(crate) async fn measure() -> anyhow::Result<Vec<Figure>> {
    progress(&format!("idle: {} s", LASTS.as_secs()));
    let services: Vec<&str> = SERVICES.iter().map(|(service, _)| *service).chain(NODES).collect();
    let mut pids = Vec::new();
    for service in &services {
        let processes = kernel::processes(&container_of(service).await?).await?;
        let found = processes.iter().find(|(_, name)| name == "avishkar");
        pids.push(found.with_context(|| format!("{service} has no process"))?.0);
    }
    let busy = kernel::settled().await?;
    let before = kernel::cpu_time(&pids)?;
    let began = Instant::now();
    let mut most = vec![Memory::default(); pids.len()];
    while began.elapsed() < LASTS {
        for (most, pid) in most.iter_mut().zip(&pids) {
            let now = kernel::memory(*pid)?;
            if now.resident > most.resident {
                *most = now;
            }
        }
        sleep(LOOK_EVERY).await;
    }
    let used = kernel::cpu_time(&pids)?.saturating_sub(before);
    let percent = 100.0 * used.as_secs_f64() / began.elapsed().as_secs_f64();

    let mut figures: Vec<Figure> = services.into_iter().zip(&most).map(memory).collect();
    let note = format!("of one core; the machine was {:.0} % in use as it began", 100.0 * busy);
    figures.push(Figure::of_value("idle_cpu_percent", percent, PERCENT).with_note(note));
    Ok(figures)
}

fn memory((service, memory): (&str, &Memory)) -> Figure {
    let name = format!("idle_rss_mb_{}", service.replace('-', "_"));
    let note = format!("{:.1} of it written by the process itself", megabytes(memory.anonymous));
    Figure::of_value(&name, megabytes(memory.resident), MEGABYTES).with_note(note)
}

#[expect(clippy::cast_precision_loss, reason = "a process has far less than 2^52 bytes")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
