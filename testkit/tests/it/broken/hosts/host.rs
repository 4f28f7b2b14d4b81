//! A machine that one is signed in to, with a flaw.

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use common::port::Host;
use common::port::host::{
    Access, Command, Content, End, Error, FilePath, Forward, NewFile, Output, Privilege, PublicKey,
};
use futures::StreamExt as _;

use super::flaw::{Flaw, FlawedHosts};

const FEW: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct FlawedHost {
    pub(super) host: Arc<dyn Host>,
    pub(super) hosts: FlawedHosts,
}

impl FlawedHost {
    /// What it is told in truth.
    fn truly(&self, command: &Command) -> Command {
        let mut command = command.clone();
        let has = |flaw| self.hosts.flaw == flaw;
        let of_root = command.privilege == Privilege::Root;
        if has(Flaw::SplitsWords) {
            let line = command.arguments.join(" ");
            command.arguments = line.split(' ').map(str::to_owned).collect();
        }
        if has(Flaw::DropsTheEnvironment) || has(Flaw::DropsTheEnvironmentOfRoot) && of_root {
            command.environment.clear();
        }
        if has(Flaw::CutsInput) {
            command.stdin.truncate(FEW);
        }
        if has(Flaw::ListensForEver) {
            command.output_limit = usize::MAX;
        }
        if has(Flaw::WaitsForEver) {
            command.deadline = Duration::MAX;
        }
        if command.program == "id" && has(Flaw::NeverIsRoot) {
            command.privilege = Privilege::User;
        }
        if command.program == "id" && has(Flaw::AlwaysIsRoot) {
            command.privilege = Privilege::Root;
        }
        if has(Flaw::TellsAnything) && command.check().is_err() {
            command = Command::new("true");
        }
        command
    }

    fn said(&self, command: &Command, mut output: Output) -> Output {
        match (self.hosts.flaw, &output.end) {
            (Flaw::HidesHowItEnded, _) if command.program == "false" => output.end = End::Exited(0),
            (Flaw::HidesTheSignal, End::Signalled(_)) => output.end = End::Exited(137),
            (Flaw::LosesComplaints, _) => output.stderr.truncate(FEW),
            _ => {}
        }
        output
    }

    /// The pieces as one, where nothing of them is lost on the way.
    async fn gathered(&self, content: Content) -> Content {
        let Content::Chunks(mut chunks) = content else { return content };
        let mut whole = Vec::new();
        while let Some(Ok(chunk)) = chunks.next().await {
            whole.extend(chunk);
            if self.hosts.flaw == Flaw::KeepsTheFirstChunk {
                break;
            }
        }
        whole.into()
    }

    fn address(&self) -> &str {
        &self.access().at.address
    }
}

#[async_trait]
impl Host for FlawedHost {
    fn access(&self) -> &Access {
        self.host.access()
    }

    async fn run(&self, command: &Command) -> Result<Output, Error> {
        if self.hosts.flaw == Flaw::StaysLost && self.hosts.is_cut.load(Ordering::Relaxed) {
            return Ok(Output {
                end: End::Exited(255),
                stdout: Bytes::new(),
                stderr: Bytes::new(),
            });
        }
        let told = self.truly(command);
        match (self.hosts.flaw, self.host.run(&told).await) {
            (Flaw::RunsWithoutRoot, Err(Error::NoSudo { .. })) => {
                self.host.run(&Command { privilege: Privilege::User, ..told }).await
            }
            (_, ran) => ran.map(|output| self.said(&told, output)),
        }
    }

    async fn write(&self, file: &NewFile, content: Content) -> Result<(), Error> {
        let mut file = file.clone();
        let folder = file.path.split().0.to_owned();
        let has = |flaw| self.hosts.flaw == flaw;
        if has(Flaw::KeepsTheFirstChunk) || has(Flaw::KeepsWhatCame) {
            let gathered = self.gathered(content).await;
            return self.host.write(&file, gathered).await;
        }
        if has(Flaw::ForgetsTheMode) {
            file.mode = 0o644;
        }
        if has(Flaw::LeavesParts) {
            let path = format!("{folder}/part").parse().unwrap();
            self.host.write(&NewFile { path, ..file.clone() }, "".into()).await?;
        }
        if has(Flaw::MakesFolders) {
            self.hosts.memory.with(self.address(), |system| system.folders.insert(folder));
        }
        self.host.write(&file, content).await
    }

    async fn read(
        &self,
        path: &FilePath,
        privilege: Privilege,
        limit: usize,
    ) -> Result<Option<Bytes>, Error> {
        match (self.hosts.flaw, self.host.read(path, privilege, limit).await) {
            (Flaw::TakesHiddenForMissing, Err(Error::File { .. })) => Ok(None),
            (Flaw::CutsLargeFiles, Err(Error::FileTooLarge { .. })) => {
                let whole = self.host.read(path, privilege, usize::MAX).await?;
                Ok(whole.map(|bytes| bytes.slice(..limit)))
            }
            (_, read) => read,
        }
    }

    async fn authorize(&self, key: &PublicKey) -> Result<(), Error> {
        if self.hosts.flaw == Flaw::ForgetsOtherKeys {
            let path = format!("/home/{}/.ssh/authorized_keys", self.access().user);
            self.hosts.memory.with(self.address(), |system| system.files.remove(&path));
        }
        self.host.authorize(key).await
    }

    async fn forward(&self, to: SocketAddr) -> Result<Box<dyn Forward>, Error> {
        let mut to = to;
        if self.hosts.flaw == Flaw::LeadsBesideIt {
            to.set_port(to.port() + 2);
        }
        if self.hosts.flaw == Flaw::LeadsToAnybody {
            to.set_port(7);
        }
        let way = self.host.forward(to).await?;
        if self.hosts.flaw == Flaw::LeadsForEver {
            let at = way.at();
            mem::forget(way);
            return Ok(Box::new(EndlessWay(at)));
        }
        Ok(way)
    }
}

/// A way that nothing ends.
#[derive(Debug)]
struct EndlessWay(SocketAddr);

impl Forward for EndlessWay {
    fn at(&self) -> SocketAddr {
        self.0
    }
}
