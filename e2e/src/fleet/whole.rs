//! Whether a fleet is whole: before something else of it is hurt.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Fleet, Machine, port};
use crate::wait;

const ANSWER_WITHIN: Duration = Duration::from_secs(2);

impl Fleet {
    /// Waits until nothing of it is away: what has come back is a member again, and may be relied on when another goes.
    pub async fn whole(&self, within: Duration) -> anyhow::Result<()> {
        for machine in &self.machines {
            let name = &machine.name;
            wait::until(name, within, async || machine.is_whole().await).await?;
        }
        let ensembles = async || self.ensembles_are_whole().await;
        wait::until("ZooKeeper and Kafka", within, ensembles).await?;
        self.ready(within).await
    }
}

impl Machine {
    /// Every part that it has runs, and each service is ready.
    async fn is_whole(&self) -> anyhow::Result<()> {
        let format = "{{.Label \"avishkar.part\"}} {{.State}}";
        let listed = ["docker", "ps", "-a", "--filter", "label=avishkar.part", "--format", format];
        let parts = self.exec(&listed).await?;
        ensure!(!parts.trim().is_empty(), "{} has no part", self.name);
        for line in parts.lines() {
            let (part, state) = line.split_once(' ').with_context(|| line.to_owned())?;
            ensure!(state == "running", "{part} on {} is {state}", self.name);
            if let Ok(port) = port(part) {
                let said = self.readiness(port).await;
                said.with_context(|| format!("{part} on {} is not ready", self.name))?;
            }
        }
        Ok(())
    }

    /// What answers at a port of it when it is told this.
    pub(super) async fn says(&self, port: u16, word: &[u8]) -> anyhow::Result<String> {
        let asking = async {
            let mut stream = TcpStream::connect((self.address.as_str(), port)).await?;
            stream.write_all(word).await?;
            let mut said = String::new();
            stream.read_to_string(&mut said).await?;
            anyhow::Ok(said)
        };
        timeout(ANSWER_WITHIN, asking).await?
    }
}
