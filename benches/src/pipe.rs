//! A client of Docker's that stands before anything is measured, and is spoken to through its standard input and output.

use std::process::Stdio;

use anyhow::Context as _;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Starts it with these arguments. It ends with its input, or when it is dropped.
#[expect(clippy::disallowed_methods, reason = "the outside view has no adapter")]
pub(crate) fn open(arguments: &[&str]) -> anyhow::Result<(Child, ChildStdin, ChildStdout)> {
    let mut child = Command::new("docker")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let input = child.stdin.take().context("the pipe has an input")?;
    let output = child.stdout.take().context("the pipe has an output")?;
    Ok((child, input, output))
}
