//! The end of processes as the kernel brings it about: an engine that is told to kill a container does not start it again.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::cluster;
use e2e::docker::{container_of, docker};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::timeout;

use crate::pipe;
use crate::servers::PREFIX;

const WITHIN: Duration = Duration::from_secs(10);
/// Says that it is there, then reads the numbers of processes, and says how each signal went.
const LOOP: &str =
    "printf 0; while read -r process; do kill -s KILL \"$process\"; printf %s \"$?\"; done";

/// Waits beside the processes before anything is measured.
#[derive(Debug)]
pub(crate) struct Killer {
    child: Child,
    orders: ChildStdin,
    done: ChildStdout,
}

impl Killer {
    /// For the processes of a node.
    pub(crate) async fn on(node: &str) -> anyhow::Result<Self> {
        let id = container_of(node).await?;
        Killer::through(&["exec", "-i", &id, "sh", "-c", LOOP]).await
    }

    /// For the processes of this machine, whoever runs this.
    pub(crate) async fn on_this_machine() -> anyhow::Result<Self> {
        let edge = container_of("edge").await?;
        let image = docker(&["inspect", "-f", "{{.Image}}", &edge]).await?;
        let name = format!("{PREFIX}killer");
        #[rustfmt::skip]
        let arguments = [
            "run", "-i", "--rm", "--name", &name, "--pid", "host", "--network", "none", "--read-only", "--user", "0",
            "--cap-drop", "ALL", "--cap-add", "KILL", "--entrypoint", "sh", image.trim(), "-c", LOOP,
        ];
        Killer::through(&arguments).await
    }

    async fn through(arguments: &[&str]) -> anyhow::Result<Self> {
        let (child, orders, done) = pipe::open(arguments)?;
        let mut killer = Killer { child, orders, done };
        ensure!(killer.went_well().await?, "nobody can kill anything through docker {arguments:?}");
        Ok(killer)
    }

    /// Returns once the process has been killed.
    pub(crate) async fn kill(&mut self, process: u32) -> anyhow::Result<()> {
        self.orders.write_all(format!("{process}\n").as_bytes()).await?;
        self.orders.flush().await?;
        ensure!(self.went_well().await?, "process {process} cannot be killed");
        Ok(())
    }

    async fn went_well(&mut self) -> anyhow::Result<bool> {
        let said = timeout(WITHIN, self.done.read_u8()).await;
        Ok(said.context("the one who kills does not answer")?? == b'0')
    }

    pub(crate) async fn close(mut self) -> anyhow::Result<()> {
        drop(self.orders);
        timeout(WITHIN, self.child.wait()).await??;
        Ok(())
    }
}

/// The first process of a container of a node, as that node counts.
pub(crate) async fn first_process_on(node: &str, container: &str) -> anyhow::Result<u32> {
    let asked = ["docker", "inspect", "-f", "{{.State.Pid}}", container];
    Ok(cluster::exec(node, &asked).await?.trim().parse()?)
}

/// The first process of a container of this machine.
pub(crate) async fn first_process_of(container: &str) -> anyhow::Result<u32> {
    Ok(docker(&["inspect", "-f", "{{.State.Pid}}", container]).await?.trim().parse()?)
}
