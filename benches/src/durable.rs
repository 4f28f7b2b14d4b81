//! What becomes durable in a second, here and there in turns, on the same disk.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use e2e::docker::docker;
use futures::future::try_join_all;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::kernel;
use crate::report::progress;

/// How many write at once, each one thing after the other: what a group commit can put together.
pub(crate) const AT_ONCE: usize = 256;
/// How many bytes each writes.
pub(crate) const SIZE: usize = 1000;
pub(crate) const ROUNDS: usize = 5;
pub(crate) const ROUND: Duration = Duration::from_secs(3);
const WARM_UP: Duration = Duration::from_secs(1);

/// One side of the comparison.
#[async_trait]
pub(crate) trait Side: Sync {
    fn name(&self) -> &'static str;

    /// Returns once something more of this writer is durable.
    async fn write(&self, writer: usize) -> anyhow::Result<()>;
}

/// Rounds in turns, in both directions, so that none always comes after the same neighbour. Returns
/// the rates of each side, round by round.
pub(crate) async fn in_turns<const SIDES: usize>(
    disk: &Path,
    sides: [&dyn Side; SIDES],
) -> anyhow::Result<[Vec<f64>; SIDES]> {
    for side in sides {
        rate(side, WARM_UP).await?;
    }
    let mut rates = [const { Vec::new() }; SIDES];
    for round in 0..ROUNDS {
        kernel::settled().await?;
        let mut order: Vec<usize> = (0..SIDES).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            // Nobody pays for what another one has left to the system to write.
            rustix::fs::syncfs(File::open(disk)?)?;
            let rate = rate(sides[index], ROUND).await?;
            progress(&format!("{}: {rate:.0} a second", sides[index].name()));
            rates[index].push(rate);
        }
    }
    Ok(rates)
}

async fn rate(side: &dyn Side, lasts: Duration) -> anyhow::Result<f64> {
    let began = Instant::now();
    let written = try_join_all((0..AT_ONCE).map(|writer| write(side, writer, began + lasts))).await;
    let written = written.with_context(|| format!("{} failed", side.name()))?;
    Ok(f64::from(written.iter().sum::<u32>()) / began.elapsed().as_secs_f64())
}

async fn write(side: &dyn Side, writer: usize, until: Instant) -> anyhow::Result<u32> {
    let mut written = 0;
    while Instant::now() < until {
        side.write(writer).await?;
        written += 1;
    }
    Ok(written)
}

/// A folder on the disk of the engine's volumes: beside this program or among the temporary files.
pub(crate) async fn folder_on_the_engines_disk() -> anyhow::Result<TempDir> {
    let root = docker(&["info", "-f", "{{.DockerRootDir}}"]).await?;
    let disk = Path::new(root.trim()).metadata().with_context(|| root.clone())?.dev();
    let binary = std::env::current_exe()?;
    let beside = binary.parent().context("the binary is in no folder")?;
    for place in [beside, &std::env::temp_dir()] {
        if place.metadata()?.dev() == disk {
            return Ok(tempfile::tempdir_in(place)?);
        }
    }
    bail!("no folder of yours is on the disk of {}: set TMPDIR to one", root.trim())
}
