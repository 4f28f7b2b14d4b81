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
        self.ready(within).await
    }
}

impl Machine {
    /// Every part that it has runs and does what it is for.
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
            } else if part == "zookeeper" {
                let said = self.says(2181, b"srvr").await?;
                let is_member = said.contains("Mode: leader") || said.contains("Mode: follower");
                ensure!(is_member, "{part} on {} says {said:?}", self.name);
            } else if part == "kafka" {
                TcpStream::connect((self.address.as_str(), 9092)).await?;
            }
        }
        Ok(())
    }

    /// What answers at a port of it when it is told this.
    async fn says(&self, port: u16, word: &[u8]) -> anyhow::Result<String> {
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
