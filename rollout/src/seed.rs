//! What a platform has once, on its first machine: its authority and its secrets. Whoever comes first makes them.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use common::digest::hex;
use common::name::NodeName;
use common::port::authority::Papers;
use common::port::host::{Command, Content, FilePath, NewFile, Privilege};
use common::port::{Authorities, Authority, Entropy, Host};

use crate::failure::{Code, Failure, Why};
use crate::parts::Secrets;

/// The folder of all of it; only root looks into it.
pub const FOLDER: &str = "/var/lib/avishkar/platform";
/// The files of it: the authority's papers, what signs tokens, and the platform's private key for machines.
pub const AUTHORITY: &str = "authority.json";
pub const JWT: &str = "jwt";
pub const SSH_KEY: &str = "ssh.key";
const LARGEST: usize = 256 * 1024;

/// The first machine, signed in to.
#[derive(Debug, Clone)]
pub struct Seed {
    pub machine: NodeName,
    pub host: Arc<dyn Host>,
    pub entropy: Arc<dyn Entropy>,
}

impl Seed {
    /// The platform's authority, made if nobody did.
    pub async fn authority(
        &self,
        authorities: &dyn Authorities,
    ) -> Result<(Papers, Arc<dyn Authority>), Failure> {
        let step = "keep the platform's authority";
        let failed = |why: Why| self.failed(step, why);
        let made = authorities.make().map_err(|err| failed(err.into()))?;
        let text = serde_json::to_vec(&made).expect("papers are text");
        let kept = self.once(AUTHORITY, text.into()).await.map_err(failed)?;
        let papers: Papers = serde_json::from_slice(&kept).map_err(|err| failed(damaged(err)))?;
        let authority = authorities.open(&papers).map_err(|err| failed(err.into()))?;
        Ok((papers, authority))
    }

    /// What a lifecycle manager was given, back in its place. What stands there stays; the authority comes last: where it
    /// stands, the rest is whole.
    pub async fn restore(&self, secrets: &Secrets) -> Result<(), Failure> {
        let authority = serde_json::to_vec(&secrets.authority).expect("papers are text");
        self.ensure_once(JWT, secrets.jwt.clone()).await?;
        self.ensure_once(SSH_KEY, secrets.ssh_key.clone()).await?;
        self.ensure_once(AUTHORITY, authority).await.map(drop)
    }

    /// A secret nobody can guess, 64 hexadecimal digits, made if nobody did.
    pub async fn secret(&self, name: &str) -> Result<String, Failure> {
        let content = hex(&self.entropy.secret());
        let kept = self.ensure_once(name, content).await?;
        String::from_utf8(kept.into()).map_err(|err| self.failed(name, damaged(err)))
    }

    /// Makes a file be there: with what somebody wrote who came first, or else with this. Gives what stands there.
    pub async fn ensure_once(
        &self,
        name: &str,
        content: impl Into<Bytes>,
    ) -> Result<Bytes, Failure> {
        let kept = self.once(name, content.into()).await;
        kept.map_err(|why| self.failed(format!("keep {name}"), why))
    }

    /// Makes a file be there with this, whatever stood there.
    pub async fn replace(&self, name: &str, content: impl Into<Bytes>) -> Result<(), Failure> {
        let content = Content::Bytes(content.into());
        let replaced = async {
            let file = NewFile::new(path(name)?, 0o600).by_root();
            self.make_folder().await?;
            Ok(self.host.write(&file, content).await?)
        };
        replaced.await.map_err(|why| self.failed(format!("keep {name}"), why))
    }

    /// What stands there, if anything does.
    pub async fn find(&self, name: &str) -> Result<Option<Bytes>, Failure> {
        let found = async { self.read(&path(name)?).await }.await;
        found.map_err(|why| self.failed(format!("read {name}"), why))
    }

    fn failed(&self, step: impl fmt::Display, why: Why) -> Failure {
        Failure::of(&self.machine, format!("{step} on {}", self.machine), why)
    }

    async fn read(&self, path: &FilePath) -> Result<Option<Bytes>, Why> {
        Ok(self.host.read(path, Privilege::Root, LARGEST).await?)
    }

    /// A link is made or is not: of several who come at once one wins, and nobody ever sees half a file.
    async fn once(&self, name: &str, content: Bytes) -> Result<Bytes, Why> {
        let wanted = path(name)?;
        if let Some(kept) = self.read(&wanted).await? {
            return Ok(kept);
        }
        let own = path(&format!(".{name}.{}", self.entropy.uuid()))?;
        self.make_folder().await?;
        self.host
            .write(&NewFile::new(own.clone(), 0o600).by_root(), Content::Bytes(content))
            .await?;
        // That it fails because there is one already is as good.
        let link = Command::new("ln").args(["-T", own.as_str(), wanted.as_str()]).by_root();
        let linked = self.host.run(&link).await?;
        self.must("rm", &Command::new("rm").args(["-f", own.as_str()]).by_root()).await?;
        match self.read(&wanted).await? {
            Some(kept) => Ok(kept),
            None => Err(Why::command("ln", &linked)),
        }
    }

    async fn make_folder(&self) -> Result<(), Why> {
        let mkdir = Command::new("mkdir").args(["-p", "-m", "0700", FOLDER]).by_root();
        self.must("mkdir", &mkdir).await
    }

    async fn must(&self, program: &str, command: &Command) -> Result<(), Why> {
        let output = self.host.run(command).await?;
        if output.succeeded() { Ok(()) } else { Err(Why::command(program, &output)) }
    }
}

fn path(name: &str) -> Result<FilePath, Why> {
    let path = format!("{FOLDER}/{name}").parse();
    path.map_err(|_| {
        Why::new(Code::StepFailed, format!("{name:?} is no name of a file"), "use another name")
    })
}

fn damaged(source: impl std::error::Error + Send + Sync + 'static) -> Why {
    let message = "what is kept there is damaged";
    Why::new(Code::StepFailed, message, "restore it from a backup").because(source)
}
