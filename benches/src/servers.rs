//! Proxies beside the edge: NGINX of the edge's own image, and HAProxy of Debian's package.

use std::fs::{self, Permissions};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use e2e::cluster;
use e2e::docker::{container_of, docker};

use crate::{http, kernel};

/// All containers of this program begin like this.
pub(crate) const PREFIX: &str = "avishkar-bench-";
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

const HAPROXY: &str = "avishkar/haproxy:dev";

/// Whose configuration file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Nginx,
    HaProxy,
}

/// A configuration file of `conf/`, and where its server lives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Server<'a> {
    pub(crate) program: Program,
    pub(crate) name: &'a str,
    /// As `docker run --network` takes it.
    pub(crate) network: &'a str,
    pub(crate) conf: &'a str,
    /// Where it is asked.
    pub(crate) listen: SocketAddr,
}

impl Server<'_> {
    /// Starts it and waits until it answers; returns its processes.
    pub(crate) async fn start(&self, folder: &Path) -> anyhow::Result<Vec<u32>> {
        let image = self.program.image().await?;
        let file = folder.join(format!("{}.conf", self.name));
        fs::write(&file, self.conf)?;
        // NGINX runs as a user of its own in there.
        fs::set_permissions(&file, Permissions::from_mode(0o644))?;
        let file = file.to_str().context("a temporary path is UTF-8")?;
        let mount = format!("{file}:/etc/bench.conf:ro");
        let container = format!("{PREFIX}{}", self.name);
        #[rustfmt::skip]
        let mut arguments = vec![
            "run", "-d", "--rm", "--init", "--name", &container, "--network", self.network,
            "--read-only", "--tmpfs", "/tmp:size=256m,mode=1777", "--memory", "512m", "-v", &mount,
        ];
        arguments.extend(match self.program {
            Program::Nginx => ["--entrypoint", "nginx", &image, "-e", "stderr", "-c"],
            Program::HaProxy => ["--entrypoint", "haproxy", &image, "-q", "-db", "-f"],
        });
        arguments.push("/etc/bench.conf");
        docker(&arguments).await?;
        http::first_200(self.listen, "bench", ANSWERS_WITHIN).await?;
        pids(&container).await
    }
}

/// The processes of a container, its init included.
pub(crate) async fn pids(container: &str) -> anyhow::Result<Vec<u32>> {
    Ok(kernel::processes(container).await?.into_iter().map(|(pid, _)| pid).collect())
}

impl Program {
    async fn image(self) -> anyhow::Result<String> {
        match self {
            Program::Nginx => {
                let edge = container_of("edge").await?;
                Ok(docker(&["inspect", "-f", "{{.Image}}", &edge]).await?.trim().to_owned())
            }
            Program::HaProxy => {
                let found = docker(&["image", "inspect", "-f", "{{.Id}}", HAPROXY]).await;
                found.context("there is no HAProxy: `make bench` or `docker/images.sh bench`")?;
                Ok(HAPROXY.to_owned())
            }
        }
    }

    /// What stands in its configuration for as many workers as the edge has.
    pub(crate) async fn workers(self) -> anyhow::Result<String> {
        let line = cluster::exec("edge", &["cat", "/tmp/edge/main.conf"]).await?;
        let count: u32 = line
            .trim()
            .strip_prefix("worker_processes ")
            .and_then(|rest| rest.strip_suffix(';'))
            .and_then(|count| count.parse().ok())
            .with_context(|| format!("the edge's workers are {line:?}"))?;
        Ok(match self {
            Program::Nginx => format!("worker_processes {count};"),
            Program::HaProxy => count.to_string(),
        })
    }
}

/// Where a node is on the cluster's network.
pub(crate) async fn address_of(node: &str) -> anyhow::Result<IpAddr> {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let address = docker(&["inspect", "-f", format, &container_of(node).await?]).await?;
    address.trim().parse().with_context(|| format!("{address:?} is no address"))
}

/// Removes whatever containers this program started, now or in a run before.
pub(crate) async fn remove_all() -> anyhow::Result<()> {
    let filter = format!("name=^/?{PREFIX}");
    for id in docker(&["ps", "-a", "-q", "--filter", &filter]).await?.split_whitespace() {
        docker(&["rm", "-f", id]).await?;
    }
    Ok(())
}
