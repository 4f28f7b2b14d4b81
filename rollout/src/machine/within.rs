//! Commands on a machine that one is signed in to.

use std::time::Duration;

use common::port::Host;
use common::port::host::{Command, FilePath, Output};

use crate::failure::Why;

/// What answers from memory.
pub(super) const QUICK: Duration = Duration::from_secs(20);

/// A command of root, through `env`, which tells a program that is missing by 127 also where `sudo` would not.
pub(super) fn as_root(program: &str) -> Command {
    Command::new("env").args([program]).by_root().within(QUICK)
}

/// The same for the engine's client.
pub(super) fn docker(arguments: &[&str]) -> Command {
    as_root("docker").args(arguments.iter().copied())
}

/// Runs it; what does not succeed is a failure of this program.
pub(super) async fn must(host: &dyn Host, program: &str, command: &Command) -> Result<Output, Why> {
    let output = host.run(command).await?;
    if output.succeeded() { Ok(output) } else { Err(Why::command(program, &output)) }
}

pub(super) fn path(text: &str) -> FilePath {
    text.parse().expect("it is an absolute path")
}
