//! [`ZkStore`]: the store on Apache `ZooKeeper`.
//!
//! Owns the session: it is kept for the store's life, and a new one begins when it expires. Every
//! call has a deadline; a call that starts while the connection is down is not queued but waits for
//! it, so that what is said to be `Unavailable` is never done later.

mod failure;
mod hints;
mod session;
mod transaction;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use common::port::Store;
use common::port::store::{Change, Done, Entry, Error, Op, Path, Version, check_limits};
use futures::stream::BoxStream;
use tokio::time::{Instant, timeout_at};
use zookeeper_client as zk;

use self::session::{Connected, Session};

/// How long one call may take, reconnecting included.
const CALL_WITHIN: Duration = Duration::from_secs(5);
/// A read whose connection was lost is asked again after this time.
const READ_AGAIN: Duration = Duration::from_millis(50);
/// How often missing parents are made for one transaction, should somebody remove them meanwhile.
const TRIES: usize = 3;

/// Where `ZooKeeper` is, and how long it waits for a silent client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZooKeeperSettings {
    /// `host:port` of each server, separated by commas.
    pub servers: String,
    /// The record that stands for `/`; made if it is missing.
    pub chroot: Option<Path>,
    pub session_timeout: Duration,
}

impl ZooKeeperSettings {
    /// The settings of the platform: the whole tree, sessions of 6 s.
    pub fn new(servers: impl Into<String>) -> Self {
        ZooKeeperSettings {
            servers: servers.into(),
            chroot: None,
            session_timeout: Duration::from_secs(6),
        }
    }
}

/// The store on `ZooKeeper`. Clones share one session, which ends with the last of them.
#[derive(Debug, Clone)]
pub struct ZkStore {
    session: Arc<Session>,
}

impl ZkStore {
    /// Starts connecting and returns at once: a server that is late is waited for, and until it is
    /// there every call is `Unavailable`. Settings that can never work are `Refused`. To be called
    /// inside a runtime.
    pub fn connect(settings: &ZooKeeperSettings) -> Result<Self, Error> {
        Ok(ZkStore { session: Arc::new(Session::start(settings)?) })
    }

    /// Asks again while the connection is lost, until the deadline.
    async fn read<T, F>(&self, ask: impl Fn(Connected) -> F + Send) -> Result<T, Error>
    where
        F: Future<Output = Result<T, zk::Error>> + Send,
    {
        let deadline = Instant::now() + CALL_WITHIN;
        loop {
            let connected = self.session.connected(deadline).await?;
            match timeout_at(deadline, ask(connected)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(err)) if failure::is_passing(&err) => {
                    tracing::debug!(error = &err as &dyn std::error::Error, "asking again");
                    tokio::time::sleep(READ_AGAIN).await;
                }
                Ok(Err(err)) => return Err(failure::of_read(err)),
                Err(late) => return Err(Error::Unavailable(late.into())),
            }
        }
    }
}

#[async_trait]
impl Store for ZkStore {
    async fn get(&self, path: &Path) -> Result<Option<Entry>, Error> {
        let found = self
            .read(async |connected: Connected| {
                match connected.client.get_data(path.as_str()).await {
                    Err(zk::Error::NoNode) => Ok(None),
                    other => other.map(Some),
                }
            })
            .await?;
        Ok(found.map(|(value, stat)| Entry {
            value: Bytes::from(value),
            version: Version(stat.version.into()),
        }))
    }

    async fn children(&self, path: &Path) -> Result<Vec<String>, Error> {
        let mut names = self
            .read(async |connected: Connected| {
                match connected.client.list_children(path.as_str()).await {
                    Err(zk::Error::NoNode) => Ok(Vec::new()),
                    other => other,
                }
            })
            .await?;
        names.sort_unstable();
        Ok(names)
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        check_limits(&ops)?;
        let deadline = Instant::now() + CALL_WITHIN;
        let steps = transaction::steps(&ops)?;
        for _ in 0..TRIES {
            let connected = self.session.connected(deadline).await?;
            let sent = transaction::send(&connected.client, &steps)?;
            match timeout_at(deadline, sent).await {
                Ok(Ok(left)) => return Ok(transaction::done(&steps, left)),
                Ok(Err(err)) if transaction::lacks_parents(&steps, &err) => {
                    session::make_parents(&connected, &ops, deadline).await?;
                }
                Ok(Err(err)) => return Err(transaction::refusal(&steps, err)),
                Err(late) => return Err(Error::OutcomeUnknown(late.into())),
            }
        }
        Err(Error::Unavailable("the parents of a record vanish while they are made".into()))
    }

    async fn sync(&self) -> Result<(), Error> {
        self.read(async |connected: Connected| connected.client.sync("/").await).await
    }

    async fn watch(&self, path: &Path) -> Result<BoxStream<'static, Change>, Error> {
        watch::open(&self.session, path.clone(), Instant::now() + CALL_WITHIN).await
    }
}
