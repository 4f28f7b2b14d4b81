//! Machines whose lines are cut at one moment: before what was asked is done, or after it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use common::port::host::{
    Access, Command, Content, Error, FilePath, Forward, Gate, HostKey, NewFile, Output, Privilege,
    PublicKey,
};
use common::port::{Host, Hosts};

/// When the caller's power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Before(usize),
    After(usize),
}

/// The same machines, until the moment; afterwards nothing reaches them.
#[derive(Debug, Clone)]
pub(crate) struct CutHosts {
    inner: Arc<dyn Hosts>,
    calls: Arc<AtomicUsize>,
    moment: Moment,
}

impl CutHosts {
    pub(crate) fn new(inner: Arc<dyn Hosts>, moment: Moment) -> Self {
        CutHosts { inner, calls: Arc::default(), moment }
    }

    /// Whether this call may be done, and whether its answer arrives.
    fn count(&self) -> (bool, bool) {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        match self.moment {
            Moment::Before(last) => (number < last, number < last),
            Moment::After(last) => (number <= last, number < last),
        }
    }

    async fn pass<T>(
        &self,
        at: &Gate,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        // Not one that is tried again.
        let lost = || Error::File {
            at: at.clone(),
            path: "/power".parse().unwrap(),
            said: "cut".to_owned(),
        };
        let (done, answered) = self.count();
        if !done {
            return Err(lost());
        }
        let answer = call.await;
        if answered { answer } else { Err(lost()) }
    }
}

#[async_trait]
impl Hosts for CutHosts {
    async fn host_key(&self, at: &Gate) -> Result<HostKey, Error> {
        self.pass(at, self.inner.host_key(at)).await
    }

    async fn connect(&self, access: &Access) -> Result<Arc<dyn Host>, Error> {
        let host = self.pass(&access.at, self.inner.connect(access)).await?;
        Ok(Arc::new(CutHost { hosts: self.clone(), inner: host }))
    }

    async fn ensure_key(&self, file: &Path, comment: &str) -> Result<PublicKey, Error> {
        let here = Gate::new("here");
        self.pass(&here, self.inner.ensure_key(file, comment)).await
    }
}

#[derive(Debug)]
struct CutHost {
    hosts: CutHosts,
    inner: Arc<dyn Host>,
}

#[async_trait]
impl Host for CutHost {
    fn access(&self) -> &Access {
        self.inner.access()
    }

    async fn run(&self, command: &Command) -> Result<Output, Error> {
        self.hosts.pass(&self.access().at, self.inner.run(command)).await
    }

    async fn write(&self, file: &NewFile, content: Content) -> Result<(), Error> {
        self.hosts.pass(&self.access().at, self.inner.write(file, content)).await
    }

    async fn read(
        &self,
        path: &FilePath,
        privilege: Privilege,
        limit: usize,
    ) -> Result<Option<Bytes>, Error> {
        self.hosts.pass(&self.access().at, self.inner.read(path, privilege, limit)).await
    }

    async fn authorize(&self, key: &PublicKey) -> Result<(), Error> {
        self.hosts.pass(&self.access().at, self.inner.authorize(key)).await
    }

    async fn forward(&self, to: SocketAddr) -> Result<Box<dyn Forward>, Error> {
        self.inner.forward(to).await
    }
}
