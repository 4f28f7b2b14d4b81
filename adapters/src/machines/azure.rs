//! Machines of Azure, made through its interface of resources.
//!
//! Owns one network and, of each machine, the virtual machine, its disk, its interface, its address and its rules of
//! what is let in; all carry the platform's tag. What does not carry it is never changed, removed or listed. A
//! machine's host key is not known from outside: somebody must compare it.

mod arm;
mod body;
#[cfg(test)]
mod examples;
mod failure;
mod found;
mod making;
mod prefix;
mod principal;
mod removing;
mod resource;
mod settings;
mod tokens;

use std::time::Duration;

use async_trait::async_trait;
use common::name::NodeName;
use common::port::Machines;
use common::port::machines::{Ability, Error, Machine, MachineSpec, Power, Shape};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Client;
use tokio::time::{sleep, timeout};

use self::arm::Arm;
use self::failure::Fault;
use self::found::{Found, Making};
pub use self::prefix::{NotAPrefix, Prefix};
pub use self::principal::{NoPrincipal, ServicePrincipal};
pub use self::settings::{AzureSettings, Endpoints, InvalidSettings, Network, SignIn};
use self::tokens::Tokens;

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Azure itself gives up a request after a minute.
const ANSWER_WITHIN: Duration = Duration::from_secs(75);
/// Looking changes nothing.
const LOOK: Duration = Duration::from_mins(2);
const CREATE: Duration = Duration::from_mins(20);
const SWITCH: Duration = Duration::from_mins(15);
const DELETE: Duration = Duration::from_mins(20);
/// So many machines are looked at together.
const TOGETHER: usize = 8;

/// Why the backend cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum NotConnected {
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    #[error("the service principal for Azure cannot be used")]
    Principal(#[source] azure_core::Error),
    #[error("no request can be sent to Azure")]
    Client(#[source] reqwest::Error),
}

/// Machines of Azure.
#[derive(Debug)]
pub struct AzureMachines {
    settings: AzureSettings,
    arm: Arm,
    /// What all machines share is made once.
    sharing: tokio::sync::Mutex<()>,
}

impl AzureMachines {
    /// Asks nobody yet: what Azure has to say of the credentials is told by the first call.
    pub fn connect(
        settings: AzureSettings,
        principal: ServicePrincipal,
    ) -> Result<Self, NotConnected> {
        settings.check()?;
        let http = Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(NotConnected::Client)?;
        let tokens = Tokens::new(principal, &settings.endpoints, http.clone());
        let tokens = tokens.map_err(NotConnected::Principal)?;
        let arm = Arm { http, base: settings.endpoints.arm.clone(), tokens, pace: settings.pace };
        Ok(AzureMachines { settings, arm, sharing: tokio::sync::Mutex::default() })
    }

    async fn find(&self, name: &NodeName) -> Result<Option<Found>, Error> {
        found::find(&self.arm, &self.settings, name).await.map_err(|fault| fault.of(name))
    }

    /// The machine of ours of this name, which must be there.
    async fn known(&self, name: &NodeName) -> Result<Found, Error> {
        let found = self.find(name).await?.filter(|found| found.is_ours);
        found.ok_or_else(|| Error::NotFound(name.clone()))
    }

    /// Waits until nobody else changes a machine.
    async fn quiet(&self, name: &NodeName) -> Result<Found, Error> {
        loop {
            let found = self.known(name).await?;
            if found.making != Making::UnderWay && found.machine.power != Power::Changing {
                return Ok(found);
            }
            sleep(self.settings.pace).await;
        }
    }

    /// Starts a machine that stands still, and waits until it runs.
    async fn running(&self, name: &NodeName) -> Result<Machine, Error> {
        let found = self.quiet(name).await?;
        if found.machine.power == Power::Running {
            return Ok(found.machine);
        }
        let computer = resource::Parts::of(name, &self.settings).computer;
        self.arm.switch(&computer, "start").await.map_err(|fault| fault.of(name))?;
        self.seen_running(name).await
    }

    async fn seen_running(&self, name: &NodeName) -> Result<Machine, Error> {
        loop {
            let found = self.known(name).await?;
            if found.machine.power == Power::Running && found.making != Making::UnderWay {
                return Ok(found.machine);
            }
            sleep(self.settings.pace).await;
        }
    }
}

/// An end to a call, whatever Azure does.
async fn within<T>(
    name: &NodeName,
    what: Ability,
    limit: Duration,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let late = || Error::DeadlineExceeded { name: name.clone(), what, after: limit };
    timeout(limit, call).await.unwrap_or_else(|_| Err(late()))
}

/// What changes nothing has no outcome that could be unknown.
async fn looked<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = || Error::Unavailable(format!("no answer within {LOOK:?}").into());
    timeout(LOOK, call).await.unwrap_or_else(|_| Err(late()))
}

