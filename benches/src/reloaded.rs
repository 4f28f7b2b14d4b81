//! A plain NGINX whose upstream changes by reloads, with as many apps beside the one that is measured as are wanted.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::engine::Engine;
use crate::servers::{PREFIX, Program, Server};
use crate::stage::Stage;

const NAME: &str = "reloaded";
/// Where it is asked.
pub(crate) const AT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 18082);
/// Of the apps beside: one port each from here on.
const OTHERS_FROM: u16 = 18100;

/// It runs; its container goes with the stage.
pub(crate) struct Reloaded {
    file: PathBuf,
    workers: String,
    others: String,
    container: String,
    engine: Engine,
}

impl Reloaded {
    /// With `apps` apps, of which the first is at `at`.
    pub(crate) async fn start(stage: &Stage, apps: u16) -> anyhow::Result<Self> {
        let workers = Program::Nginx.workers().await?;
        let mut others = String::new();
        for number in 1..apps {
            let (port, replica) = (OTHERS_FROM + number, stage.backend);
            writeln!(
                others,
                "upstream app{number} {{ server {replica}; keepalive 4; }}\n\
                 server {{ listen {}:{port}; location / {{ proxy_pass http://app{number}; }} }}",
                AT.ip()
            )?;
        }
        let reloaded = Reloaded {
            file: stage.folder.path().join(format!("{NAME}.conf")),
            workers,
            others,
            container: format!("{PREFIX}{NAME}"),
            engine: Engine::of_this_machine().await?,
        };
        let conf = reloaded.conf(stage.backend);
        let program = Program::Nginx;
        let server = Server { program, name: NAME, network: "host", conf: &conf, listen: AT };
        server.start(stage.folder.path()).await?;
        Ok(reloaded)
    }

    /// What one change costs besides itself.
    pub(crate) fn round_trip(&self) -> Duration {
        self.engine.round_trip()
    }

    /// Another upstream, and the signal to reload. The container's init hands it on to NGINX.
    pub(crate) async fn change(&mut self, replica: SocketAddr) -> anyhow::Result<()> {
        // Written in place: the container has this very file.
        fs::write(&self.file, self.conf(replica))?;
        self.engine.signal(&self.container, "HUP").await
    }

    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        self.engine.remove(&self.container).await?;
        self.engine.close().await
    }

    fn conf(&self, replica: SocketAddr) -> String {
        let conf = include_str!("../conf/tuned.conf")
            .replace("@WORKERS@", &self.workers)
            .replace("@BACKEND@", &replica.to_string())
            .replace("@LISTEN@", &AT.to_string());
        // Inside of its `http` block.
        let end = conf.rfind('}').unwrap_or(conf.len());
        format!("{}{}}}\n", conf.get(..end).unwrap_or_default(), self.others)
    }
}
