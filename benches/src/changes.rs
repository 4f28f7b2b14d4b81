//! Requests that fail while the upstream of their route changes again and again, beside what reloads of a plain NGINX
//! break in the same time.

use std::time::Duration;

use futures::future::try_join_all;
use tokio::time::{Instant, sleep_until};

use crate::crowd::{self, Clients, Tally};
use crate::figure::Figure;
use crate::reloaded::{self, Reloaded};
use crate::report::progress;
use crate::routes::{self, Change};
use crate::stage::{ROUTES, Stage};

const CLIENTS: Clients = Clients { kept: 16, short: 16 };
const CHANGES: u16 = 100;
const EVERY: Duration = Duration::from_millis(60);

pub(crate) async fn measure(stage: &Stage) -> anyhow::Result<Figure> {
    let (overtaken, ours) = through_the_edge(stage).await?;
    let theirs = by_reloads(stage).await?;
    let figure = ours.none_failed("failed_in_changes")?;
    let beside = theirs.none_failed("failed_in_reloads")?;
    let note = format!(
        "{CHANGES} changes asked for in {:.0} s, of which {overtaken} were taken together with a later one, {} kept and \
         {} short connections: {}; beside it the same changes by reloads of a plain NGINX: {}",
        (EVERY * u32::from(CHANGES)).as_secs_f64(),
        CLIENTS.kept,
        CLIENTS.short,
        ours.told(),
        theirs.told()
    );
    Ok(Figure { floor: Some(beside.value), ..figure }.with_note(note))
}

/// Each change is asked for when its time has come, whether those before are served by then or not: an answer waits
/// until the replica that left is drained.
async fn through_the_edge(stage: &Stage) -> anyhow::Result<(usize, Tally)> {
    progress(&format!("changes: {CHANGES} of one route"));
    let name = format!("{ROUTES}route");
    let (name, began) = (name.as_str(), Instant::now());
    let changes = (0..CHANGES).map(|number| async move {
        sleep_until(began + EVERY * u32::from(number)).await;
        routes::change(name, stage.other(number)).await
    });
    let (changed, tally) =
        crowd::of_both(stage.front, "bench", CLIENTS, try_join_all(changes)).await;
    let overtaken = changed?.into_iter().filter(|change| *change == Change::Overtaken).count();
    Ok((overtaken, tally))
}

async fn by_reloads(stage: &Stage) -> anyhow::Result<Tally> {
    progress(&format!("changes: {CHANGES} reloads of a plain NGINX"));
    let mut reloaded = Reloaded::start(stage, 1).await?;
    let changes = async {
        let began = Instant::now();
        for number in 0..CHANGES {
            sleep_until(began + EVERY * u32::from(number)).await;
            reloaded.change(stage.other(number)).await?;
        }
        anyhow::Ok(())
    };
    let (changed, tally) = crowd::of_both(reloaded::AT, "bench", CLIENTS, changes).await;
    changed?;
    reloaded.end().await?;
    Ok(tally)
}
