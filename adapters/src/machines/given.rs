//! Machines that exist, reached over SSH: they are looked at and restarted, never made or removed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::name::NodeName;
use common::port::host::{self, Access, Command, End, FilePath, Privilege};
use common::port::machines::{Ability, Error, Machine, MachineSpec, Power};
use common::port::{Host, Hosts, Machines};
use tokio::time::{Instant, sleep, timeout};

const MADE_ELSEWHERE: &str = "it was given, and the platform has no way to make or remove it";
const NO_WAY_BACK: &str = "the platform could not start it again";
const NO_SWITCH: &str = "a machine that is off hears nobody";
/// How long a machine may take to come back.
const BOOT: Duration = Duration::from_mins(5);
/// How long it may take to say that it goes.
const FAREWELL: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const SMALL: usize = 4096;

/// A machine and the way into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenMachine {
    pub name: NodeName,
    pub access: Access,
}

/// Machines that somebody else made.
#[derive(Debug)]
pub struct GivenMachines {
    hosts: Arc<dyn Hosts>,
    machines: Vec<GivenMachine>,
    boot: Duration,
}

impl GivenMachines {
    pub fn new(hosts: Arc<dyn Hosts>, mut machines: Vec<GivenMachine>) -> Self {
        machines.sort_by(|one, other| one.name.cmp(&other.name));
        GivenMachines { hosts, machines, boot: BOOT }
    }

    fn find(&self, name: &NodeName) -> Option<&GivenMachine> {
        self.machines.iter().find(|machine| machine.name == *name)
    }

    fn known(&self, name: &NodeName) -> Result<&GivenMachine, Error> {
        self.find(name).ok_or_else(|| Error::NotFound(name.clone()))
    }

    /// What does not answer may be off, or out of reach; what answers and refuses is told.
    async fn seen(&self, given: &GivenMachine) -> Result<Machine, Error> {
        let power = match self.hosts.connect(&given.access).await {
            Ok(_) => Power::Running,
            Err(host::Error::Unreachable { .. } | host::Error::ConnectTimeout { .. }) => {
                Power::Unknown
            }
            Err(source) => return Err(unusable(given, source)),
        };
        Ok(given.as_seen(power))
    }

    fn cannot<T>(&self, name: &NodeName, what: Ability) -> Result<T, Error> {
        let why = self.lacks(what).unwrap_or_default();
        Err(Error::Cannot { name: name.clone(), what, why })
    }

    /// Waits until another boot than `before` answers.
    async fn booted_anew(&self, given: &GivenMachine, before: &str) {
        loop {
            if let Ok(host) = self.hosts.connect(&given.access).await
                && let Ok(now) = boot_of(host.as_ref()).await
                && now != before
            {
                return;
            }
            sleep(LOOK_AGAIN).await;
        }
    }
}

impl GivenMachine {
    fn as_seen(&self, power: Power) -> Machine {
        Machine {
            name: self.name.clone(),
            id: None,
            power,
            address: self.access.at.address.parse().ok(),
            entry: self.access.at.clone(),
            user: self.access.user.clone(),
            host_key: Some(self.access.host_key.clone()),
        }
    }
}

fn unusable(given: &GivenMachine, source: host::Error) -> Error {
    Error::Machine { name: given.name.clone(), source }
}

/// Tells one boot of a machine from the next: the kernel's, and when its first process began, for a machine that
/// shares its kernel.
async fn boot_of(host: &dyn Host) -> Result<String, host::Error> {
    let mut boot = String::new();
    for path in ["/proc/sys/kernel/random/boot_id", "/proc/1/stat"] {
        let path: FilePath = path.parse().expect("it is an absolute path");
        let read = host.read(&path, Privilege::User, SMALL).await?.unwrap_or_default();
        let text = String::from_utf8_lossy(&read).into_owned();
        // Of the process only the field that never changes while it lives.
        let (_, fields) = text.rsplit_once(')').unwrap_or(("", &text));
        let began = fields.split_whitespace().nth(19);
        boot.push_str(began.unwrap_or_else(|| text.trim()));
        boot.push(' ');
    }
    Ok(boot)
}

#[async_trait]
impl Machines for GivenMachines {
    fn lacks(&self, what: Ability) -> Option<&'static str> {
        match what {
            Ability::Create | Ability::Delete => Some(MADE_ELSEWHERE),
            Ability::Stop => Some(NO_WAY_BACK),
            Ability::Start => Some(NO_SWITCH),
            Ability::Restart => None,
        }
    }

    async fn look(&self, name: &NodeName) -> Result<Option<Machine>, Error> {
        match self.find(name) {
            Some(given) => self.seen(given).await.map(Some),
            None => Ok(None),
        }
    }

    /// What they are, not how they are: no machine is asked.
    async fn list(&self) -> Result<Vec<Machine>, Error> {
        Ok(self.machines.iter().map(|given| given.as_seen(Power::Unknown)).collect())
    }

    /// A given machine exists; whether it runs, it says itself.
    async fn create(&self, spec: &MachineSpec) -> Result<Machine, Error> {
        match self.find(&spec.name) {
            Some(given) => self.seen(given).await,
            None => self.cannot(&spec.name, Ability::Create),
        }
    }

    /// Nothing is left to do for one that runs.
    async fn start(&self, name: &NodeName) -> Result<Machine, Error> {
        let machine = self.seen(self.known(name)?).await?;
        match machine.power {
            Power::Running => Ok(machine),
            Power::Stopped | Power::Changing | Power::Unknown => self.cannot(name, Ability::Start),
        }
    }

    async fn stop(&self, name: &NodeName) -> Result<(), Error> {
        self.known(name)?;
        self.cannot(name, Ability::Stop)
    }

    async fn restart(&self, name: &NodeName) -> Result<Machine, Error> {
        let given = self.known(name)?;
        let began = Instant::now();
        let failed = |source| unusable(given, source);
        let host = self.hosts.connect(&given.access).await.map_err(failed)?;
        let before = boot_of(host.as_ref()).await.map_err(failed)?;
        let reboot = Command::new("reboot").by_root().within(FAREWELL);
        match host.run(&reboot).await {
            Ok(said) if said.succeeded() => {}
            // It may end the connection, or the command itself, before it has answered.
            Ok(said) if matches!(said.end, End::Signalled(_)) => {}
            Ok(said) => {
                return Err(Error::Refused(format!(
                    "{name} does not restart: {}",
                    said.complaint()
                )));
            }
            Err(err) if err.is_outcome_unknown() => {}
            Err(err) => return Err(failed(err)),
        }
        let left = self.boot.saturating_sub(began.elapsed());
        match timeout(left, self.booted_anew(given, &before)).await {
            Ok(()) => Ok(given.as_seen(Power::Running)),
            Err(_) => {
                let (name, what) = (name.clone(), Ability::Restart);
                Err(Error::DeadlineExceeded { name, what, after: self.boot })
            }
        }
    }

    async fn delete(&self, name: &NodeName) -> Result<(), Error> {
        match self.find(name) {
            Some(_) => self.cannot(name, Ability::Delete),
            None => Ok(()),
        }
    }
}
