//! How long nobody is answered when the edge's container is killed.

use std::net::SocketAddr;
use std::time::Duration;

use e2e::docker::container_of;
use tokio::time::{Instant, sleep, timeout};

use crate::figure::{Figure, Goal, milliseconds};
use crate::http;
use crate::killer::{Killer, first_process_of};
use crate::report::progress;
use crate::stage::Stage;

const TRIALS: usize = 5;
const GOAL: Goal = Goal::AtMost(2000.0);
const WITHIN: Duration = Duration::from_secs(30);
const ONE_WITHIN: Duration = Duration::from_millis(500);
const EVERY: Duration = Duration::from_millis(1);

/// The greatest of some deaths: from the last answer before one to the first one after it.
pub(crate) async fn measure(stage: &Stage) -> anyhow::Result<Figure> {
    let mut killer = Killer::on_this_machine().await?;
    let edge = container_of("edge").await?;
    let mut gaps = Vec::new();
    for trial in 0..TRIALS {
        let process = first_process_of(&edge).await?;
        let before = last_answer(stage.front, killer.kill(process)).await?;
        let after = http::first_200(stage.front, "bench", WITHIN).await?;
        let gap = milliseconds(after.duration_since(before));
        progress(&format!("edge: trial {trial}: nobody was answered for {gap:.0} ms"));
        gaps.push(gap);
        e2e::cluster::ready(WITHIN).await?;
    }
    killer.close().await?;
    let greatest = gaps.iter().copied().fold(f64::NAN, f64::max);
    let note =
        format!("the greatest of {TRIALS}: {gaps:.0?}; one new connection every millisecond");
    Ok(Figure::of_value("edge_killed_gap_ms", greatest, GOAL).with_note(note))
}

/// When the last 200 came before the first question that was not answered so.
async fn last_answer(
    at: SocketAddr,
    kill: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<Instant> {
    let request = http::get("bench");
    let asked = async {
        let mut last = Instant::now();
        let give_up = last + WITHIN;
        loop {
            match timeout(ONE_WITHIN, http::status(at, &request)).await {
                Ok(Ok(200)) => last = Instant::now(),
                _ => return Ok(last),
            }
            anyhow::ensure!(last < give_up, "the edge was killed, and answers all the time");
            sleep(EVERY).await;
        }
    };
    let (killed, last) = tokio::join!(kill, asked);
    killed?;
    last
}
