//! [`MemoryHosts`]: machines' operating systems in memory, with everything that may go wrong on demand.
//!
//! A machine has users, files and programs. A few programs are there from the start; a test installs others as
//! functions of the machine. Nothing is a shell.

mod faults;
mod forward;
mod host;
pub mod machine_programs;
mod programs;
mod system;
mod trial;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use common::port::host::{
    Access, CONNECT, Command, Credential, Error, Gate, HostKey, Output, Phase, PublicKey,
};
use common::port::{Host, Hosts};

pub use self::faults::{Fault, Health};
use self::forward::Leads;
use self::host::MemoryHost;
pub use self::programs::{Call, failed, said};
pub use self::system::{File, System};
pub use self::trial::Trial;

/// What a program does with the machine it runs on.
pub type Program = Arc<dyn Fn(&mut System, &Call<'_>) -> Output + Send + Sync>;

/// Machines by their addresses. Clones are the same machines.
#[derive(Clone, Default)]
pub struct MemoryHosts {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    systems: BTreeMap<String, System>,
    programs: BTreeMap<String, Program>,
    /// Files of this computer that hold private keys, by their public halves, and passwords.
    keys: BTreeMap<PathBuf, PublicKey>,
    passwords: BTreeMap<PathBuf, String>,
    /// Ports of this computer, by what they lead to.
    forwards: BTreeMap<SocketAddr, Leads>,
    made: u32,
}

impl fmt::Debug for MemoryHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_list().entries(state.systems.keys()).finish()
    }
}

impl MemoryHosts {
    pub fn new() -> Self {
        MemoryHosts::default()
    }

    /// A new machine at this address, with a host key of its own and the user root. It replaces what was there.
    pub fn add(&self, address: &str) -> HostKey {
        let mut state = self.state();
        state.made += 1;
        let system = System::new(state.made);
        let key = system.host_key().clone();
        state.systems.insert(address.to_owned(), system);
        key
    }

    /// There is no such machine any more.
    pub fn remove(&self, address: &str) {
        self.state().systems.remove(address);
    }

    /// Looks at a machine, or changes it.
    pub fn with<T>(&self, address: &str, look: impl FnOnce(&mut System) -> T) -> T {
        let mut state = self.state();
        look(state.systems.get_mut(address).expect("there is a machine at this address"))
    }

    /// From now on all machines have this program.
    pub fn install(
        &self,
        name: &str,
        program: impl Fn(&mut System, &Call<'_>) -> Output + Send + Sync + 'static,
    ) {
        self.state().programs.insert(name.to_owned(), Arc::new(program));
    }

    /// This computer has a password in a file.
    pub fn place_password(&self, file: impl Into<PathBuf>, password: &str) {
        self.state().passwords.insert(file.into(), password.to_owned());
    }

    /// The public half of this computer's key in a file, which is made first where there is none.
    pub fn make_key(&self, file: impl AsRef<Path>, comment: &str) -> PublicKey {
        let mut state = self.state();
        if let Some(key) = state.keys.get(file.as_ref()) {
            return key.clone();
        }
        state.made += 1;
        let line = format!("ssh-ed25519 {:A>68} {comment}", state.made);
        let key: PublicKey = line.parse().expect("it has the form of a key");
        state.keys.insert(file.as_ref().to_owned(), key.clone());
        key
    }

    /// The machine is made anew at the same address: it has another host key.
    pub fn change_host_key(&self, address: &str) -> HostKey {
        let mut state = self.state();
        state.made += 1;
        let number = state.made;
        let system = state.systems.get_mut(address).expect("there is a machine at this address");
        system.change_host_key(number)
    }

    /// All commands that machine was told, in order, whatever became of them.
    pub fn told(&self, address: &str) -> Vec<Command> {
        self.with(address, |system| system.told.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the machine behaves; what nobody put there cannot be reached.
    async fn answer(&self, at: &Gate) -> Result<(), Error> {
        tokio::task::yield_now().await;
        let health = self.state().systems.get(&at.address).map(|system| system.health);
        let at = at.clone();
        match health {
            Some(Health::Answers) => Ok(()),
            Some(Health::Off) | None => {
                Err(Error::Unreachable { at, source: "connection refused".into() })
            }
            Some(Health::Silent) => {
                tokio::time::sleep(CONNECT).await;
                Err(Error::ConnectTimeout { at, after: CONNECT, stalled: Phase::Greeting })
            }
            Some(Health::Exhausted) => Err(Error::SessionsExhausted { at }),
        }
    }

    async fn sign_in(&self, access: &Access) -> Result<(), Error> {
        let proof = self.proof(&access.credential)?;
        self.answer(&access.at).await?;
        let state = self.state();
        let Some(system) = state.systems.get(&access.at.address) else {
            let source = "connection reset".into();
            return Err(Error::Unreachable { at: access.at.clone(), source });
        };
        if *system.host_key() != access.host_key {
            let (expected, found) = (access.host_key.clone(), system.host_key().clone());
            return Err(Error::HostKeyChanged { at: access.at.clone(), expected, found });
        }
        if system.lets_in(&access.user, &proof) {
            return Ok(());
        }
        let (at, user, tried) =
            (access.at.clone(), access.user.clone(), access.credential.method());
        let offered = vec!["publickey".to_owned(), "password".to_owned()];
        Err(Error::AuthRefused { at, user, tried, offered })
    }

    fn proof(&self, credential: &Credential) -> Result<Proof, Error> {
        let state = self.state();
        let found = match credential {
            Credential::KeyFile(path) => state.keys.get(path).cloned().map(Proof::Key),
            Credential::PasswordFile(path) => {
                state.passwords.get(path).cloned().map(Proof::Password)
            }
            // An agent has all keys of this computer.
            Credential::Agent(_) => Some(Proof::AnyKey(state.keys.values().cloned().collect())),
        };
        let missing = |path: &Path| Error::CredentialUnusable {
            path: path.to_owned(),
            why: "it does not exist".to_owned(),
        };
        found.ok_or_else(|| match credential {
            Credential::KeyFile(path)
            | Credential::PasswordFile(path)
            | Credential::Agent(path) => missing(path),
        })
    }
}

/// What a credential stands for.
enum Proof {
    Key(PublicKey),
    AnyKey(Vec<PublicKey>),
    Password(String),
}

#[async_trait]
impl Hosts for MemoryHosts {
    async fn host_key(&self, at: &Gate) -> Result<HostKey, Error> {
        self.answer(at).await?;
        let state = self.state();
        let shown = state.systems.get(&at.address).map(|system| system.host_key().clone());
        shown.ok_or_else(|| Error::Unreachable { at: at.clone(), source: "it is gone".into() })
    }

    async fn connect(&self, access: &Access) -> Result<Arc<dyn Host>, Error> {
        self.sign_in(access).await?;
        Ok(Arc::new(MemoryHost { hosts: self.clone(), access: access.clone() }))
    }

    async fn ensure_key(&self, file: &Path, comment: &str) -> Result<PublicKey, Error> {
        tokio::task::yield_now().await;
        Ok(self.make_key(file, comment))
    }
}

#[cfg(test)]
mod tests;
