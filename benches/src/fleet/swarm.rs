//! Docker Swarm as it comes, on three machines in containers: what the fleet is measured beside.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::docker::docker;
use e2e::wait;
use tokio::time::Instant;

use crate::report::progress;

const MACHINES: [&str; 3] =
    ["avishkar-bench-swarm-1", "avishkar-bench-swarm-2", "avishkar-bench-swarm-3"];
const NETWORK: &str = "avishkar-bench-swarm";
const IMAGE: &str = "avishkar/machine:dev";
const SERVICE: &str = "web";
/// The program that answers.
const ANSWER: &str = "avishkar/runtime-python:dev";
/// The same on each machine, under the name of a registry that refuses at once: a swarm always asks first, and nobody is
/// to be measured by how long a name server takes.
const THERE: &str = "127.0.0.1:5999/answer:dev";
const FIRST_PORT: u16 = 8100;
const WITHIN: Duration = Duration::from_mins(2);

/// A swarm of three machines; the first is its manager and never dies.
#[derive(Debug)]
pub(crate) struct Swarm {
    replicas: usize,
    addresses: Vec<String>,
    http: reqwest::Client,
}

impl Swarm {
    pub(crate) async fn start(replicas: usize) -> anyhow::Result<Self> {
        clear().await?;
        let addresses = machines().await?;
        join(&addresses).await?;
        let count = replicas.to_string();
        let port = format!("PORT={}{{{{.Task.Slot}}}}", FIRST_PORT / 10);
        let serve = "import http.server,os;http.server.test(http.server.SimpleHTTPRequestHandler,port=int(os.environ['PORT']))";
        inside(
            MACHINES[0],
            &[
                "docker",
                "service",
                "create",
                "--detach",
                "--no-resolve-image",
                "--name",
                SERVICE,
                "--replicas",
                &count,
                "--network",
                "host",
                "--env",
                &port,
                // Its process does not listen to being asked to end.
                "--stop-grace-period",
                "1s",
                "--entrypoint",
                "python3",
                THERE,
                "-c",
                serve,
            ],
        )
        .await?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        let swarm = Swarm { replicas, addresses, http };
        swarm.all_serve().await?;
        Ok(swarm)
    }

    /// From a machine's end to all replicas answering on the others, in seconds. What the trial before it has hurt is whole
    /// again first, and the machine has its share.
    pub(crate) async fn trial(&self) -> anyhow::Result<f64> {
        let victim = MACHINES[2];
        self.is_back(victim).await?;
        if self.homes().await?.iter().all(|(home, _)| home != victim) {
            self.spread().await?;
        }
        self.all_serve().await?;
        let homes = self.homes().await?;
        ensure!(homes.iter().any(|(home, _)| home == victim), "{victim} has none: {homes:?}");
        let began = Instant::now();
        docker(&["kill", victim]).await?;
        let served = wait::until("the swarm serves elsewhere", WITHIN, async || {
            let homes = self.homes().await?;
            ensure!(homes.iter().all(|(home, _)| home != victim), "{homes:?}");
            self.serve(&homes).await
        })
        .await;
        let took = began.elapsed().as_secs_f64();
        docker(&["start", victim]).await?;
        served.map(|()| took)
    }

    async fn is_back(&self, machine: &str) -> anyhow::Result<()> {
        wait::until("the machine is back in the swarm", WITHIN, async || {
            let look = ["docker", "node", "inspect", machine, "-f", "{{.Status.State}}"];
            let said = inside(MACHINES[0], &look).await?;
            ensure!(said.trim() == "ready", "{said}");
            Ok(())
        })
        .await
    }

    /// Has the swarm place all replicas anew: by itself it brings none to a machine that came back.
    async fn spread(&self) -> anyhow::Result<()> {
        let update = ["docker", "service", "update", "--detach", "--force", "-q", SERVICE];
        inside(MACHINES[0], &update).await?;
        wait::until("the swarm has placed its replicas anew", WITHIN, async || {
            let format = "{{if .UpdateStatus}}{{.UpdateStatus.State}}{{end}}";
            let asked = ["docker", "service", "inspect", "-f", format, SERVICE];
            let said = inside(MACHINES[0], &asked).await?;
            ensure!(said.trim() == "completed", "{said}");
            Ok(())
        })
        .await
    }

