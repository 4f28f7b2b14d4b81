//! Routes by the load balancer's document-001 calls: what did not come by a deployment gets a front door.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

const SERVER: &str = "http://127.0.0.1:8050";
/// A removal waits for what is under way, so it may take the edge's time to drain.
const WITHIN: Duration = Duration::from_secs(30);

/// Puts a replica behind a front port of its own; returns the front door.
pub(crate) async fn register(name: &str, replica: SocketAddr) -> anyhow::Result<SocketAddr> {
    let (ip, port) = (replica.ip().to_string(), replica.port().to_string());
    let asked = [
        ("vmIp", ip.as_str()),
        ("containerId", "avishkar-bench-backend"),
        ("appName", name),
        ("imageName", "avishkar-bench"),
        ("containerPort", port.as_str()),
        ("hostPort", port.as_str()),
    ];
    let endpoint = get("/registerApp", &asked).await?;
    endpoint.trim().parse().with_context(|| format!("{endpoint:?} is no endpoint"))
}

pub(crate) async fn deregister(name: &str) -> anyhow::Result<()> {
    get("/deregisterApp", &[("appName", name)]).await.map(drop)
}

/// The names of all routes that begin like this.
pub(crate) async fn named(prefix: &str) -> anyhow::Result<Vec<String>> {
    let listed: Value = serde_json::from_str(&get("/api/v1/routes", &[]).await?)?;
    let routes = listed["routes"].as_array().context("there is no list of routes")?;
    let names = routes.iter().filter_map(|route| route["instance"].as_str());
    Ok(names.filter(|name| name.starts_with(prefix)).map(str::to_owned).collect())
}

async fn get(path: &str, asked: &[(&str, &str)]) -> anyhow::Result<String> {
    let client = reqwest::Client::builder().timeout(WITHIN).build()?;
    let answer = client.get(format!("{SERVER}{path}")).query(asked).send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    ensure!(status == 200, "{path} {asked:?}: {status}: {text}");
    Ok(text)
}
