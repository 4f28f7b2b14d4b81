//! A second instance of a service, beside the cluster's own: on an address of its own, with the same volumes.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::docker::{container_of, docker};
use crate::wait;

/// A container that runs a service a second time.
#[derive(Debug)]
pub struct Twin {
    name: String,
    /// `ip:port` of its plain listener.
    address: String,
}

impl Twin {
    /// Starts it like the cluster's container of the service, and waits until it is ready.
    pub async fn start(service: &str, port: u16, within: Duration) -> anyhow::Result<Self> {
        Self::start_with(service, port, within, &[]).await
    }

    /// The same with settings of its own, as variables of its environment: `AVISHKAR_SECTION__KEY=value`.
    pub async fn start_with(
        service: &str,
        port: u16,
        within: Duration,
        settings: &[&str],
    ) -> anyhow::Result<Self> {
        let name = format!("avishkar-twin-{service}");
        docker(&["rm", "-f", &name]).await?;
        let one: Vec<Value> =
            serde_json::from_str(&docker(&["inspect", &container_of(service).await?]).await?)?;
        let one = one.first().context("a container can be looked at")?;
        let networks = one["NetworkSettings"]["Networks"].as_object();
        let (network, there) = networks.and_then(|all| all.iter().next()).context("no network")?;
        let ip = there["IPAddress"].as_str().context("no address")?;
        let (net, host) = ip.rsplit_once('.').context("no address of four numbers")?;
        let ip = format!("{net}.{}", host.parse::<u8>()? + 100);
        let address = format!("{ip}:{port}");
        let words = |value: &Value| {
            let words = value.as_array().into_iter().flatten().filter_map(Value::as_str);
            words.map(str::to_owned).collect::<Vec<String>>()
        };
        let mut all: Vec<String> = ["run", "-d", "--init", "--read-only", "--tmpfs", "/tmp"]
            .into_iter()
            .chain(["--label", "com.docker.compose.project=avishkar"])
            .chain(["--label", "com.docker.compose.service=twin"])
            .chain(["--label", "com.docker.compose.oneoff=False"])
            .chain(["--name", &name, "--network", network, "--ip", &ip])
            .chain(["--volumes-from", one["Id"].as_str().context("no id")?])
            .map(str::to_owned)
            .collect();
        let own = [
            format!("AVISHKAR_HTTP__ADVERTISED={address}"),
            "AVISHKAR_TELEMETRY__LOG_FOLDER=".to_owned(),
        ];
        let own = own.into_iter().chain(settings.iter().map(|one| (*one).to_owned()));
        for variable in words(&one["Config"]["Env"]).into_iter().chain(own) {
            all.extend(["-e".to_owned(), variable]);
        }
        all.push(one["Config"]["Image"].as_str().context("no image")?.to_owned());
        all.extend(words(&one["Config"]["Cmd"]));
        docker(&all.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        let twin = Twin { name, address };
        wait::until("the twin is ready", within, async || twin.readiness().await).await?;
        Ok(twin)
    }

    /// What it says of itself, if it is ready.
    async fn readiness(&self) -> anyhow::Result<String> {
        readiness_at(&self.address).await
    }

    pub async fn leads(&self) -> anyhow::Result<()> {
        leads(&self.address).await
    }

    pub async fn stands_by(&self) -> anyhow::Result<()> {
        stands_by(&self.address).await
    }

    /// Kills it as `kill -9` would, and removes it.
    pub async fn kill(self) -> anyhow::Result<()> {
        docker(&["rm", "-f", &self.name]).await.map(drop)
    }
}

async fn readiness_at(address: &str) -> anyhow::Result<String> {
    let answer = reqwest::get(format!("http://{address}/readyz?verbose")).await?;
    let (status, text) = (answer.status(), answer.text().await?);
    ensure!(status == 200, "{status}: {text}");
    Ok(text)
}

/// The instance at this address is ready and leads.
pub async fn leads(address: &str) -> anyhow::Result<()> {
    let text = readiness_at(address).await?;
    ensure!(!text.contains("standing by"), "{text}");
    Ok(())
}

/// The instance at this address is ready to lead, and knows who does.
pub async fn stands_by(address: &str) -> anyhow::Result<()> {
    let text = readiness_at(address).await?;
    ensure!(text.contains("standing by") && !text.contains("nobody leads"), "{text}");
    Ok(())
}
