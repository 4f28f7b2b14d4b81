//! Requests that fail while an app gets releases, goes back, and has its replicas scaled, over and over.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::platform::sample;
use tokio::time::Instant;

use crate::command_line::avishkar;
use crate::crowd;
use crate::deploy::FRONT_DOOR;
use crate::figure::{Figure, Goal};
use crate::report::progress;
use crate::stage::APP;

const CLIENTS: usize = 16;
const GOAL: Goal = Goal::AtMost(0.0);
/// Of which a rate says little.
const AT_LEAST: u64 = 100_000;
const LONGEST: Duration = Duration::from_mins(5);

pub(crate) async fn measure() -> anyhow::Result<Figure> {
    progress("releases: a release, a rollback, and replicas up and down, under load");
    let folder = tempfile::tempdir()?;
    for file in fs::read_dir(sample("hello"))? {
        let file = file?;
        fs::copy(file.path(), folder.path().join(file.file_name()))?;
    }
    let source = folder.path().to_str().context("a temporary path is UTF-8")?;
    avishkar(&["deploy", source, "--name", APP, "--replicas", "2"]).await?;
    let (mut rounds, mut failed, mut answered) = (0, 0, 0);
    let mut first_failure = None;
    let began = Instant::now();
    while answered < AT_LEAST && began.elapsed() < LONGEST {
        rounds += 1;
        fs::write(folder.path().join("round.txt"), rounds.to_string())?;
        let changes = async {
            avishkar(&["deploy", source, "--name", APP, "--replicas", "2"]).await?;
            avishkar(&["rollback", APP]).await?;
            avishkar(&["scale", APP, "4"]).await?;
            avishkar(&["scale", APP, "2"]).await
        };
        let host = format!("{APP}.example.org");
        let (changed, tally) = crowd::during(FRONT_DOOR.into(), &host, CLIENTS, changes).await;
        changed?;
        answered += tally.answered;
        failed += tally.failed;
        first_failure = first_failure.or(tally.first_failure);
    }
    ensure!(answered > 0, "nobody was answered: {first_failure:?}");
    let mut note = format!(
        "of {} requests over {rounds} rounds of a release, a rollback, four replicas and two again",
        answered + failed
    );
    if let Some(reason) = first_failure {
        note.push_str(&format!("; the first: {reason}"));
    }
    let figure = Figure::of_value(
        "failed_in_releases",
        f64::from(u32::try_from(failed).unwrap_or(u32::MAX)),
        GOAL,
    );
    Ok(Figure { floor: Some(0.0), ..figure }.with_note(note))
}