    async fn all_serve(&self) -> anyhow::Result<()> {
        wait::until("the swarm serves", WITHIN, async || {
            let homes = self.homes().await?;
            self.serve(&homes).await
        })
        .await
    }

    /// Every task that should run: its machine and its slot.
    async fn homes(&self) -> anyhow::Result<Vec<(String, String)>> {
        let said = inside(
            MACHINES[0],
            &[
                "docker",
                "service",
                "ps",
                SERVICE,
                "--filter",
                "desired-state=running",
                "--format",
                "{{.Node}} {{.Name}} {{.CurrentState}}",
            ],
        )
        .await?;
        let running = said.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let (node, name, state) = (words.next()?, words.next()?, words.next()?);
            let slot = name.rsplit_once('.')?.1;
            (state == "Running").then(|| (node.to_owned(), slot.to_owned()))
        });
        Ok(running.collect())
    }

    async fn serve(&self, homes: &[(String, String)]) -> anyhow::Result<()> {
        ensure!(homes.len() == self.replicas, "{homes:?}");
        for (home, slot) in homes {
            let number = MACHINES.iter().position(|name| name == home).context("a stranger")?;
            let url = format!("http://{}:{}{slot}/", self.addresses[number], FIRST_PORT / 10);
            let request = self.http.get(&url).timeout(Duration::from_millis(500));
            ensure!(request.send().await?.status().is_success(), "{url}");
        }
        Ok(())
    }
}

/// Three machines with engines and the image; their addresses.
async fn machines() -> anyhow::Result<Vec<String>> {
    progress("fleet: starting a swarm of three machines to compare with");
    docker(&["network", "create", NETWORK]).await?;
    for name in MACHINES {
        docker(&[
            "run",
            "-d",
            "--name",
            name,
            "--hostname",
            name,
            "--network",
            NETWORK,
            // As the fleet's machines have it.
            "--memory",
            "5g",
            "--cpus",
            "2",
            "--cap-add",
            "ALL",
            "--cap-drop",
            "SYS_RESOURCE",
            "--security-opt",
            "seccomp=unconfined",
            "--security-opt",
            "apparmor=unconfined",
            "--device-cgroup-rule",
            "a *:* rwm",
            "--tmpfs",
            "/run:exec,mode=755",
            "-e",
            "NODE_DNS=192.0.2.1",
            IMAGE,
        ])
        .await?;
    }
    for name in MACHINES {
        let engine = async || inside(name, &["docker", "version"]).await;
        wait::until("an engine of the swarm", WITHIN, engine).await?;
    }
    let archive = tempfile::NamedTempFile::new()?;
    let file = archive.path().to_str().context("a path is UTF-8")?;
    docker(&["save", "-o", file, ANSWER]).await?;
    let mut addresses = Vec::new();
    for name in MACHINES {
        docker(&["cp", file, &format!("{name}:/image.tar")]).await?;
        inside(name, &["docker", "load", "-q", "-i", "/image.tar"]).await?;
        inside(name, &["docker", "tag", ANSWER, THERE]).await?;
        let format = format!("{{{{(index .NetworkSettings.Networks \"{NETWORK}\").IPAddress}}}}");
        addresses.push(docker(&["inspect", "-f", &format, name]).await?.trim().to_owned());
    }
    Ok(addresses)
}

/// Makes the machines a swarm.
async fn join(addresses: &[String]) -> anyhow::Result<()> {
    let manager = addresses.first().context("a swarm has machines")?;
    inside(MACHINES[0], &["docker", "swarm", "init", "--advertise-addr", manager]).await?;
    let token = inside(MACHINES[0], &["docker", "swarm", "join-token", "-q", "worker"]).await?;
    for name in &MACHINES[1..] {
        let at = format!("{manager}:2377");
        inside(name, &["docker", "swarm", "join", "--token", token.trim(), &at]).await?;
    }
    Ok(())
}

/// Takes the swarm away.
pub(crate) async fn clear() -> anyhow::Result<()> {
    let mut remove = vec!["rm", "-f", "-v"];
    remove.extend(MACHINES);
    docker(&remove).await?;
    if docker(&["network", "inspect", NETWORK]).await.is_ok() {
        docker(&["network", "rm", NETWORK]).await?;
    }
    Ok(())
}

async fn inside(machine: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let mut all = vec!["exec", machine];
    all.extend(arguments);
    docker(&all).await
}