#[async_trait]
impl Machines for AzureMachines {
    fn lacks(&self, _: Ability) -> Option<&'static str> {
        None
    }

    async fn look(&self, name: &NodeName) -> Result<Option<Machine>, Error> {
        let found = looked(self.find(name)).await?.filter(|found| found.is_ours);
        Ok(found.map(|found| found.machine))
    }

    async fn list(&self) -> Result<Vec<Machine>, Error> {
        let listing = async {
            let computers = self.arm.list(&self.settings.computers()).await;
            let computers = computers.map_err(Fault::of_all)?;
            let ours = computers.iter().filter(|found| body::is_ours(found, &self.settings));
            let names: Vec<NodeName> = ours.filter_map(body::made_for).collect();
            let looks = stream::iter(names).map(|name| async move { self.find(&name).await });
            let found: Vec<Option<Found>> = looks.buffer_unordered(TOGETHER).try_collect().await?;
            let ours = found.into_iter().flatten().filter(|found| found.is_ours);
            let mut machines: Vec<Machine> = ours.map(|found| found.machine).collect();
            machines.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(machines)
        };
        looked(listing).await
    }

    async fn create(&self, spec: &MachineSpec) -> Result<Machine, Error> {
        let Shape::Azure(shape) = &spec.shape else {
            let kind = spec.shape.kind();
            return Err(Error::Refused(format!("a machine that is {kind} is not made in Azure")));
        };
        body::check(shape).map_err(Error::Refused)?;
        within(&spec.name, Ability::Create, CREATE, self.ensure(spec, shape)).await
    }

    async fn start(&self, name: &NodeName) -> Result<Machine, Error> {
        within(name, Ability::Start, SWITCH, self.running(name)).await
    }

    /// It is paid for no more, and keeps its addresses.
    async fn stop(&self, name: &NodeName) -> Result<(), Error> {
        let stopping = async {
            self.quiet(name).await?;
            let computer = resource::Parts::of(name, &self.settings).computer;
            self.arm.switch(&computer, "deallocate").await.map_err(|fault| fault.of(name))?;
            while self.known(name).await?.machine.power != Power::Stopped {
                sleep(self.settings.pace).await;
            }
            Ok(())
        };
        within(name, Ability::Stop, SWITCH, stopping).await
    }

    async fn restart(&self, name: &NodeName) -> Result<Machine, Error> {
        let restarting = async {
            if self.quiet(name).await?.machine.power == Power::Stopped {
                return self.running(name).await;
            }
            let computer = resource::Parts::of(name, &self.settings).computer;
            self.arm.restart(&computer).await.map_err(|fault| fault.of(name))?;
            self.seen_running(name).await
        };
        within(name, Ability::Restart, SWITCH, restarting).await
    }

    async fn delete(&self, name: &NodeName) -> Result<(), Error> {
        within(name, Ability::Delete, DELETE, self.remove(name)).await
    }
}
