//! A computer whose power goes at one moment: before a call has its effect, or after it and before its answer. Nothing
//! it does later reaches anybody.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bootstrapper::state::{Book, NotABook, State};
use bytes::Bytes;
use common::digest::ImageRef;
use common::name::{NodeName, PartName};
use common::port::host::{
    self, Access, Command, Content, FilePath, Forward, Gate, HostKey, NewFile, Output, Privilege,
    PublicKey,
};
use common::port::machines::{self, Ability, Machine, MachineSpec};
use common::port::nodes::{self, Agent, Issuer};
use common::port::part::{Part, PartImage, PartRemoval, PartSpec};
use common::port::{Host, Hosts, Machines, Parts};
use tokio::sync::Notify;

/// When the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Never,
    Before(usize),
    After(usize),
}

/// Clones are the same power.
#[derive(Debug, Clone)]
pub(crate) struct Power {
    cut: Cut,
    calls: Arc<AtomicUsize>,
    gone: Arc<Notify>,
}

impl Power {
    pub(crate) fn cut(cut: Cut) -> Self {
        Power { cut, calls: Arc::default(), gone: Arc::default() }
    }

    /// Ends when the power has gone.
    pub(crate) async fn gone(&self) {
        self.gone.notified().await;
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Whether the next call has its effect, and whether its answer arrives.
    fn next(&self) -> (bool, bool) {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        match self.cut {
            Cut::Never => (true, true),
            Cut::Before(last) => (number < last, number < last),
            Cut::After(last) => (number <= last, number < last),
        }
    }

    async fn pass<T>(&self, call: impl Future<Output = T>) -> T {
        let (done, answered) = self.next();
        if done {
            let answer = call.await;
            if answered {
                return answer;
            }
        }
        self.gone.notify_one();
        std::future::pending().await
    }
}

/// A port behind the power.
#[derive(Debug, Clone)]
pub(crate) struct Powered<T: ?Sized> {
    pub(crate) power: Power,
    pub(crate) port: Arc<T>,
}

impl<T: ?Sized> Powered<T> {
    pub(crate) fn new(power: &Power, port: Arc<T>) -> Self {
        Powered { power: power.clone(), port }
    }
}

#[async_trait]
impl Hosts for Powered<dyn Hosts> {
    async fn host_key(&self, at: &Gate) -> Result<HostKey, host::Error> {
        self.port.host_key(at).await
    }

    async fn connect(&self, access: &Access) -> Result<Arc<dyn Host>, host::Error> {
        let host = self.port.connect(access).await?;
        Ok(Arc::new(Powered::new(&self.power, host)))
    }

    async fn ensure_key(&self, file: &Path, comment: &str) -> Result<PublicKey, host::Error> {
        self.power.pass(self.port.ensure_key(file, comment)).await
    }
}

/// Programs that only look.
const LOOKS: [&str; 8] = ["id", "uname", "date", "ls", "cat", "stat", "df", "test"];

#[async_trait]
impl Host for Powered<dyn Host> {
    fn access(&self) -> &Access {
        self.port.access()
    }

    async fn run(&self, command: &Command) -> Result<Output, host::Error> {
        let through_env = (command.program == "env").then(|| command.arguments.first()).flatten();
        let program = through_env.unwrap_or(&command.program);
        let asks = |word: &&String| ["version", "inspect"].contains(&word.as_str());
        let is_look =
            LOOKS.contains(&program.as_str()) || command.arguments.iter().any(|word| asks(&word));
        if is_look {
            return self.port.run(command).await;
        }
        self.power.pass(self.port.run(command)).await
    }

    async fn write(&self, file: &NewFile, content: Content) -> Result<(), host::Error> {
        self.power.pass(self.port.write(file, content)).await
    }

    async fn read(
        &self,
        path: &FilePath,
        privilege: Privilege,
        limit: usize,
    ) -> Result<Option<Bytes>, host::Error> {
        self.port.read(path, privilege, limit).await
    }

