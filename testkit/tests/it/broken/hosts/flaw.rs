//! [`Flaw`]: what broken machines do otherwise, and signing in to them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use async_trait::async_trait;
use common::port::host::{
    Access, CONNECT, Command, Credential, Error, Gate, HostKey, Phase, PublicKey,
};
use common::port::{Host, Hosts};
use testkit::MemoryHosts;
use testkit::contract::hosts::World;
use testkit::hosts::Trial;

use super::host::FlawedHost;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    ShowsAnotherKey,
    TrustsAnybody,
    HidesTheFoundKey,
    TakesSilenceForLateness,
    LetsAnybodyIn,
    BlamesTheMachine,
    MakesAKeyEachTime,
    TakesAnyPassword,
    ForgetsOtherKeys,
    SplitsWords,
    DropsTheEnvironment,
    DropsTheEnvironmentOfRoot,
    CutsInput,
    HidesHowItEnded,
    HidesTheSignal,
    LosesComplaints,
    ListensForEver,
    WaitsForEver,
    NeverIsRoot,
    AlwaysIsRoot,
    RunsWithoutRoot,
    TellsAnything,
    StaysLost,
    LeavesParts,
    ForgetsTheMode,
    TakesHiddenForMissing,
    KeepsTheFirstChunk,
    KeepsWhatCame,
    MakesFolders,
    CutsLargeFiles,
    LeadsBesideIt,
    LeadsToAnybody,
    LeadsNowhereOnceLost,
    LeadsForEver,
}

/// Signs in to machines in memory with a flaw.
#[derive(Debug, Clone)]
pub(super) struct FlawedHosts {
    pub(super) memory: MemoryHosts,
    pub(super) flaw: Flaw,
    pub(super) is_cut: Arc<AtomicBool>,
    made: Arc<AtomicU32>,
}

impl FlawedHosts {
    /// Whom one asks to be in truth.
    fn truly(&self, access: &Access) -> Access {
        let mut access = access.clone();
        match (self.flaw, &access.credential) {
            (Flaw::LetsAnybodyIn, _) => "ops".clone_into(&mut access.user),
            (Flaw::TakesAnyPassword, Credential::PasswordFile(path)) if path.ends_with("wrong") => {
                access.credential = Credential::PasswordFile("/keys/password".into());
            }
            _ => {}
        }
        access
    }

    fn told(&self, err: Error, access: &Access) -> Error {
        match (self.flaw, err) {
            (Flaw::TakesSilenceForLateness, Error::Unreachable { at, .. }) => {
                Error::ConnectTimeout { at, after: CONNECT, stalled: Phase::Connecting }
            }
            (Flaw::BlamesTheMachine, Error::CredentialUnusable { .. }) => {
                Error::Unreachable { at: access.at.clone(), source: "no credential".into() }
            }
            (Flaw::HidesTheFoundKey, Error::HostKeyChanged { at, expected, .. }) => {
                Error::HostKeyChanged { at, found: expected.clone(), expected }
            }
            (_, err) => err,
        }
    }
}

#[async_trait]
impl Hosts for FlawedHosts {
    async fn host_key(&self, at: &Gate) -> Result<HostKey, Error> {
        if self.flaw == Flaw::ShowsAnotherKey {
            self.memory.change_host_key(&at.address);
        }
        let shown = self.memory.host_key(at).await;
        shown.map_err(|err| match (self.flaw, err) {
            (Flaw::TakesSilenceForLateness, Error::Unreachable { at, .. }) => {
                Error::ConnectTimeout { at, after: CONNECT, stalled: Phase::Connecting }
            }
            (_, err) => err,
        })
    }

    async fn connect(&self, access: &Access) -> Result<Arc<dyn Host>, Error> {
        let mut truly = self.truly(access);
        if self.flaw == Flaw::TrustsAnybody {
            truly.host_key = self.memory.host_key(&truly.at).await?;
        }
        let connected = self.memory.connect(&truly).await;
        let host = connected.map_err(|err| self.told(err, access))?;
        Ok(Arc::new(FlawedHost { host, hosts: self.clone() }))
    }

    async fn ensure_key(&self, file: &Path, comment: &str) -> Result<PublicKey, Error> {
        if self.flaw == Flaw::MakesAKeyEachTime {
            let turn = self.made.fetch_add(1, Ordering::Relaxed);
            return self.memory.ensure_key(&file.join(turn.to_string()), comment).await;
        }
        self.memory.ensure_key(file, comment).await
    }
}

/// The suite's machine behind a flaw.
pub(super) struct Flawed {
    trial: Trial,
    hosts: FlawedHosts,
}

impl Flawed {
    pub(super) fn with(flaw: Flaw) -> Self {
        let trial = Trial::begin();
        let (is_cut, made) = (Arc::default(), Arc::default());
        let hosts = FlawedHosts { memory: trial.memory().clone(), flaw, is_cut, made };
        Flawed { trial, hosts }
    }
}

#[async_trait(?Send)]
impl World for Flawed {
    fn hosts(&self) -> &dyn Hosts {
        &self.hosts
    }

    fn access(&self) -> Access {
        self.trial.access()
    }

    fn without_sudo(&self) -> Access {
        self.trial.without_sudo()
    }

    fn with_password(&self) -> Access {
        self.trial.with_password()
    }

    fn wrong_password(&self) -> PathBuf {
        self.trial.wrong_password()
    }

    fn fresh_file(&self) -> PathBuf {
        self.trial.fresh_file()
    }

    async fn fresh_folder(&self) -> String {
        self.trial.fresh_folder().await
    }

    fn nobody(&self) -> Gate {
        self.trial.nobody()
    }

    fn ended_by_signal(&self) -> Command {
        self.trial.ended_by_signal()
    }

    fn flood(&self, bytes: usize) -> Command {
        self.trial.flood(bytes)
    }

    fn echo(&self) -> SocketAddr {
        self.trial.echo()
    }

    async fn say(&self, at: SocketAddr, words: &[u8]) -> Option<Vec<u8>> {
        let is_lost = self.hosts.is_cut.load(Ordering::Relaxed);
        if self.hosts.flaw == Flaw::LeadsNowhereOnceLost && is_lost {
            return None;
        }
        self.trial.say(at, words).await
    }

    async fn cut(&self) {
        self.hosts.is_cut.store(true, Ordering::Relaxed);
    }
}
