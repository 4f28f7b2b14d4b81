//! Routes by the load balancer's document-001 calls: what did not come by a deployment gets a front door.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::{Client, StatusCode};
use serde_json::Value;

const SERVER: &str = "http://127.0.0.1:8050";
/// A removal waits for what is under way, so it may take the edge's time to drain.
const WITHIN: Duration = Duration::from_secs(30);
/// The code of a request that a later one of the same route has made pointless.
const SUPERSEDED: &str = "SUPERSEDED";

/// One for all: what making one costs would be in the figures. It speaks to this machine only, without TLS.
static HTTP: LazyLock<Client> = LazyLock::new(|| {
    let client = Client::builder().timeout(WITHIN).no_proxy().tls_certs_only([]);
    client.build().expect("a client without proxies and certificates can be made")
});

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// At this front door.
    Served(SocketAddr),
    /// A later change of the same route was taken in its place.
    Overtaken,
}

/// Puts a replica behind a front port of its own; returns the front door.
pub(crate) async fn register(name: &str, replica: SocketAddr) -> anyhow::Result<SocketAddr> {
    match change(name, replica).await? {
        Change::Served(front) => Ok(front),
        Change::Overtaken => bail!("somebody else changes {name}"),
    }
}

/// As [`register`], where other changes of the same route may be under way.
pub(crate) async fn change(name: &str, replica: SocketAddr) -> anyhow::Result<Change> {
    let (ip, port) = (replica.ip().to_string(), replica.port().to_string());
    let asked = [
        ("vmIp", ip.as_str()),
        ("containerId", "avishkar-bench-backend"),
        ("appName", name),
        ("imageName", "avishkar-bench"),
        ("containerPort", port.as_str()),
        ("hostPort", port.as_str()),
    ];
    let (status, text) = get("/registerApp", &asked).await?;
    if status != 200 && text.contains(SUPERSEDED) {
        return Ok(Change::Overtaken);
    }
    ensure!(status == 200, "{name} to {replica}: {status}: {text}");
    let endpoint = text.trim().parse().with_context(|| format!("{text:?} is no endpoint"))?;
    Ok(Change::Served(endpoint))
}

pub(crate) async fn deregister(name: &str) -> anyhow::Result<()> {
    let (status, text) = get("/deregisterApp", &[("appName", name)]).await?;
    ensure!(status == 200, "{name} to nowhere: {status}: {text}");
    Ok(())
}

/// The names of all routes that begin like this.
pub(crate) async fn named(prefix: &str) -> anyhow::Result<Vec<String>> {
    let (status, text) = get("/api/v1/routes", &[]).await?;
    ensure!(status == 200, "the list of routes: {status}: {text}");
    let listed: Value = serde_json::from_str(&text)?;
    let routes = listed["routes"].as_array().context("there is no list of routes")?;
    let names = routes.iter().filter_map(|route| route["instance"].as_str());
    Ok(names.filter(|name| name.starts_with(prefix)).map(str::to_owned).collect())
}

async fn get(path: &str, asked: &[(&str, &str)]) -> anyhow::Result<(StatusCode, String)> {
    let answer = HTTP.get(format!("{SERVER}{path}")).query(asked).send().await?;
    let status = answer.status();
    Ok((status, answer.text().await?))
}
