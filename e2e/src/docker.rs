//! The Docker engine as an operator has it: the command line, by argument vectors.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::process::Command;

const WITHIN: Duration = Duration::from_mins(1);

/// Runs `docker` with these arguments; returns what it printed.
#[expect(clippy::disallowed_methods, reason = "the outside view has no adapter")]
pub async fn docker(arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new("docker");
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(WITHIN, command.output())
        .await
        .with_context(|| format!("docker {arguments:?} took too long"))??;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "docker {arguments:?}: {}", error.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The container of one service of the compose project.
pub async fn container_of(service: &str) -> anyhow::Result<String> {
    let label = format!("label=com.docker.compose.service={service}");
    let project = "label=com.docker.compose.project=avishkar";
    let found = docker(&["ps", "-a", "-q", "--filter", project, "--filter", &label]).await?;
    let id = found
        .lines()
        .next()
        .with_context(|| format!("the cluster has no container of {service}"))?;
    Ok(id.to_owned())
}