    async fn authorize(&self, key: &PublicKey) -> Result<(), host::Error> {
        self.power.pass(self.port.authorize(key)).await
    }

    async fn forward(&self, to: SocketAddr) -> Result<Box<dyn Forward>, host::Error> {
        self.port.forward(to).await
    }
}

#[async_trait]
impl Machines for Powered<dyn Machines> {
    fn lacks(&self, what: Ability) -> Option<&'static str> {
        self.port.lacks(what)
    }

    async fn look(&self, name: &NodeName) -> Result<Option<Machine>, machines::Error> {
        self.port.look(name).await
    }

    async fn list(&self) -> Result<Vec<Machine>, machines::Error> {
        self.port.list().await
    }

    async fn create(&self, spec: &MachineSpec) -> Result<Machine, machines::Error> {
        self.power.pass(self.port.create(spec)).await
    }

    async fn start(&self, name: &NodeName) -> Result<Machine, machines::Error> {
        self.power.pass(self.port.start(name)).await
    }

    async fn stop(&self, name: &NodeName) -> Result<(), machines::Error> {
        self.power.pass(self.port.stop(name)).await
    }

    async fn restart(&self, name: &NodeName) -> Result<Machine, machines::Error> {
        self.power.pass(self.port.restart(name)).await
    }

    async fn delete(&self, name: &NodeName) -> Result<(), machines::Error> {
        self.power.pass(self.port.delete(name)).await
    }
}

#[async_trait]
impl Parts for Powered<dyn Parts> {
    async fn ensure_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        spec: &PartSpec,
    ) -> Result<Part, nodes::Error> {
        self.power.pass(self.port.ensure_part(agent, issuer, spec)).await
    }

    async fn remove_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        removal: &PartRemoval,
    ) -> Result<(), nodes::Error> {
        self.power.pass(self.port.remove_part(agent, issuer, removal)).await
    }

    async fn restart_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        name: &PartName,
    ) -> Result<Part, nodes::Error> {
        self.power.pass(self.port.restart_part(agent, issuer, name)).await
    }

    async fn parts(&self, agent: &Agent) -> Result<Vec<Part>, nodes::Error> {
        self.port.parts(agent).await
    }

    async fn part_logs(
        &self,
        agent: &Agent,
        name: &PartName,
        tail: usize,
    ) -> Result<Vec<String>, nodes::Error> {
        self.port.part_logs(agent, name, tail).await
    }

    async fn images(&self, agent: &Agent) -> Result<Vec<ImageRef>, nodes::Error> {
        self.port.images(agent).await
    }

    async fn push_image(
        &self,
        agent: &Agent,
        issuer: Issuer,
        image: &PartImage,
        repository: &str,
    ) -> Result<ImageRef, nodes::Error> {
        self.power.pass(self.port.push_image(agent, issuer, image, repository)).await
    }

    async fn registry_at(
        &self,
        agent: &Agent,
        issuer: Issuer,
        registry: std::net::SocketAddr,
    ) -> Result<(), nodes::Error> {
        self.power.pass(self.port.registry_at(agent, issuer, registry)).await
    }
}

impl Book for Powered<dyn Book> {
    fn load(&self) -> Result<Option<State>, NotABook> {
        self.port.load()
    }

    fn save(&self, state: &State) -> Result<(), NotABook> {
        let (done, answered) = self.power.next();
        if done {
            self.port.save(state)?;
        }
        self.written(answered)
    }

    fn erase(&self) -> Result<(), NotABook> {
        let (done, answered) = self.power.next();
        if done {
            self.port.erase()?;
        }
        self.written(answered)
    }
}

impl Powered<dyn Book> {
    /// Nobody waits for a file; what comes next meets the power that went.
    fn written(&self, answered: bool) -> Result<(), NotABook> {
        if answered {
            return Ok(());
        }
        self.power.gone.notify_one();
        Err(NotABook::InUse { path: "/power".into() })
    }
}
