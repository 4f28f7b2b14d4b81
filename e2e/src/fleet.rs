//! The fleet as `make fleet` makes it: its machines, what runs on them, and how to hurt them.

mod described;
mod ensembles;
mod whole;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde_json::Value;

use crate::bus::Injector;
use crate::docker::docker;
use crate::platform::User;
use crate::sources::{Place, Sources};
use crate::wait;

pub use self::described::{described_as, description};

/// The services of a started platform with the ports of their plain listeners, which only their machine reaches.
pub const SERVICES: [(&str, u16); 7] = [
    ("app-manager", 8010),
    ("deployment-manager", 8030),
    ("node-manager", 8040),
    ("load-balancer", 8050),
    ("monitoring", 8070),
    ("lifecycle-manager", 8080),
    ("platform-initializer", 9050),
];

/// The container of a machine's agent.
const AGENT: &str = "avishkar-agent";
/// How long a replica may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// Machines in containers of this computer's engine.
#[derive(Debug)]
pub struct Fleet {
    /// Sorted by name.
    pub machines: Vec<Machine>,
}

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    pub name: String,
    /// The container that it is.
    container: String,
    pub address: String,
}

impl Fleet {
    /// The machines that there are, running or not.
    pub async fn find() -> anyhow::Result<Self> {
        let label = "label=avishkar.platform=machine";
        let ids = docker(&["ps", "-a", "-q", "--filter", label]).await?;
        let mut machines = Vec::new();
        for id in ids.lines() {
            let format = "{{index .Config.Labels \"avishkar.machine.name\"}} {{index .Config.Labels \"avishkar.machine.address\"}}";
            let said = docker(&["inspect", "-f", format, id]).await?;
            let (name, address) = said.trim().split_once(' ').context("a machine has labels")?;
            let (name, address) = (name.to_owned(), address.to_owned());
            machines.push(Machine { name, container: id.to_owned(), address });
        }
        machines.sort_by(|one, other| one.name.cmp(&other.name));
        ensure!(!machines.is_empty(), "there is no fleet: make fleet");
        Ok(Fleet { machines })
    }

    pub fn machine(&self, name: &str) -> anyhow::Result<&Machine> {
        let found = self.machines.iter().find(|machine| machine.name == name);
        found.with_context(|| format!("the fleet has no machine {name}"))
    }

    /// The first machine that has a part.
    pub async fn machine_with(&self, part: &str) -> anyhow::Result<&Machine> {
        for machine in &self.machines {
            if machine.part(part).await.is_ok_and(|found| found.is_some()) {
                return Ok(machine);
            }
        }
        anyhow::bail!("no machine has a part {part}")
    }

    /// The machine that has the address which moves between two edges.
    pub async fn machine_at(&self, address: &str) -> anyhow::Result<&Machine> {
        for machine in &self.machines {
            if machine.has_address(address).await.unwrap_or(false) {
                return Ok(machine);
            }
        }
        anyhow::bail!("no machine has the address {address}")
    }

    /// All machines that have a part.
    pub async fn machines_with(&self, part: &str) -> anyhow::Result<Vec<Machine>> {
        let mut found = Vec::new();
        for machine in &self.machines {
            if machine.part(part).await?.is_some() {
                found.push(machine.clone());
            }
        }
        Ok(found)
    }

    /// The admin that `make fleet` made, at an app manager that answers.
    pub async fn admin(&self, within: Duration) -> anyhow::Result<User> {
        let password = described::password()?;
        wait::until("an app manager answers", within, async || {
            let mut why = anyhow::anyhow!("there is no machine");
            for machine in &self.machines {
                let server = format!("http://{}:8010", machine.address);
                match User::admin_of(&server, &password).await {
                    Ok(user) => return Ok(user),
                    Err(err) => why = err,
                }
            }
            Err(why)
        })
        .await
    }

    /// The machine on which the leader of a service is.
    pub async fn leader(&self, service: &str) -> anyhow::Result<&Machine> {
        let port = port(service)?;
        // All at once: one that is dead keeps whoever asks it waiting.
        let mut asked: FuturesUnordered<_> = self
            .machines
            .iter()
            .map(async |machine| (machine, machine.leads(port).await.unwrap_or(false)))
            .collect();
        while let Some((machine, leads)) = asked.next().await {
            if leads {
                return Ok(machine);
            }
        }
        anyhow::bail!("nobody leads {service}")
    }

    /// A client of the fleet's Kafka.
    pub async fn bus(&self) -> anyhow::Result<Injector> {
        Injector::connect_to(&self.all_of("kafka", 9092).await?)
    }

    /// Where all of it is read.
    pub async fn sources(&self) -> anyhow::Result<Sources> {
        Ok(Sources {
            zookeeper: self.all_of("zookeeper", 2181).await?,
            kafka: self.all_of("kafka", 9092).await?,
            nodes: self.machines.iter().map(Machine::place).collect(),
            edges: self.places_of("edge").await?,
            app_managers: self.places_of("app-manager").await?,
        })
    }

