//! What the balance cycle leaves alone: a load below the bounds, and the greatest number of replicas.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::{Instant, sleep};

use crate::burner::{self, CPUS, MOST};
use crate::figure::{Figure, Goal};
use crate::kernel;
use crate::report::progress;

const LASTS: Duration = Duration::from_mins(1);
/// Of what a replica may use; 80 % would be too much.
const SHARE: f64 = 0.7;
/// A window of samples, and what a start leaves in it.
const BEFORE: Duration = Duration::from_secs(5);
/// Ten decisions' worth of cooldown.
const OVERLOADED: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(crate) async fn measure(figures: &mut Vec<Figure>) -> anyhow::Result<()> {
    burner::deploy().await?;
    burner::has(1).await?;
    kernel::settled().await?;
    figures.push(below_the_bounds().await?);
    figures.push(above_them().await?);
    burner::stop().await
}

/// How often the number of replicas was another one than before.
async fn below_the_bounds() -> anyhow::Result<Figure> {
    progress(&format!("steady: {} s at {:.0} %", LASTS.as_secs(), 100.0 * SHARE));
    let seconds = (BEFORE + LASTS + BEFORE).as_secs();
    let asked = Instant::now();
    burner::ask(&format!("/hold/{}/{seconds}", CPUS * SHARE)).await?;
    sleep(BEFORE).await;
    let (began, mut last, mut changes, mut looks) = (Instant::now(), 1, 0, 0);
    while began.elapsed() < LASTS {
        let now = burner::replicas().await?;
        changes += u32::from(now != last);
        looks += 1;
        last = now;
        sleep(LOOK_EVERY).await;
    }
    ensure!(asked.elapsed().as_secs() < seconds, "the load ended before the looks did");
    let note = format!(
        "in {} s at {:.0} % of its processor time, {looks} looks",
        LASTS.as_secs(),
        100.0 * SHARE
    );
    let figure = Figure::of_value("changes_at_70_percent", f64::from(changes), Goal::AtMost(0.0));
    Ok(figure.with_note(note))
}

/// All replicas have more than they can take, for long after the last one that may come has come.
async fn above_them() -> anyhow::Result<Figure> {
    progress(&format!("steady: {} s of too much load", OVERLOADED.as_secs()));
    let (began, mut most) = (Instant::now(), 0);
    while began.elapsed() < OVERLOADED {
        // On a connection of its own each time, so that every replica has its share.
        burner::ask("/burn").await?;
        most = most.max(burner::replicas().await?);
        sleep(LOOK_EVERY).await;
    }
    ensure!(most > 1, "there was no other replica: the load was too little to say anything");
    let goal = u32::try_from(MOST)?;
    let figure = Figure::of_value(
        "most_replicas_overloaded",
        f64::from(u32::try_from(most)?),
        Goal::AtMost(f64::from(goal)),
    );
    Ok(figure.with_note(format!("in {} s, all replicas overloaded", OVERLOADED.as_secs())))
}
