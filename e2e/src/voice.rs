//! The voice of a leader that was replaced: orders to agents under its papers and its epoch, as they may still arrive.

use std::net::SocketAddr;
use std::time::Duration;

use adapters::AgentClient;
use anyhow::{Context as _, ensure};
use common::id::{Epoch, Generation};
use common::port::nodes::{Agent, Error, Issuer};
use common::port::part::{PartFolders, PartRemoval};
use common::port::{Nodes as _, Parts as _};
use common::service::ServiceName;
use reqwest::{Certificate, Client, Identity};

use crate::fleet::Machine;

/// Where agents listen on machines of a fleet.
const AGENT: u16 = 7443;
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct Voice {
    service: ServiceName,
    agents: AgentClient,
    http: Client,
}

impl Voice {
    /// Of a service's instance on a machine, by the papers that it has there.
    pub async fn of(machine: &Machine, service: ServiceName) -> anyhow::Result<Self> {
        let paper = async |name: &str| {
            machine.file_of(service.as_str(), &format!("/etc/avishkar/pki/{name}")).await
        };
        let (ca, own) = (paper("ca.pem").await?, paper(&format!("{service}.pem")).await?);
        let identity = format!("{own}\n{}", paper(&format!("{service}.key")).await?);
        let agents = AgentClient::new(ca.as_bytes(), identity.as_bytes())?;
        let http = Client::builder()
            .tls_certs_only([Certificate::from_pem(ca.as_bytes())?])
            .identity(Identity::from_pem(identity.as_bytes())?)
            .no_proxy()
            .timeout(ANSWER_WITHIN)
            .build()?;
        Ok(Voice { service, agents, http })
    }

    /// The epoch of the leader that a machine's agent has heard of last.
    pub async fn heard_by(&self, machine: &Machine) -> anyhow::Result<Epoch> {
        let nobody = Issuer { service: self.service, epoch: Epoch(0) };
        match self.agents.announce(&agent(machine)?, nobody).await {
            Err(Error::StaleEpoch { seen, .. }) => Ok(seen),
            other => anyhow::bail!("{} has heard of no leader: {other:?}", machine.name),
        }
    }

    /// Gives every kind of order under an epoch; an error unless each is refused, and counted. How many there were.
    pub async fn is_refused_by(&self, machine: &Machine, epoch: Epoch) -> anyhow::Result<u64> {
        let (agent, issuer) = (agent(machine)?, Issuer { service: self.service, epoch });
        let name = "monitoring".parse()?;
        let removal = PartRemoval {
            name: "monitoring".parse()?,
            generation: Generation(u64::MAX),
            data: PartFolders::Keep,
        };
        let before = self.refusals(machine).await?;
        let orders = [
            self.agents.announce(&agent, issuer).await,
            self.agents.restart_part(&agent, issuer, &name).await.map(drop),
            self.agents.remove_part(&agent, issuer, &removal).await,
            self.agents.registry_at(&agent, issuer, agent.address).await,
        ];
        let given = u64::try_from(orders.len())?;
        for order in orders {
            ensure!(matches!(order, Err(Error::StaleEpoch { .. })), "{}: {order:?}", machine.name);
        }
        let refused = self.refusals(machine).await? - before;
        ensure!(refused >= given, "{} counts {refused} of {given}", machine.name);
        Ok(refused)
    }

    /// How many orders of former leaders of the service a machine's agent has refused since its start.
    async fn refusals(&self, machine: &Machine) -> anyhow::Result<u64> {
        let url = format!("https://{}/metrics", agent(machine)?.address);
        let metrics = self.http.get(url).send().await?.error_for_status()?.text().await?;
        let name = format!("agent_stale_orders_refused_total{{service=\"{}\"}} ", self.service);
        match metrics.lines().find_map(|line| line.strip_prefix(&name)) {
            Some(count) => count.trim().parse().context("a counter is a whole number"),
            None => Ok(0),
        }
    }
}

fn agent(machine: &Machine) -> anyhow::Result<Agent> {
    let address = SocketAddr::new(machine.address.parse()?, AGENT);
    Ok(Agent { node: machine.name.parse()?, address })
}
