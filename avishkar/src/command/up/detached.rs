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
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::given::Given;
use super::restore::Accept;
use super::{LOG_FILE, Start};
use crate::command::down;
use crate::failure::{Failure, Obstacle};
use crate::output::Output;
use crate::unit;
use listener::Listener;

/// After a crash every page of the bus and the store is looked at before anything else happens.
const READY_WITHIN: Duration = Duration::from_mins(3);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How much of what it wrote is shown when it fails.
const LAST_WORDS: u64 = 4096;

pub(super) async fn start(start: &Start<'_>, output: Output) -> anyhow::Result<()> {
    let data = start.data;
    if let Err(embedded::Error::InUse { by: Some(process), .. }) = embedded::look(data) {
        let said = serde_json::json!({ "process": process, "started": false });
        let is_given_the_same = Given::load(data).is_none_or(|given| given == *start.given);
        if is_given_the_same && !is_another_build(process) {
            return output.answer(&said, &format!("Avishkar runs already, as process {process}"));
        }
        if unit::is_installed() {
            if !is_given_the_same {
                let sentence = "Avishkar runs already, as a unit that was given other settings";
                let advice = "`avishkar up --install` with the same words gives it these";
                return Err(Obstacle::FolderInUse.failure(sentence, advice).into());
            }
            let text = "Avishkar runs already, of another build; this one is taken once its unit is restarted";
            return output.answer(&said, text);
        }
        let other = if is_given_the_same { "another build" } else { "with other settings" };
        output.progress(&format!("Avishkar runs, {other}: this one takes over, and apps go on"));
        down::end_process(data, output).await?;
    }
    start.preflight(output).await?;
    let logs = data.join("logs");
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&logs);
    made.with_context(|| format!("{} cannot be made", logs.display()))?;
    let path = logs.join("up.out");
    let written =
        File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    let ready = Listener::bind()?;
    let mut child = spawn(start, &written, &ready)?;
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        if ready.heard_ready()? {
            let said = serde_json::json!({ "process": child.id(), "started": true });
            let text = format!(
                "Avishkar runs in the background as process {}; its log: {}",
                child.id(),
                logs.join(LOG_FILE).display()
            );
            return output.answer(&said, &text);
        }
        if let Some(ended) = child.try_wait()? {
            return Err(failed(ended, &path).into());
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
fn spawn(start: &Start<'_>, output: &File, ready: &Listener) -> anyhow::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    // It tells how it ends in a form that is understood here. What it logs goes to its own file, which is turned
    // when it is full.
    command.args(["--json", "up", "--data"]).arg(start.data);
    command.args(start.given.words()?);
    if start.accept == Accept::Yes {
        command.arg("--accept-restore");
    }
    command.env("NOTIFY_SOCKET", ready.path()).process_group(0);
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?);
    command.spawn().context("the platform cannot be started")
}

/// As the process that failed has told it.
fn failed(ended: ExitStatus, path: &Path) -> Failure {
    let exit_code = ended.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    let said = last_words(path).unwrap_or_default();
    let told = said.lines().rev().find_map(|line| serde_json::from_str::<Told>(line).ok());
    match told {
        Some(Told { error, code, hint }) => Failure::Ended { exit_code, words: error, code, hint },
        None => Failure::Ended { exit_code, words: said, code: None, hint: None },
    }
}

/// How a command tells programs that it failed.
#[derive(Debug, Deserialize)]
struct Told {
    error: String,
    code: Option<String>,
    hint: Option<String>,
}

fn last_words(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LAST_WORDS)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    fn told(written: &str, status: i32) -> Failure {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("up.out");
        std::fs::write(&path, written).unwrap();
        failed(ExitStatus::from_raw(status), &path)
    }

    #[test]
    fn what_the_process_told_for_programs_is_told_on() {
        let said = "some line\n{\"error\":\"PORT_IN_USE: taken\",\"code\":\"PORT_IN_USE\",\"hint\":\"find it\",\"output\":[],\"exit_code\":14}\n";
        let Failure::Ended { exit_code, words, code, hint } = told(said, 14 << 8) else {
            panic!("not ended")
        };
        assert_eq!((exit_code, words.as_str()), (14, "PORT_IN_USE: taken"));
        assert_eq!((code.as_deref(), hint.as_deref()), (Some("PORT_IN_USE"), Some("find it")));
    }

    #[test]
    fn a_process_that_was_killed_is_told_with_its_last_words() {
        let Failure::Ended { exit_code, words, code, .. } = told("out of memory\n", 9) else {
            panic!("not ended")
        };
        assert_eq!((exit_code, words.as_str(), code), (1, "out of memory", None));
    }
}
