//! Keeps a session: connects, waits out lost connections, and begins another when one has expired.

use std::collections::BTreeSet;
use std::time::Duration;

use common::port::store::{Error, Op, Path};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use zookeeper_client::{self as zk, Acls, Client, CreateMode, SessionState};

use super::{ZooKeeperSettings, failure, transaction};

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(2);

/// A session with a server at the other end.
#[derive(Debug, Clone)]
pub(super) struct Connected {
    /// Its paths begin at the chroot.
    pub(super) client: Client,
    /// Its paths begin at the real root.
    whole: Client,
    chroot: Option<Path>,
}

impl Connected {
    pub(super) fn is_same_session(&self, other: &Connected) -> bool {
        self.client.session_id() == other.client.session_id()
    }
}

/// The state of the connection; `None` while it is down.
pub(super) type Link = Option<Connected>;

/// One session after the other. The last ends when this is dropped.
#[derive(Debug)]
pub(super) struct Session {
    link: watch::Receiver<Link>,
    _keeping: AbortOnDropHandle<()>,
}

impl Session {
    #[expect(clippy::disallowed_methods, reason = "the session lives beside the calls that use it")]
    pub(super) fn start(settings: &ZooKeeperSettings) -> Result<Self, Error> {
        let names_servers = settings.servers.split(',').all(|server| !server.trim().is_empty());
        if !names_servers || settings.servers.contains('/') {
            let servers = &settings.servers;
            return Err(Error::Refused(format!("{servers:?} is no list of host:port")));
        }
        let (sender, link) = watch::channel(None);
        let keeping = tokio::spawn(keep(settings.clone(), sender));
        Ok(Session { link, _keeping: AbortOnDropHandle::new(keeping) })
    }

    /// The connected session; waits for it until the deadline.
    pub(super) async fn connected(&self, deadline: Instant) -> Result<Connected, Error> {
        let mut link = self.link.clone();
        let up = timeout_at(deadline, link.wait_for(Option::is_some)).await;
        match up {
            Ok(Ok(link)) => link.clone().ok_or_else(|| Error::Unavailable("not connected".into())),
            Ok(Err(ended)) => Err(Error::Unavailable(ended.into())),
            Err(_) => Err(Error::Unavailable("there is no connection to ZooKeeper".into())),
        }
    }

    /// What tells of every change of the connection, and of the end of this store.
    pub(super) fn link(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }
}

async fn keep(settings: ZooKeeperSettings, link: watch::Sender<Link>) {
    let mut retry = FIRST_RETRY;
    loop {
        match open(&settings).await {
            Ok(connected) => {
                retry = FIRST_RETRY;
                follow(connected, &link).await;
                tracing::warn!("the ZooKeeper session ended; beginning another");
            }
            Err(err) => {
                tracing::warn!(
                    error = &err as &dyn std::error::Error,
                    "no ZooKeeper session; trying again"
                );
                sleep(retry).await;
                retry = (retry * 2).min(LAST_RETRY);
            }
        }
    }
}

/// Begins a session, and makes the chroot.
async fn open(settings: &ZooKeeperSettings) -> Result<Connected, zk::Error> {
    let connector = Client::connector().with_session_timeout(settings.session_timeout);
    let within = settings.session_timeout * 2;
    let connecting = timeout(within, connector.connect(&settings.servers)).await;
    let whole = connecting.map_err(|_| zk::Error::Timeout)??;
    let chroot = settings.chroot.clone();
    let client = match &chroot {
        None => whole.clone(),
        Some(chroot) => {
            let making = timeout(within, whole.mkdir(chroot.as_str(), &persistent())).await;
            making.map_err(|_| zk::Error::Timeout)??;
            whole.clone().chroot(chroot.as_str()).unwrap_or_else(|whole| whole)
        }
    };
    Ok(Connected { client, whole, chroot })
}

/// Says how the connection is, until the session is over.
async fn follow(connected: Connected, link: &watch::Sender<Link>) {
    let mut states = connected.client.state_watcher();
    let mut state = states.peek_state();
    while !state.is_terminated() {
        let up = state == SessionState::SyncConnected;
        link.send_replace(up.then(|| connected.clone()));
        state = states.changed().await;
    }
    link.send_replace(None);
}

/// Makes the records that new ones of a transaction stand below, outside of it.
pub(super) async fn make_parents(
    connected: &Connected,
    ops: &[Op],
    deadline: Instant,
) -> Result<(), Error> {
    let chroot = connected.chroot.as_ref().map_or("", Path::as_str);
    let parents: BTreeSet<Path> = transaction::outer_parents(ops);
    for parent in parents {
        let path = format!("{chroot}{parent}");
        let options = persistent();
        let making = connected.whole.mkdir(&path, &options);
        match timeout_at(deadline, making).await {
            Ok(Ok(())) => {}
            // The transaction itself was not done.
            Ok(Err(err)) => return Err(failure::of_read(err)),
            Err(late) => return Err(Error::Unavailable(late.into())),
        }
    }
    Ok(())
}

pub(super) fn persistent() -> zk::CreateOptions<'static> {
    CreateMode::Persistent.with_acls(Acls::anyone_all())
}
