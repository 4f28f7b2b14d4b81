//! Hosts: a machine's operating system as its administrator reaches it, by commands and files.
//!
//! Nothing here is a shell: a command is a list of arguments, and who carries it quotes it. Nothing is sent to a
//! machine whose host key is not the one that was pinned.

mod command;
mod file;
mod key;

use std::fmt::Debug;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Cause;

pub use command::{Command, End, MAX_COMMAND, Output, Privilege, Unfit};
pub use file::{ChunkStream, Content, FilePath, NewFile, NotAPath};
pub use key::{Fingerprint, HostKey, KeyAlgorithm, NotAKey, PublicKey};

/// How long it may take until one is signed in.
pub const CONNECT: Duration = Duration::from_secs(5);
/// The port that machines listen on for this.
pub const PORT: u16 = 22;

/// Where a machine listens: an address, or a name that this machine resolves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    pub address: String,
    #[serde(default = "default_port")]
    pub port: u16,
}

fn default_port() -> u16 {
    PORT
}

impl Gate {
    pub fn new(address: impl Into<String>) -> Self {
        Gate { address: address.into(), port: PORT }
    }
}

impl std::fmt::Display for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.address.contains(':') {
            return write!(f, "[{}]:{}", self.address, self.port);
        }
        write!(f, "{}:{}", self.address, self.port)
    }
}

/// What proves who signs in; only where it is, never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Credential {
    /// A private key without a passphrase, in a file that nobody but its owner may read.
    KeyFile(PathBuf),
    /// The keys of the agent that listens on this socket.
    Agent(PathBuf),
    /// A password, the first line of a file that nobody but its owner may read. Only to put a key in its place.
    PasswordFile(PathBuf),
}

impl Credential {
    pub fn method(&self) -> Method {
        match self {
            Credential::KeyFile(_) | Credential::Agent(_) => Method::PublicKey,
            Credential::PasswordFile(_) => Method::Password,
        }
    }
}

/// A way to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    PublicKey,
    Password,
}

/// Whom to be on which machine. Without a pinned host key there is no access: see [`Hosts::host_key`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    pub at: Gate,
    pub user: String,
    pub credential: Credential,
    pub host_key: HostKey,
}

/// Why a machine did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens, or the way there is closed. Nothing was done.
    #[error("{at} cannot be reached")]
    Unreachable {
        at: Gate,
        #[source]
        source: Cause,
    },
    /// Somebody may listen, but did not say enough in time. Nothing was done.
    #[error("{at} did not let anyone in within {after:?}: {stalled} took too long")]
    ConnectTimeout { at: Gate, after: Duration, stalled: Phase },
    /// Another machine, another system on it, or somebody in between. Nothing was sent to it.
    #[error("{at} has the host key {found}, not {expected}")]
    HostKeyChanged { at: Gate, expected: HostKey, found: HostKey },
    /// Nothing was done.
    #[error("{user}@{at} was refused by {tried:?}; the machine offers {offered:?}")]
    AuthRefused { at: Gate, user: String, tried: Method, offered: Vec<String> },
    /// What a credential refers to is missing, open to others, or nothing of its kind. Nothing was sent.
    #[error("{} cannot be used to sign in: {why}", .path.display())]
    CredentialUnusable { path: PathBuf, why: String },
    /// Nothing was done.
    #[error("{user}@{at} may not become root: {said}")]
    NoSudo { at: Gate, user: String, said: String },
    /// The machine, or this one, opens no further session. Nothing was done.
    #[error("no further session can be opened with {at}")]
    SessionsExhausted { at: Gate },
    /// It is ended there as well, a little later; what it did until then stays.
    #[error("{program} on {at} did not end within {after:?}")]
    DeadlineExceeded { at: Gate, program: String, after: Duration },
    /// The outcome is unknown: it was cut off when it said more.
    #[error("{program} on {at} said more than {limit} bytes")]
    OutputTooLarge { at: Gate, program: String, limit: usize },
    /// The outcome is unknown.
    #[error("the connection to {at} was lost")]
    ConnectionLost {
        at: Gate,
        #[source]
        source: Cause,
    },
    /// The file is as it was.
    #[error("{at} has no space left for {path}")]
    DiskFull { at: Gate, path: FilePath },
    /// The machine did not take or give a file. It is as it was.
    #[error("{path} on {at}: {said}")]
    File { at: Gate, path: FilePath, said: String },
    /// The file is larger than the reader wanted.
    #[error("{path} on {at} is larger than {limit} bytes")]
    FileTooLarge { at: Gate, path: FilePath, limit: usize },
    /// What was to be written could not be read here. The file is as it was.
    #[error("what was to be written into {path} could not be read")]
    Source {
        path: FilePath,
        #[source]
        source: Cause,
    },
    /// Never: nobody can carry this.
    #[error(transparent)]
    Unfit(#[from] Unfit),
}

/// How far a connection got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// To the machine itself.
    Connecting,
    /// To the program that listens there: it says what it is, and proves its host key.
    Greeting,
    /// To the answer whether one may sign in.
    SigningIn,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Phase::Connecting => "connecting",
            Phase::Greeting => "the greeting",
            Phase::SigningIn => "signing in",
        })
    }
}

