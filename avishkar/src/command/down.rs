//! `avishkar down`: ends a platform of one process, and everything that it runs on this machine's Docker.
//!
//! What it knows stays in its folder, so that the next `avishkar up` brings every app back; `--purge`
//! removes that too. Images stay.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use adapters::docker::{Home, Remains};
use adapters::embedded::{self, Folder, Look};
use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::up::given::Given;
use super::up::settings::Settings;
use crate::cli::Down;
use crate::doctor;
use crate::failure::{Failure, Obstacle, counted};
use crate::output::Output;
use crate::unit;
use crate::wiring::node_agent;

/// Requests under way end first, and what was accepted is written.
const ENDS_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(crate) async fn run(args: Down, output: Output) -> anyhow::Result<()> {
    let data = match &args.data {
        Some(data) => std::path::absolute(data)?,
        None => doctor::default_folder()?,
    };
    let given = Given::kept_under(&data, args.config.as_deref(), &args.overrides)?;
    let settings = Settings::read(given.sources(&data)).map_err(|err| Failure::usage(&err))?;
    let socket = &settings.node_agent.meant.socket;
    let homes = check_home(socket, &data).await?;
    // A unit whose folder is gone would fail at each start of the machine.
    let uninstalls = args.uninstall || (args.purge && unit::is_of(&data));
    let unit = if uninstalls { unit::uninstall(&data).await? } else { None };
    let ended = end_process(&data, output).await?;
    // Nobody starts it again in the middle. A folder without a format is nobody's, or somebody else's.
    let is_platforms = embedded::look(&data).map_err(Failure::from)? != Look::New;
    let held = if is_platforms { Some(Folder::hold(&data).map_err(Failure::from)?) } else { None };
    output.progress("removing its containers and networks");
    let remains = Remains::new(socket).map_err(Failure::Engine)?;
    let removed = remains.remove(&homes).await.map_err(Failure::Engine)?;
    // Without the right to it, or without the program, there are no rules of ours either.
    drop(node_agent::remove_firewall(socket, &settings.firewall.image).await);
    let kept = match (is_platforms, args.purge) {
        (true, true) => {
            remove_folder(&data)?;
            "nothing is kept".to_owned()
        }
        (true, false) if unit.is_none() && unit::is_of(&data) => {
            "`avishkar up --install`, or the next start of this machine, brings its apps back"
                .to_owned()
        }
        (true, false) => "`avishkar up` brings its apps back".to_owned(),
        (false, _) => format!("{} holds no platform, and is left as it is", data.display()),
    };
    drop(held);
    let purged = is_platforms && args.purge;
    let said = json!({ "process": ended, "containers": removed, "purged": purged, "unit": unit });
    let containers = counted(removed, "container");
    output.answer(&said, &format!("Avishkar is down: {containers} of apps removed; {kept}"))
}

/// The containers of this machine are those of the platform of this folder, if they are anybody's. An engine
/// that does not answer says nothing of it. Returns the names that the folder has, or had.
pub(super) async fn check_home(socket: &Path, data: &Path) -> Result<Vec<PathBuf>, Failure> {
    let canonical = fs::canonicalize(data).ok();
    let mut names: Vec<PathBuf> =
        [Some(data.to_owned()), canonical].into_iter().flatten().collect();
    let Ok(remains) = Remains::new(socket) else { return Ok(names) };
    let home = match remains.home().await {
        Ok(Home::Folder(home)) => home,
        Ok(Home::Agent) => {
            let sentence = "the apps on this machine are those of a node of a cluster";
            let advice = "stop them there, with `avishkar stop`; one machine is not both";
            return Err(Obstacle::PlatformElsewhere.failure(sentence, advice));
        }
        Ok(Home::Nobody) | Err(_) => return Ok(names),
    };
    let is_it = |home: &PathBuf| names.contains(home);
    if is_it(&home) || fs::canonicalize(&home).is_ok_and(|home| is_it(&home)) {
        names.push(home);
        return Ok(names);
    }
    let home = home.display();
    let sentence = format!("the platform on this machine keeps everything in {home}");
    let advice = format!("name it: --data {home}; `avishkar down --data {home}` removes it");
    Err(Obstacle::PlatformElsewhere.failure(sentence, advice))
}

/// Asks the process that has the folder to end, and waits for it. Returns its id.
pub(super) async fn end_process(data: &Path, output: Output) -> anyhow::Result<Option<u32>> {
    let Err(embedded::Error::InUse { by, .. }) = embedded::look(data) else { return Ok(None) };
    // Who holds it without a name takes it down already.
    let who = match by.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
        Some(pid) => {
            output.progress(&format!("ending process {}", pid.as_raw_nonzero()));
            kill_process(pid, Signal::TERM).context("the process cannot be ended")?;
            format!("process {}", pid.as_raw_nonzero())
        }
        None => {
            output.progress("waiting for another `avishkar down`");
            "another `avishkar down`".to_owned()
        }
    };
    let deadline = Instant::now() + ENDS_WITHIN;
    while matches!(embedded::look(data), Err(embedded::Error::InUse { .. })) {
        if Instant::now() > deadline {
            let hint = format!("see what {who} does");
            return Err(
                Failure::TimedOut { what: "the end of the process".to_owned(), hint }.into()
            );
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(by)
}

fn remove_folder(data: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(data) {
        // Where a disk is mounted, the folder itself stays.
        Err(err) if matches!(err.kind(), ErrorKind::NotFound | ErrorKind::ResourceBusy) => Ok(()),
        Err(err) => Err(err).with_context(|| format!("{} cannot be removed", data.display())),
        Ok(()) => Ok(()),
    }
}
