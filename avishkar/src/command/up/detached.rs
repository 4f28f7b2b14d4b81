//! `avishkar up --detach`: the same in the background. Returns once it is ready, or has failed.

mod listener;

use std::fs::{DirBuilder, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use adapters::embedded;
use anyhow::Context as _;
use tokio::time::{Instant, sleep};

use crate::cli::Up;
use crate::command::down;
use crate::doctor;
use crate::failure::Failure;
use crate::output::Output;
use crate::unit;
use listener::Listener;

/// After a crash every page of the bus and the store is looked at before anything else happens.
const READY_WITHIN: Duration = Duration::from_mins(3);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How much of what it wrote is shown when it fails.
const LAST_WORDS: u64 = 4096;

pub(super) async fn start(
    args: &Up,
    data: &Path,
    needs: &doctor::Settings,
    output: Output,
) -> anyhow::Result<()> {
    if let Err(embedded::Error::InUse { by: Some(process), .. }) = embedded::look(data) {
        let said = serde_json::json!({ "process": process, "started": false });
        if !is_another_build(process) {
            return output.answer(&said, &format!("Avishkar runs already, as process {process}"));
        }
        if unit::is_installed() {
            let text = "Avishkar runs already, of another build; this one is taken once its unit is restarted";
            return output.answer(&said, text);
        }
        output.progress("another build of Avishkar runs: this one takes over, and apps go on");
        down::end_process(data, output).await?;
    }
    for warning in doctor::preflight(needs).await? {
        output.progress(&warning.to_string());
    }
    let logs = data.join("logs");
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&logs);
    made.with_context(|| format!("{} cannot be made", logs.display()))?;
    let path = logs.join("up.out");
    let written =
        File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    let ready = Listener::bind()?;
    let mut child = spawn(args, data, &written, &ready)?;
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        if ready.heard_ready()? {
            let said = serde_json::json!({ "process": child.id(), "started": true });
            let text = format!(
                "Avishkar runs in the background as process {}; its log: {}",
                child.id(),
                logs.join(super::LOG_FILE).display()
            );
            return output.answer(&said, &text);
        }
        if let Some(ended) = child.try_wait()? {
            return Err(failed(ended, &path));
        }
        if Instant::now() > deadline {
            let hint = format!("see {}; `avishkar down` ends it", path.display());
            return Err(Failure::TimedOut { what: "the start".to_owned(), hint }.into());
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Whether a process was started from another file than this one: also from one that was replaced since.
fn is_another_build(process: u32) -> bool {
    let file = |path: &Path| path.metadata().map(|found| (found.dev(), found.ino()));
    let its = file(Path::new(&format!("/proc/{process}/exe")));
    let own = file(Path::new("/proc/self/exe"));
    its.ok().zip(own.ok()).is_some_and(|(its, own)| its != own)
}

/// Away from this terminal: its signals are not for the platform.
#[expect(clippy::disallowed_methods, reason = "the platform is started as a process of its own")]
fn spawn(args: &Up, data: &Path, output: &File, ready: &Listener) -> anyhow::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("up").arg("--data").arg(data);
    // What it logs goes to its own file, which is turned when it is full.
    command.args(["--set", "up.telemetry.format=none"]);
    command.args(super::arguments(args)?);
    command.env("NOTIFY_SOCKET", ready.path()).process_group(0);
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?);
    command.spawn().context("the platform cannot be started")
}

/// With the exit code and the words of the process that failed.
fn failed(ended: ExitStatus, path: &Path) -> anyhow::Error {
    let code = ended.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    let said = last_words(path).unwrap_or_default();
    // It has told its error as every command does.
    let words = said.rsplit_once("error: ").map_or(said.as_str(), |(_, error)| error).to_owned();
    Failure::Ended { code, words }.into()
}

fn last_words(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LAST_WORDS)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}
