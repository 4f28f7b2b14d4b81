//! `avishkar down`: ends a platform of one process, and everything that it runs on this machine's Docker.
//!
//! What it knows stays in its folder, so that the next `avishkar up` brings every app back; `--purge`
//! removes that too. Images stay.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use adapters::docker::Remains;
use adapters::embedded::{self, Folder};
use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::up::settings::{From, Settings};
use crate::cli::Down;
use crate::doctor;
use crate::failure::Failure;
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
    let unit = if args.uninstall { unit::uninstall().await? } else { None };
    let ended = end_process(&data, output).await?;
    // Nobody starts it again in the middle.
    let held = if data.exists() { Some(Folder::open(&data).map_err(Failure::from)?) } else { None };
    let from = From { data: &data, files: None, overrides: &[] };
    let settings = Settings::read(from).map_err(|err| Failure::usage(&err))?;
    let socket = &settings.node_agent.meant.socket;
    output.progress("removing its containers and networks");
    let remains = Remains::new(socket).map_err(Failure::Engine)?;
    let removed = remains.remove().await.map_err(Failure::Engine)?;
    // Without the right to it, or without the program, there are no rules of ours either.
    drop(node_agent::remove_firewall(socket, &settings.firewall.image).await);
    if args.purge {
        remove_folder(&data)?;
    }
    drop(held);
    let kept = if args.purge { "nothing is kept" } else { "`avishkar up` brings its apps back" };
    let said =
        json!({ "process": ended, "containers": removed, "purged": args.purge, "unit": unit });
    output.answer(&said, &format!("Avishkar is down: {removed} containers of apps removed; {kept}"))
}

/// Asks the process that has the folder to end, and waits for it. Returns its id.
async fn end_process(data: &Path, output: Output) -> anyhow::Result<Option<u32>> {
    let Err(embedded::Error::InUse { by, .. }) = embedded::look(data) else { return Ok(None) };
    let pid = by.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let pid = pid.context("the folder is in use, and does not say by whom")?;
    output.progress(&format!("ending process {}", pid.as_raw_nonzero()));
    kill_process(pid, Signal::TERM).context("the process cannot be ended")?;
    let deadline = Instant::now() + ENDS_WITHIN;
    while matches!(embedded::look(data), Err(embedded::Error::InUse { .. })) {
        if Instant::now() > deadline {
            let hint = format!("see what process {} does", pid.as_raw_nonzero());
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
        Err(err) if err.kind() != ErrorKind::NotFound => {
            Err(err).with_context(|| format!("{} cannot be removed", data.display()))
        }
        _ => Ok(()),
    }
}
