//! The platform as a systemd unit: written, started, and removed again.
//!
//! Root gets a unit of the system, which begins with the machine; everybody else gets one of their
//! own, which begins when they sign in, and with the machine where they may linger.

mod place;
mod render;
mod systemctl;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use adapters::embedded;
use anyhow::Context as _;

use self::place::Place;
use self::render::Unit;
use self::systemctl::Systemctl;
use crate::failure::{Failure, Obstacle};

/// What the unit runs.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The program: an absolute path.
    pub(crate) program: PathBuf,
    /// Everything the platform keeps: an absolute path. It is handed to `up` as `--data`.
    pub(crate) folder: PathBuf,
    /// More arguments of `up`.
    pub(crate) arguments: Vec<String>,
}

/// What was installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Installed {
    /// The file of the unit.
    pub(crate) file: PathBuf,
    /// How its output is seen.
    pub(crate) logs: &'static str,
    /// What the user should know: one sentence each.
    pub(crate) notes: Vec<String>,
}

/// Writes the unit, starts it, and has it start with the machine. Returns when the platform is ready;
/// a unit that runs already is started anew only if it changed.
pub(crate) async fn install(settings: &Settings) -> anyhow::Result<Installed> {
    let (place, systemctl) = here()?;
    let unit = Unit {
        scope: place.scope,
        program: settings.program.clone(),
        folder: settings.folder.clone(),
        arguments: settings.arguments.clone(),
    };
    let text = unit.render()?;
    if !systemctl.is_active().await {
        embedded::look(&settings.folder).map_err(Failure::from)?;
    }
    make(&settings.folder)?;
    let changed = place.write(&text)?;
    systemctl.reload().await?;
    systemctl.enable().await?;
    let started = systemctl.start(changed).await;
    started.with_context(|| {
        format!("the platform does not start; `{}` shows why", place.scope.logs())
    })?;
    let linger = systemctl.linger().await;
    let notes = linger.err().map(|err| format!("{err:#}")).into_iter().collect();
    Ok(Installed { file: place.file, logs: place.scope.logs(), notes })
}

/// Stops the unit and removes it. None: there was none.
pub(crate) async fn uninstall() -> anyhow::Result<Option<PathBuf>> {
    let (place, systemctl) = here()?;
    if !place.file.exists() {
        return Ok(None);
    }
    systemctl.disable().await?;
    place.remove()?;
    systemctl.reload().await?;
    Ok(Some(place.file))
}

/// Whether a unit of this user is installed.
pub(crate) fn is_installed() -> bool {
    here().is_ok_and(|(place, _)| place.file.exists())
}

/// systemd starts nothing whose folder is not there, where it may write to that folder only.
fn make(folder: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("{} cannot be made", folder.display()))
}

fn here() -> anyhow::Result<(Place, Systemctl)> {
    if !is_run_by_systemd(Path::new("/run/systemd/system")) {
        let advice = "without it, `avishkar up --detach` runs the platform in the background";
        let failure = Obstacle::SystemdAbsent.failure("systemd does not run this machine", advice);
        return Err(failure.into());
    }
    let place = Place::of_process().context("there is no place for a unit")?;
    let systemctl = Systemctl::new(place.scope);
    Ok((place, systemctl))
}

/// As `sd_booted` says it.
fn is_run_by_systemd(folder: &Path) -> bool {
    folder.symlink_metadata().is_ok_and(|found| found.is_dir())
}
