//! The app that is given as much load as a measurement wants.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::cluster::NODES;
use tempfile::TempDir;

use crate::command_line::avishkar;
use crate::deploy::FRONT_DOOR;
use crate::http::Connection;
use crate::samples::argument;
use crate::stage::BURNER;

/// The cores that a replica may use.
pub(crate) const CPUS: f64 = 0.3;
/// How many replicas it may have.
pub(crate) const MOST: usize = 2;
/// How soon after a change of their number another replica comes, at the earliest.
pub(crate) const COOLDOWN: Duration = Duration::from_secs(3);
/// Longer than it takes until a replica that came goes again.
const GOES_WITHIN: Duration = Duration::from_mins(3);

/// Deploys it; its image is on every node then, and it has one replica.
pub(crate) async fn deploy() -> anyhow::Result<()> {
    let folder = files()?;
    let source = argument(folder.path())?;
    for replicas in [NODES.len(), 1] {
        let count = replicas.to_string();
        avishkar(&["deploy", source, "--name", BURNER, "--replicas", &count]).await?;
    }
    Ok(())
}

fn files() -> anyhow::Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let cooldown = COOLDOWN.as_secs();
    let settings =
        format!("cpus = {CPUS}\n[scaling]\nmin = 1\nmax = {MOST}\ncooldown = {cooldown}\n");
    fs::write(folder.path().join("main.py"), include_str!("../conf/burner.py"))?;
    fs::write(folder.path().join("avishkar.toml"), settings)?;
    Ok(folder)
}

pub(crate) async fn stop() -> anyhow::Result<()> {
    avishkar(&["stop", BURNER]).await.map(drop)
}

/// How many replicas it has, whatever their state.
pub(crate) async fn replicas() -> anyhow::Result<usize> {
    let status = avishkar(&["status", BURNER]).await?;
    Ok(status["replicas"].as_array().context("there are no replicas")?.len())
}

/// Waits until it has so many replicas.
pub(crate) async fn has(count: usize) -> anyhow::Result<()> {
    e2e::wait::until("the burner has its replicas", GOES_WITHIN, async || {
        let there = replicas().await?;
        ensure!(there == count, "{there} replicas");
        Ok(())
    })
    .await
}

/// Asks for a path on a new connection, which stays open.
pub(crate) async fn ask(path: &str) -> anyhow::Result<Connection<tokio::net::TcpStream>> {
    let mut connection = Connection::open(FRONT_DOOR.into()).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {BURNER}.example.org\r\n\r\n");
    let answer = connection.ask(request.as_bytes()).await?;
    ensure!(answer.status == 200, "{path} is answered with {}", answer.status);
    Ok(connection)
}