impl Error {
    /// Whether the same call may work later without anybody's help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::Unreachable { .. }
            | Error::ConnectTimeout { .. }
            | Error::SessionsExhausted { .. }
            | Error::ConnectionLost { .. } => true,
            Error::HostKeyChanged { .. }
            | Error::AuthRefused { .. }
            | Error::CredentialUnusable { .. }
            | Error::NoSudo { .. }
            | Error::DeadlineExceeded { .. }
            | Error::OutputTooLarge { .. }
            | Error::DiskFull { .. }
            | Error::File { .. }
            | Error::FileTooLarge { .. }
            | Error::Source { .. }
            | Error::Unfit(_) => false,
        }
    }

    /// Whether what was asked for may have been done, in whole or in part.
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(
            self,
            Error::DeadlineExceeded { .. }
                | Error::OutputTooLarge { .. }
                | Error::ConnectionLost { .. }
        )
    }

    /// One sentence: what to do about it.
    pub fn hint(&self) -> String {
        match self {
            Error::Unreachable { at, .. } => {
                format!(
                    "see that the machine runs, and that sshd listens on {at} and is let through"
                )
            }
            Error::ConnectTimeout { .. } => {
                "see how busy the machine is, and whether its sshd still answers".to_owned()
            }
            Error::HostKeyChanged { found, .. } => format!(
                "if the machine was made anew, compare {found} with `ssh-keygen -lf` at its console and pin it; else somebody is in between"
            ),
            Error::AuthRefused { user, tried: Method::PublicKey, .. } => {
                format!(
                    "put the public key into ~{user}/.ssh/authorized_keys, or enrol the machine with a password"
                )
            }
            Error::AuthRefused { user, tried: Method::Password, .. } => {
                format!(
                    "see whether the password of {user} is right, and whether sshd accepts passwords"
                )
            }
            Error::CredentialUnusable { path, .. } => {
                format!("give the path of a file that is there, of mode 0600: {}", path.display())
            }
            Error::NoSudo { user, .. } => format!(
                "sign in as root, or let {user} become root without a password: `{user} ALL=(ALL) NOPASSWD: ALL` in /etc/sudoers.d/avishkar"
            ),
            Error::SessionsExhausted { .. } => {
                "try again, or raise MaxSessions of the machine's sshd".to_owned()
            }
            Error::DeadlineExceeded { .. } | Error::ConnectionLost { .. } => {
                "look at what became of it, then ask again".to_owned()
            }
            Error::OutputTooLarge { .. } => "ask for less, or let it say more".to_owned(),
            Error::DiskFull { path, .. } => format!("make room in the file system of {path}"),
            Error::File { path, .. } => format!("see whose {path} and its folder are"),
            Error::FileTooLarge { .. } => "see whether it is the right file".to_owned(),
            Error::Source { .. } => "see whether what is to be copied is still there".to_owned(),
            Error::Unfit(_) => "this is a mistake of the platform: report it".to_owned(),
        }
    }
}

/// Signs in to machines.
#[async_trait]
pub trait Hosts: Debug + Send + Sync {
    /// The host key that a machine shows, for somebody to compare and pin. Nobody signs in.
    async fn host_key(&self, at: &Gate) -> Result<HostKey, Error>;

    /// Signs in, within [`CONNECT`]. A machine with another host key is told, and is sent nothing.
    async fn connect(&self, access: &Access) -> Result<Arc<dyn Host>, Error>;

    /// Makes a private key in a file of mode 0600 where there is none, and says its public half.
    async fn ensure_key(&self, file: &Path, comment: &str) -> Result<PublicKey, Error>;
}

/// A machine that one is signed in to. A connection that was lost is made again by the next call, with the same
/// credential and the same pin. Calls of one host come one after another; for more at once, connect again.
#[async_trait]
pub trait Host: Debug + Send + Sync {
    fn access(&self) -> &Access;

    /// Runs a command to its end, whatever it ends with.
    async fn run(&self, command: &Command) -> Result<Output, Error>;

    /// Makes a file be there with this content and mode, all or nothing: who reads it sees the old one or the new
    /// one. Its folder must be there.
    async fn write(&self, file: &NewFile, content: Content) -> Result<(), Error>;

    /// A file of at most `limit` bytes; none if it is not there.
    async fn read(
        &self,
        path: &FilePath,
        privilege: Privilege,
        limit: usize,
    ) -> Result<Option<Bytes>, Error>;

    /// Lets the holder of this key sign in as the same user from now on. Keys of others stay.
    async fn authorize(&self, key: &PublicKey) -> Result<(), Error>;

    /// Makes a port of this computer lead to `to`, as the machine itself reaches it: over a connection of its own, which
    /// is made again when it was lost. Nobody need listen there yet: whoever comes meanwhile is hung up on.
    async fn forward(&self, to: SocketAddr) -> Result<Box<dyn Forward>, Error>;
}

/// A port of this computer that leads to a machine's network until this is dropped.
pub trait Forward: Debug + Send + Sync {
    /// On loopback.
    fn at(&self) -> SocketAddr;
}
