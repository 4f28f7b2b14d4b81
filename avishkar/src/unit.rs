//! The platform as a systemd unit: written, started, and removed again.
//!
//! Root gets a unit of the system, which begins with the machine; everybody else gets one of their
//! own, which begins when they sign in, and with the machine where they may linger.

mod place;
mod render;
mod systemctl;

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use self::place::{Place, Scope};
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
    make(&settings.folder)?;
    let is_new = !place.file.exists();
    let changed = place.write(&text)?;
    systemctl.reload().await?;
    systemctl.enable().await?;
    if let Err(err) = systemctl.start(changed).await {
        let failure = not_started(&place, systemctl.exit_code().await, &err);
        if is_new {
            // It would be tried for ever, and at each start of the machine.
            drop(systemctl.disable().await);
            place.remove()?;
            systemctl.reload().await?;
        }
        return Err(failure.into());
    }
    let linger = systemctl.linger().await;
    let notes = linger.err().map(|err| format!("{err:#}")).into_iter().collect();
    Ok(Installed { file: place.file, logs: place.scope.logs(), notes })
}

/// Whether there is a systemd for whoever asks: before anything is ended or written for a unit.
pub(crate) async fn must_be_possible() -> anyhow::Result<()> {
    let (place, systemctl) = here()?;
    let answer = systemctl.answers().await;
    Ok(answer.map_err(|err| not_answering(place.scope, err))?)
}

/// A unit that is installed is that of this folder: there is one on a machine.
pub(crate) fn must_be_of(folder: &Path) -> anyhow::Result<()> {
    let (place, _) = here()?;
    let Ok(text) = fs::read_to_string(&place.file) else { return Ok(()) };
    let Some(other) = render::other_folder(&text, folder)? else { return Ok(()) };
    let sentence =
        format!("{} runs the platform that keeps everything in {other}", place.file.display());
    let advice = format!(
        "name it: --data {other}; `avishkar down --uninstall --data {other}` removes the unit"
    );
    Err(Obstacle::PlatformElsewhere.failure(sentence, advice).into())
}

/// Whether the platform of this folder is installed as a unit.
pub(crate) fn is_of(folder: &Path) -> bool {
    is_installed() && must_be_of(folder).is_ok()
}

/// Whether the unit of this user runs, or is about to.
pub(crate) async fn runs() -> bool {
    match here() {
        Ok((_, systemctl)) => systemctl.is_active().await,
        Err(_) => false,
    }
}

/// Stops the unit and removes it. None: there was none.
pub(crate) async fn uninstall(folder: &Path) -> anyhow::Result<Option<PathBuf>> {
    let (place, systemctl) = here()?;
    if !place.file.exists() {
        return Ok(None);
    }
    must_be_of(folder)?;
    systemctl.disable().await?;
    place.remove()?;
    systemctl.reload().await?;
    Ok(Some(place.file))
}

/// Whether a unit of this user is installed.
pub(crate) fn is_installed() -> bool {
    here().is_ok_and(|(place, _)| place.file.exists())
}

/// There is a systemd, and not for whoever asks.
fn not_answering(scope: Scope, err: anyhow::Error) -> Failure {
    let (whose, advice) = match scope {
        Scope::System => ("systemd", "see how it is with `systemctl status`"),
        Scope::User => (
            "the systemd of this user",
            "sign in as this user, and not by `su` or `sudo`, and try again; without a unit, \
             `avishkar up --detach` runs the platform in the background",
        ),
    };
    Obstacle::SystemdAbsent.because(err, format!("{whose} does not answer"), advice)
}

/// Why a unit does not start, with the exit code of what it runs, where there is one.
fn not_started(place: &Place, exit_code: Option<u8>, err: &anyhow::Error) -> Failure {
    let obstacle = exit_code
        .and_then(|code| Obstacle::ALL.into_iter().find(|obstacle| obstacle.exit_code() == code));
    let mut words = format!("the platform does not start as a unit: {err:#}");
    if let Some(obstacle) = obstacle {
        words = format!("{}: {words}", obstacle.code());
    }
    let mut hint = format!("`{}` shows why", place.scope.logs());
    if obstacle == Some(Obstacle::DockerForbidden) && place.scope == Scope::User {
        hint.push_str(
            "; this shell may use Docker, and your systemd has not heard of your new group: \
             `sudo systemctl restart user@$(id -u)`, or sign out everywhere and in again",
        );
    }
    let code = obstacle.map(|obstacle| obstacle.code().to_owned());
    Failure::Ended { exit_code: exit_code.unwrap_or(1), words, code, hint: Some(hint) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_unit_does_not_start_has_the_code_of_what_it_runs() {
        let place = Place { scope: Scope::User, file: "/home/someone/avishkar.service".into() };
        let failed = not_started(&place, Some(11), &anyhow::anyhow!("it ended"));
        let Failure::Ended { exit_code, code, hint, .. } = failed else { panic!("not ended") };
        assert_eq!((exit_code, code.as_deref()), (11, Some("DOCKER_FORBIDDEN")));
        assert!(hint.is_some_and(|hint| hint.contains("new group")));
        let unknown = not_started(&place, None, &anyhow::anyhow!("it ended"));
        assert!(matches!(unknown, Failure::Ended { exit_code: 1, code: None, .. }));
    }
}