    /// Every part with this name.
    async fn places_of(&self, name: &str) -> anyhow::Result<Vec<Place>> {
        let mut places = Vec::new();
        for machine in &self.machines {
            places.extend(machine.part(name).await?.map(|part| machine.place().within(&part)));
        }
        Ok(places)
    }

    /// `ip:port` of every part with this name, separated by commas.
    async fn all_of(&self, name: &str, port: u16) -> anyhow::Result<String> {
        let machines = self.machines_with(name).await?;
        let addresses: Vec<String> =
            machines.iter().map(|machine| format!("{}:{port}", machine.address)).collect();
        Ok(addresses.join(","))
    }

    /// When each part of the platform was started last, by machine.
    pub async fn starts(&self) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
        let mut starts = BTreeMap::new();
        for machine in &self.machines {
            starts.insert(machine.name.clone(), machine.starts("avishkar.part").await?);
        }
        Ok(starts)
    }

    /// The same for the instances of one service.
    pub async fn starts_of(&self, service: &str) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
        let mut starts = BTreeMap::new();
        for machine in &self.machines {
            let found = machine.starts(&format!("avishkar.part={service}")).await?;
            if !found.is_empty() {
                starts.insert(machine.name.clone(), found);
            }
        }
        Ok(starts)
    }

    /// No restart that somebody asked for is under way.
    pub async fn is_calm(&self) -> anyhow::Result<()> {
        let restarts = self.restarts().await?;
        let moving = restarts.iter().find(|restart| is_underway(restart));
        ensure!(moving.is_none(), "{restarts:?}");
        Ok(())
    }

    /// The restart of this target is under way.
    pub async fn restarts_now(&self, target: &str) -> anyhow::Result<()> {
        let restarts = self.restarts().await?;
        let found = restarts.iter().find(|restart| restart["target"] == target);
        ensure!(found.is_some_and(is_underway), "{restarts:?}");
        Ok(())
    }

    async fn restarts(&self) -> anyhow::Result<Vec<Value>> {
        let leader = self.leader("lifecycle-manager").await?;
        let url = format!("http://127.0.0.1:{}/api/v1/restarts", port("lifecycle-manager")?);
        let said = leader.exec(&["curl", "-s", "-f", "-m", "2", &url]).await?;
        serde_json::from_str(&said).with_context(|| said.clone())
    }

    /// Waits until every service has a leader that is ready.
    pub async fn ready(&self, within: Duration) -> anyhow::Result<()> {
        for (service, _) in SERVICES {
            wait::until(service, within, async || self.leader(service).await.map(drop)).await?;
        }
        Ok(())
    }
}

impl Machine {
    fn place(&self) -> Place {
        Place::container(&self.name, &self.address, &self.container)
    }

    /// As if its plug were pulled.
    pub async fn power_off(&self) -> anyhow::Result<()> {
        docker(&["kill", "-s", "KILL", &self.container]).await.map(drop)
    }

    /// It is gone, with its disk.
    pub async fn delete(&self) -> anyhow::Result<()> {
        docker(&["rm", "--force", "--volumes", &self.container]).await.map(drop)
    }

    pub async fn power_on(&self) -> anyhow::Result<()> {
        docker(&["start", &self.container]).await.map(drop)
    }

    /// Runs a command on it, by an argument vector.
    pub async fn exec(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut all = vec!["exec", self.container.as_str()];
        all.extend(arguments);
        docker(&all).await
    }

    /// The container of a part of the platform on it, if it is there.
    pub async fn part(&self, name: &str) -> anyhow::Result<Option<String>> {
        let label = format!("label=avishkar.part={name}");
        let found = self.exec(&["docker", "ps", "-a", "-q", "--filter", &label]).await?;
        Ok(found.lines().next().map(str::to_owned))
    }

    /// How many replicas of an instance run on it and answer.
    pub async fn serving(&self, instance: &str) -> anyhow::Result<usize> {
        let label = format!("label=avishkar.instance={instance}");
        let format = "{{.Label \"avishkar.host-port\"}}";
        let ports = self.exec(&["docker", "ps", "--filter", &label, "--format", format]).await?;
        let mut serving = 0;
        for port in ports.lines() {
            let url = format!("http://{}:{port}/", self.address);
            let request = reqwest::Client::new().get(&url).timeout(ANSWER_WITHIN);
            let answered = request.send().await;
            serving += usize::from(answered.is_ok_and(|answer| answer.status().is_success()));
        }
        Ok(serving)
    }

    /// The part is there, and its process runs.
    pub async fn runs(&self, name: &str) -> anyhow::Result<()> {
        let label = format!("label=avishkar.part={name}");
        let found = self.exec(&["docker", "ps", "-q", "--filter", &label]).await?;
        ensure!(!found.trim().is_empty(), "{name} does not run on {}", self.name);
        Ok(())
    }

    /// Whether an address is one of its own now.
    pub async fn has_address(&self, address: &str) -> anyhow::Result<bool> {
        let listed = self.exec(&["ip", "-4", "-o", "address", "show"]).await?;
        let mut words = listed.split_whitespace();
        Ok(words.any(|word| word.split('/').next() == Some(address)))
    }

