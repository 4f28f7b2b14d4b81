//! Requests that fail while the upstream of their route changes again and again, beside what reloads of a plain NGINX
//! break in the same time.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::{Instant, sleep_until};

use crate::crowd::{self, Clients, Tally};
use crate::figure::{Figure, Goal};
use crate::reloaded::{self, Reloaded};
use crate::report::progress;
use crate::routes;
use crate::stage::{ROUTES, Stage};

const CLIENTS: Clients = Clients { kept: 16, short: 16 };
const CHANGES: u16 = 100;
const EVERY: Duration = Duration::from_millis(60);
const GOAL: Goal = Goal::AtMost(0.0);

pub(crate) async fn measure(stage: &Stage) -> anyhow::Result<Figure> {
    let ours = through_the_edge(stage).await?;
    let theirs = by_reloads(stage).await?;
    let figure = Figure {
        floor: Some(count(theirs.failed)),
        ..Figure::of_value("failed_in_changes", count(ours.failed), GOAL)
    };
    let note = format!(
        "{CHANGES} changes, {} kept and {} short connections: {}; beside it the same changes by reloads of a plain NGINX: {}",
        CLIENTS.kept,
        CLIENTS.short,
        ours.told(),
        theirs.told()
    );
    Ok(figure.with_note(note))
}

#[expect(clippy::cast_precision_loss, reason = "far fewer requests than 2^52")]
fn count(requests: u64) -> f64 {
    requests as f64
}

async fn through_the_edge(stage: &Stage) -> anyhow::Result<Tally> {
    progress(&format!("changes: {CHANGES} of one route"));
    let name = format!("{ROUTES}route");
    let change = async |number: u16| routes::register(&name, stage.other(number)).await.map(drop);
    let (changed, tally) =
        crowd::of_both(stage.front, "bench", CLIENTS, again_and_again(change)).await;
    changed?;
    ensure!(tally.answered > 0, "nobody was answered: {:?}", tally.first_failure);
    Ok(tally)
}

async fn by_reloads(stage: &Stage) -> anyhow::Result<Tally> {
    progress(&format!("changes: {CHANGES} reloads of a plain NGINX"));
    let mut reloaded = Reloaded::start(stage, 1).await?;
    let changes = async {
        let change = async |number: u16| reloaded.change(stage.other(number)).await;
        again_and_again(change).await
    };
    let (changed, tally) = crowd::of_both(reloaded::AT, "bench", CLIENTS, changes).await;
    changed?;
    reloaded.end().await?;
    Ok(tally)
}

async fn again_and_again(
    mut change: impl AsyncFnMut(u16) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let began = Instant::now();
    for number in 0..CHANGES {
        change(number).await?;
        sleep_until(began + EVERY * u32::from(number + 1)).await;
    }
    Ok(())
}
