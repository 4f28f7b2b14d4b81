//! Machines over SSH: [`Hosts`] and [`Host`] on libssh2, for enrolment and repair.
//!
//! Owns how a command becomes what SSH carries, who is trusted, and what the machine's answers mean. Each connection
//! has a thread of its own, because the library serves one caller at a time; there is a bound on them. Never accepts
//! a host key that was not pinned, and never decides what should run.

mod exec;
mod failure;
mod file;
mod forward;
mod input;
pub(crate) mod key;
mod line;
mod quote;
pub(crate) mod secret_file;
mod session;
mod sign_in;

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use common::port::host::{
    Access, CONNECT, Command, Content, Error, FilePath, Forward, Gate, HostKey, NewFile, Output,
    Phase, Privilege, PublicKey,
};
use common::port::{Entropy, Host, Hosts};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout};

use line::Line;
use session::Connection;

/// How many connections there may be at once.
const CONNECTIONS: usize = 32;
/// How many ports may lead to machines at once.
const FORWARDS: usize = 128;
/// How many calls of one host may wait.
const CALLS: usize = 16;
/// A name server may take longer than the connection may: then nobody waits for the thread.
const SLACK: Duration = Duration::from_millis(500);

/// Signs in to machines over SSH. Clones are the same.
#[derive(Debug, Clone)]
pub struct SshHosts {
    entropy: Arc<dyn Entropy>,
    connections: Arc<Semaphore>,
    forwards: Arc<Semaphore>,
    budget: Duration,
}

impl SshHosts {
    /// `entropy` makes new keys.
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        let connections = Arc::new(Semaphore::new(CONNECTIONS));
        let forwards = Arc::new(Semaphore::new(FORWARDS));
        SshHosts { entropy, connections, forwards, budget: CONNECT }
    }

    /// Gives up a connection earlier than after [`CONNECT`].
    #[must_use]
    pub fn within(self, budget: Duration) -> Self {
        SshHosts { budget: budget.min(CONNECT), ..self }
    }

    fn late(&self, at: &Gate) -> Error {
        Error::ConnectTimeout { at: at.clone(), after: self.budget, stalled: Phase::Connecting }
    }

    async fn permit(&self, at: &Gate) -> Result<OwnedSemaphorePermit, Error> {
        let permit = timeout(self.budget, Arc::clone(&self.connections).acquire_owned()).await;
        match permit {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Error::SessionsExhausted { at: at.clone() }),
        }
    }
}

#[async_trait]
impl Hosts for SshHosts {
    async fn host_key(&self, at: &Gate) -> Result<HostKey, Error> {
        let permit = self.permit(at).await?;
        let (budget, asked) = (self.budget, at.clone());
        let shown = on_thread(move || {
            let until = Instant::now() + budget;
            let shown = Connection::open(&asked, None, until, budget);
            drop(permit);
            shown.map(|connection| connection.host_key.clone())
        });
        timeout(self.budget + SLACK, shown).await.unwrap_or_else(|_| Err(self.late(at)))
    }

    async fn connect(&self, access: &Access) -> Result<Arc<dyn Host>, Error> {
        let permit = self.permit(&access.at).await?;
        let forwards = Arc::clone(&self.forwards);
        let host = SshHost::new(access.clone(), self.budget, permit, forwards);
        let signed = host.ask(|line| line.sign_in().map(drop));
        let signed = timeout(self.budget + SLACK, signed).await;
        signed.unwrap_or_else(|_| Err(self.late(&access.at)))?;
        Ok(Arc::new(host))
    }

    async fn ensure_key(&self, file: &Path, comment: &str) -> Result<PublicKey, Error> {
        let (path, comment, seed) = (file.to_owned(), comment.to_owned(), self.entropy.secret());
        on_thread(move || key::ensure(&path, &comment, &seed)).await
    }
}

/// Blocking work on a thread of its own; the caller may stop waiting for it.
async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (answer, answered) = oneshot::channel();
    thread::spawn(move || drop(answer.send(work())));
    answered.await.expect("the work answers before its thread ends")
}

type Call = Box<dyn FnOnce(&mut Line) + Send>;

/// A machine that one is signed in to.
struct SshHost {
    access: Access,
    budget: Duration,
    forwards: Arc<Semaphore>,
    calls: mpsc::Sender<Call>,
}

impl fmt::Debug for SshHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshHost").field("access", &self.access).finish_non_exhaustive()
    }
}

impl SshHost {
    /// The thread ends, and the connection with it, when nobody has the host any more.
    fn new(
        access: Access,
        budget: Duration,
        permit: OwnedSemaphorePermit,
        forwards: Arc<Semaphore>,
    ) -> Self {
        let (calls, mut asked) = mpsc::channel::<Call>(CALLS);
        let mut line = Line::new(access.clone(), budget);
        thread::spawn(move || {
            while let Some(call) = asked.blocking_recv() {
                call(&mut line);
            }
            drop(permit);
        });
        SshHost { access, budget, forwards, calls }
    }

    fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Line) -> Result<T, Error> + Send + 'static,
    ) -> impl Future<Output = Result<T, Error>> + Send {
        let (answer, answered) = oneshot::channel();
        let call: Call = Box::new(move |line| drop(answer.send(work(line))));
        let lost = || Error::ConnectionLost {
            at: self.access.at.clone(),
            source: "its thread ended".into(),
        };
        async move {
            self.calls.send(call).await.map_err(|_| lost())?;
            answered.await.map_err(|_| lost())?
        }
    }
}

#[async_trait]
impl Host for SshHost {
    fn access(&self) -> &Access {
        &self.access
    }

    async fn run(&self, command: &Command) -> Result<Output, Error> {
        let command = command.clone();
        self.ask(move |line| line.run(&command)).await
    }

    async fn write(&self, file: &NewFile, content: Content) -> Result<(), Error> {
        let (input, source) = input::of(content);
        let file = file.clone();
        let mut written = Box::pin(self.ask(move |line| line.write(&file, input)));
        if let Some(source) = source {
            tokio::select! {
                biased;
                written = &mut written => return written,
                () = source.hand_over() => {}
            }
        }
        written.await
    }

    async fn read(
        &self,
        path: &FilePath,
        privilege: Privilege,
        limit: usize,
    ) -> Result<Option<Bytes>, Error> {
        let path = path.clone();
        self.ask(move |line| line.read(&path, privilege, limit)).await
    }

    async fn authorize(&self, key: &PublicKey) -> Result<(), Error> {
        let key = key.clone();
        self.ask(move |line| line.authorize(&key)).await
    }

    async fn forward(&self, to: SocketAddr) -> Result<Box<dyn Forward>, Error> {
        let exhausted = |_| Error::SessionsExhausted { at: self.access.at.clone() };
        let permit = Arc::clone(&self.forwards).try_acquire_owned().map_err(exhausted)?;
        let (access, budget) = (self.access.clone(), self.budget);
        let opening = on_thread(move || forward::open(access, to, budget, permit));
        let late = || {
            let at = self.access.at.clone();
            Err(Error::ConnectTimeout { at, after: budget, stalled: Phase::Connecting })
        };
        let way = timeout(budget + SLACK, opening).await.unwrap_or_else(|_| late())?;
        Ok(Box::new(way))
    }
}