    /// What a part of it shows at a path of its plain listener.
    pub async fn shown(&self, service: &str, path: &str) -> anyhow::Result<String> {
        let url = format!("http://127.0.0.1:{}{path}", port(service)?);
        self.exec(&["curl", "-s", "-f", "-m", "2", &url]).await
    }

    /// When a part was started last.
    pub async fn started(&self, name: &str) -> anyhow::Result<String> {
        let part = self.part(name).await?;
        let part = part.with_context(|| format!("there is no {name} on {}", self.name))?;
        self.exec(&["docker", "inspect", "-f", "{{.Name}} {{.Id}} {{.State.StartedAt}}", &part])
            .await
    }

    /// The same for every running part with this label; sorted.
    async fn starts(&self, label: &str) -> anyhow::Result<Vec<String>> {
        let filter = format!("label={label}");
        let running = self.exec(&["docker", "ps", "-q", "--filter", &filter]).await?;
        let mut inspect = vec!["docker", "inspect", "-f", "{{.Name}} {{.Id}} {{.State.StartedAt}}"];
        if running.trim().is_empty() {
            return Ok(Vec::new());
        }
        inspect.extend(running.lines());
        let mut starts: Vec<String> =
            self.exec(&inspect).await?.lines().map(str::to_owned).collect();
        starts.sort();
        Ok(starts)
    }

    /// What a part was told by its environment, each as `NAME=value`.
    pub async fn told(&self, name: &str) -> anyhow::Result<Vec<String>> {
        let part = self.part(name).await?;
        let part = part.with_context(|| format!("there is no {name} on {}", self.name))?;
        let format = "{{range .Config.Env}}{{println .}}{{end}}";
        let said = self.exec(&["docker", "inspect", "-f", format, &part]).await?;
        Ok(said.lines().map(str::to_owned).collect())
    }

    /// What a file says that is mounted into a part.
    pub async fn file_of(&self, name: &str, path: &str) -> anyhow::Result<String> {
        let part = self.part(name).await?;
        let part = part.with_context(|| format!("there is no {name} on {}", self.name))?;
        let format = format!(
            "{{{{range .Mounts}}}}{{{{if eq .Destination \"{path}\"}}}}{{{{.Source}}}}{{{{end}}}}{{{{end}}}}"
        );
        let source = self.exec(&["docker", "inspect", "-f", &format, &part]).await?;
        let source = source.trim();
        ensure!(!source.is_empty(), "{name} on {} has no {path}", self.name);
        self.exec(&["cat", source]).await
    }

    /// Does this to a part, with its own engine: `kill`, `pause`, `unpause`.
    pub async fn hurt(&self, verb: &str, name: &str) -> anyhow::Result<()> {
        let part = self.part(name).await?;
        let part = part.with_context(|| format!("there is no {name} on {}", self.name))?;
        self.exec(&["docker", verb, &part]).await.map(drop)
    }

    /// Ends its agent, which then cannot start anything again, and all parts of the platform but these. Apps run on.
    pub async fn end_all_but(&self, kept: &[&str]) -> anyhow::Result<()> {
        self.exec(&["docker", "stop", "--time", "1", AGENT]).await?;
        let format = "{{.ID}} {{.Label \"avishkar.part\"}}";
        let listed = ["docker", "ps", "--filter", "label=avishkar.part", "--format", format];
        let parts = self.exec(&listed).await?;
        let parts = parts.lines().filter_map(|line| line.split_once(' '));
        let ended: Vec<&str> =
            parts.filter(|(_, part)| !kept.contains(part)).map(|(id, _)| id).collect();
        if !ended.is_empty() {
            self.exec(&[&["docker", "kill"], &ended[..]].concat()).await?;
        }
        Ok(())
    }

    /// Starts its agent, which starts what else was there.
    pub async fn begin_again(&self) -> anyhow::Result<()> {
        self.exec(&["docker", "start", AGENT]).await.map(drop)
    }

    /// Its instance of a service says that another one leads.
    pub async fn stands_by(&self, service: &str) -> anyhow::Result<()> {
        let said = self.readiness(port(service)?).await?;
        ensure!(said.contains("standing by"), "{service} on {} says {said}", self.name);
        Ok(())
    }

    async fn leads(&self, port: u16) -> anyhow::Result<bool> {
        Ok(!self.readiness(port).await?.contains("standing by"))
    }

    async fn readiness(&self, port: u16) -> anyhow::Result<String> {
        let url = format!("http://127.0.0.1:{port}/readyz?verbose");
        self.exec(&["curl", "-s", "-f", "-m", "2", &url]).await
    }
}

fn is_underway(restart: &Value) -> bool {
    restart["stage"] == "underway"
}

/// The port of a service's plain listener.
fn port(service: &str) -> anyhow::Result<u16> {
    let found = SERVICES.iter().find(|(name, _)| *name == service);
    found.map(|(_, port)| *port).with_context(|| format!("there is no service {service}"))
}
