//! Requests that fail while an app gets releases, goes back, and has its replicas scaled, over and over.

use std::fs;
use std::time::Duration;

use tokio::time::Instant;

use crate::command_line::avishkar;
use crate::crowd::{self, Tally};
use crate::deploy::FRONT_DOOR;
use crate::figure::Figure;
use crate::report::progress;
use crate::samples::{argument, copy_of};
use crate::stage::APP;

const CLIENTS: usize = 16;
/// Of which a rate says little.
const AT_LEAST: u64 = 100_000;
const LONGEST: Duration = Duration::from_mins(5);

pub(crate) async fn measure() -> anyhow::Result<Figure> {
    progress("releases: a release, a rollback, and replicas up and down, under load");
    let folder = copy_of("hello")?;
    let source = argument(folder.path())?;
    avishkar(&["deploy", source, "--name", APP, "--replicas", "2"]).await?;
    let host = format!("{APP}.example.org");
    let mut rounds = 0;
    let mut sum = Tally::default();
    let began = Instant::now();
    while sum.answered < AT_LEAST && began.elapsed() < LONGEST {
        rounds += 1;
        fs::write(folder.path().join("round.txt"), rounds.to_string())?;
        let changes = async {
            avishkar(&["deploy", source, "--name", APP, "--replicas", "2"]).await?;
            avishkar(&["rollback", APP]).await?;
            avishkar(&["scale", APP, "4"]).await?;
            avishkar(&["scale", APP, "2"]).await
        };
        let (changed, tally) = crowd::during(FRONT_DOOR.into(), &host, CLIENTS, changes).await;
        changed?;
        sum.add(tally);
    }
    let note = format!(
        "{rounds} rounds of a release, a rollback, four replicas and two again: {}",
        sum.told()
    );
    Ok(sum.none_failed_of("failed_in_releases", AT_LEAST)?.with_note(note))
}
