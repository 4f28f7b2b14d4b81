//! The port of one machine in memory.

use std::net::SocketAddr;

use async_trait::async_trait;
use bytes::Bytes;
use common::port::Host;
use common::port::host::{
    Access, Command, Content, Error, FilePath, Forward, Gate, NewFile, Output, Privilege, PublicKey,
};
use futures::StreamExt as _;
use tokio::time::{Duration, sleep};

use super::programs::{Call, builtin, duration, failed};
use super::system::{File, System};
use super::{Fault, MemoryHosts};

/// How long who asks for no command waits for one that is stuck.
const STEP: Duration = Duration::from_secs(20);

/// A machine that one is signed in to.
#[derive(Debug)]
pub(super) struct MemoryHost {
    pub(super) hosts: MemoryHosts,
    pub(super) access: Access,
}

/// What a call is, for those who are told that it failed.
struct Asked<'a> {
    program: &'a str,
    deadline: Duration,
}

impl MemoryHost {
    fn at(&self) -> Gate {
        self.access.at.clone()
    }

    /// Signs in again, as after a lost connection, and meets the next fault, if there is one.
    async fn call<T: Send>(
        &self,
        asked: Asked<'_>,
        effect: impl FnOnce(&mut System) -> T + Send,
    ) -> Result<T, Error> {
        self.hosts.sign_in(&self.access).await?;
        let address = &self.access.at.address;
        let fault = self.hosts.with(address, |system| system.faults.pop_front());
        let done = match fault {
            Some(Fault::CutBefore | Fault::StuckBefore) => None,
            Some(Fault::CutAfter | Fault::StuckAfter) | None => {
                Some(self.hosts.with(address, effect))
            }
        };
        match (fault, done) {
            (None, Some(done)) => Ok(done),
            (Some(Fault::StuckBefore | Fault::StuckAfter), _) => {
                sleep(asked.deadline).await;
                Err(self.late(&asked))
            }
            (Some(Fault::CutBefore | Fault::CutAfter) | None, _) => {
                Err(Error::ConnectionLost { at: self.at(), source: "connection reset".into() })
            }
        }
    }

    fn late(&self, asked: &Asked<'_>) -> Error {
        let (program, after) = (asked.program.to_owned(), asked.deadline);
        Error::DeadlineExceeded { at: self.at(), program, after }
    }

    fn as_whom(&self, privilege: Privilege) -> Result<String, Error> {
        let user = &self.access.user;
        let address = &self.access.at.address;
        match privilege {
            Privilege::User => Ok(user.clone()),
            Privilege::Root if self.hosts.with(address, |system| system.may_become_root(user)) => {
                Ok("root".to_owned())
            }
            Privilege::Root => Err(Error::NoSudo {
                at: self.at(),
                user: user.clone(),
                said: "sudo: a password is required".to_owned(),
            }),
        }
    }

    /// What a program says, whoever brought it.
    fn ran(&self, system: &mut System, command: &Command, user: &str) -> Output {
        system.told.push(command.clone());
        let call = Call { command, user, address: &self.access.at.address };
        let missing = format!("{}: command not found", command.program);
        builtin(system, &call).unwrap_or_else(|| failed(127, &missing))
    }

    fn refused(&self, path: &FilePath, said: &str) -> Error {
        Error::File { at: self.at(), path: path.clone(), said: said.to_owned() }
    }
}

#[async_trait]
impl Host for MemoryHost {
    fn access(&self) -> &Access {
        &self.access
    }

    async fn run(&self, command: &Command) -> Result<Output, Error> {
        command.check()?;
        self.hosts.sign_in(&self.access).await?;
        let user = self.as_whom(command.privilege)?;
        let asked = || Asked { program: &command.program, deadline: command.deadline };
        let takes = duration(command);
        sleep(takes.min(command.deadline)).await;
        if takes > command.deadline {
            return Err(self.late(&asked()));
        }
        let program = self.hosts.state().programs.get(&command.program).cloned();
        let output = self.call(asked(), |system| match program {
            Some(program) => {
                system.told.push(command.clone());
                let address = &self.access.at.address;
                program(system, &Call { command, user: &user, address })
            }
            None => self.ran(system, command, &user),
        });
        let output = output.await?;
        if output.stdout.len() + output.stderr.len() > command.output_limit {
            let (program, limit) = (command.program.clone(), command.output_limit);
            return Err(Error::OutputTooLarge { at: self.at(), program, limit });
        }
        Ok(output)
    }

    async fn write(&self, file: &NewFile, content: Content) -> Result<(), Error> {
        let bytes = match content {
            Content::Bytes(bytes) => bytes,
            Content::Chunks(mut chunks) => {
                let mut bytes = Vec::new();
                while let Some(chunk) = chunks.next().await {
                    let (path, broken) = (file.path.clone(), chunk);
                    let chunk =
                        broken.map_err(|err| Error::Source { path, source: Box::new(err) })?;
                    bytes.extend(chunk);
                }
                bytes.into()
            }
        };
        self.hosts.sign_in(&self.access).await?;
        let owner = self.as_whom(file.privilege)?;
        let asked = Asked { program: "dd", deadline: file.deadline };
        let written = self.call(asked, |system| {
            if system.disk_full {
                return Err(Error::DiskFull { at: self.at(), path: file.path.clone() });
            }
            if !system.has_folder(file.path.split().0) {
                return Err(self.refused(&file.path, "No such file or directory"));
            }
            let path = file.path.to_string();
            system.files.insert(path, File { bytes, mode: file.mode, owner });
            Ok(())
        });
        written.await?
    }

    async fn read(
        &self,
        path: &FilePath,
        privilege: Privilege,
        limit: usize,
    ) -> Result<Option<Bytes>, Error> {
        self.hosts.sign_in(&self.access).await?;
        let user = self.as_whom(privilege)?;
        let asked = Asked { program: "head", deadline: STEP };
        let read = self.call(asked, |system| {
            let Some(file) = system.files.get(path.as_str()) else { return Ok(None) };
            let is_hidden = user != "root" && user != file.owner && file.mode & 0o004 == 0;
            if is_hidden {
                return Err(self.refused(path, "Permission denied"));
            }
            if file.bytes.len() > limit {
                return Err(Error::FileTooLarge { at: self.at(), path: path.clone(), limit });
            }
            Ok(Some(file.bytes.clone()))
        });
        read.await?
    }

    async fn authorize(&self, key: &PublicKey) -> Result<(), Error> {
        let asked = Asked { program: "tee", deadline: STEP };
        self.call(asked, |system| system.authorize(&self.access.user, key)).await
    }

    async fn forward(&self, to: SocketAddr) -> Result<Box<dyn Forward>, Error> {
        self.hosts.open(&self.access, to).await
    }
}
