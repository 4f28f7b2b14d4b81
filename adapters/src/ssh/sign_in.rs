//! Signing in on a connection whose host key was compared.

use std::path::Path;
use std::time::Duration;

use common::port::host::{Access, Credential, Error, Phase};
use ssh2::{KeyboardInteractivePrompt, Prompt, Session};
use tokio::time::Instant;

use super::failure::{is_about_the_file, is_refused};
use super::secret_file;
use super::session::{Connection, Stop};

/// A connection to the machine, signed in as wanted. Nothing secret is sent before the host key was
/// found to be the pinned one.
pub(super) fn connect(access: &Access, budget: Duration) -> Result<Connection, Error> {
    let until = Instant::now() + budget;
    let Access { at, host_key, .. } = access;
    let secret = Secret::read(&access.credential)?;
    let connection = Connection::open(at, Some(host_key.algorithm), until, budget)?;
    if connection.host_key != *host_key {
        let (expected, found) = (host_key.clone(), connection.host_key.clone());
        return Err(Error::HostKeyChanged { at: at.clone(), expected, found });
    }
    let visit = Visit { access, connection: &connection, until, budget };
    let offered = visit.offered()?;
    if connection.session.authenticated() {
        return Ok(connection);
    }
    match secret {
        Secret::Key(key) => visit.by_key(&key, offered)?,
        Secret::Password(password) => visit.by_password(&password, offered)?,
        Secret::Agent(socket) => visit.by_agent(socket, offered)?,
    }
    Ok(connection)
}

enum Secret<'a> {
    Key(String),
    Password(String),
    Agent(&'a Path),
}

impl<'a> Secret<'a> {
    fn read(credential: &'a Credential) -> Result<Self, Error> {
        Ok(match credential {
            Credential::KeyFile(path) => Secret::Key(secret_file::read(path)?),
            Credential::PasswordFile(path) => Secret::Password(secret_file::read_line(path)?),
            Credential::Agent(socket) => Secret::Agent(socket),
        })
    }
}

struct Visit<'a> {
    access: &'a Access,
    connection: &'a Connection,
    until: Instant,
    budget: Duration,
}

impl Visit<'_> {
    /// The ways in that the machine offers this user; none if it lets anybody in.
    fn offered(&self) -> Result<Vec<String>, Error> {
        let list = |session: &mut Session| {
            let methods = session.auth_methods(&self.access.user)?;
            Ok(methods.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect())
        };
        match self.connection.patiently(self.until, list) {
            Ok(offered) => Ok(offered),
            Err(_) if self.connection.session.authenticated() => Ok(Vec::new()),
            Err(stop) => Err(self.told(stop, Vec::new())),
        }
    }

    fn by_key(&self, key: &str, offered: Vec<String>) -> Result<(), Error> {
        let user = &self.access.user;
        let signed = self
            .connection
            .patiently(self.until, |session| session.userauth_pubkey_memory(user, None, key, None));
        signed.map_err(|stop| self.told(stop, offered))
    }

    fn by_password(&self, password: &str, offered: Vec<String>) -> Result<(), Error> {
        let user = &self.access.user;
        let has = |method: &str| offered.iter().any(|name| name == method);
        let signed = if has("keyboard-interactive") && !has("password") {
            self.connection.patiently(self.until, |session| {
                session.userauth_keyboard_interactive(user, &mut Answer(password))
            })
        } else {
            self.connection
                .patiently(self.until, |session| session.userauth_password(user, password))
        };
        signed.map_err(|stop| self.told(stop, offered))
    }

    /// Tries the agent's keys one after another.
    fn by_agent(&self, socket: &Path, offered: Vec<String>) -> Result<(), Error> {
        let unusable = |err: ssh2::Error| Error::CredentialUnusable {
            path: socket.to_owned(),
            why: format!("the agent does not answer: {}", err.message()),
        };
        let mut agent = self.connection.session.agent().map_err(unusable)?;
        agent.set_identity_path(socket).map_err(unusable)?;
        agent.connect().map_err(unusable)?;
        agent.list_identities().map_err(unusable)?;
        let user = &self.access.user;
        for key in agent.identities().map_err(unusable)? {
            match self.connection.patiently(self.until, |_| agent.userauth(user, &key)) {
                Ok(()) => return Ok(()),
                Err(Stop::Said(err)) if is_refused(&err) => {}
                Err(stop) => return Err(self.told(stop, offered)),
            }
        }
        Err(self.refused(offered))
    }

    fn refused(&self, offered: Vec<String>) -> Error {
        let Access { at, user, credential, .. } = self.access;
        let (at, user) = (at.clone(), user.clone());
        Error::AuthRefused { at, user, tried: credential.method(), offered }
    }

    fn told(&self, stop: Stop, offered: Vec<String>) -> Error {
        let Access { at, credential, .. } = self.access;
        match (stop, credential) {
            (Stop::Late, _) => Error::ConnectTimeout {
                at: at.clone(),
                after: self.budget,
                stalled: Phase::SigningIn,
            },
            (Stop::Said(err), _) if is_refused(&err) => self.refused(offered),
            (Stop::Said(err), Credential::KeyFile(path)) if is_about_the_file(&err) => {
                let why = format!("it is no private key without a passphrase ({})", err.message());
                Error::CredentialUnusable { path: path.clone(), why }
            }
            (stop @ (Stop::Said(_) | Stop::Broken(_)), _) => {
                Error::Unreachable { at: at.clone(), source: stop.into_cause() }
            }
        }
    }
}

/// Answers every question with the password: a machine that asks, asks for that.
struct Answer<'a>(&'a str);

impl KeyboardInteractivePrompt for Answer<'_> {
    fn prompt(&mut self, _: &str, _: &str, prompts: &[Prompt<'_>]) -> Vec<String> {
        prompts.iter().map(|_| self.0.to_owned()).collect()
    }
}
