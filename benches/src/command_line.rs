//! The platform's own command line, as the person who runs this is signed in.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::platform::SERVER;
use serde_json::Value;
use tokio::process::Command;

/// A build from nothing.
const WITHIN: Duration = Duration::from_mins(10);

/// Runs `avishkar --json`; returns what it printed.
#[expect(clippy::disallowed_methods, reason = "the outside view has no adapter")]
pub(crate) async fn avishkar(arguments: &[&str]) -> anyhow::Result<Value> {
    let mut command = Command::new(binary()?);
    command.args(["--server", SERVER, "--json"]).args(arguments);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(WITHIN, command.output())
        .await
        .with_context(|| format!("avishkar {arguments:?} took too long"))??;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "avishkar {arguments:?}: {}", error.trim());
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("avishkar {arguments:?} did not print JSON"))
}

/// The one that was built beside this program.
fn binary() -> anyhow::Result<PathBuf> {
    let binary = std::env::current_exe()?.with_file_name("avishkar");
    ensure!(binary.exists(), "{} is not built; run `make cluster`", binary.display());
    Ok(binary)
}
