//! Watches: a persistent recursive watch per path, armed again after every reconnect.
//!
//! The client loses persistent watches when it reconnects: it asks the server to set one-shot
//! watches again, never persistent ones. So a connection that came back is answered by arming the
//! watch anew and a [`Change::Resync`], as what happened in between was seen by nobody.

use std::time::Duration;

use common::port::store::{Change, Error, Path};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use zookeeper_client::{self as zk, AddWatchMode, EventType, PersistentWatcher, SessionState};

use super::failure;
use super::hints::Hints;
use super::session::{Connected, Link, Session};

const RETRY: Duration = Duration::from_millis(200);
const ARM_WITHIN: Duration = Duration::from_secs(5);

/// Returns once the watch is armed.
#[expect(clippy::disallowed_methods, reason = "events are read beside the reader of the hints")]
pub(super) async fn open(
    session: &Session,
    path: Path,
    deadline: Instant,
) -> Result<BoxStream<'static, Change>, Error> {
    let connected = session.connected(deadline).await?;
    let watcher = match timeout_at(deadline, arm(&connected, &path)).await {
        Ok(Ok(watcher)) => watcher,
        Ok(Err(err)) => return Err(failure::of_read(err)),
        Err(late) => return Err(Error::Unavailable(late.into())),
    };
    let hints = Hints::default();
    let pump = Pump { path, hints: hints.clone(), link: session.link() };
    let pumping = AbortOnDropHandle::new(tokio::spawn(pump.run(connected, watcher)));
    let hinting = stream::unfold((hints, pumping), |(hints, pumping)| async move {
        hints.next().await.map(|change| (change, (hints, pumping)))
    });
    Ok(hinting.boxed())
}

async fn arm(connected: &Connected, path: &Path) -> Result<PersistentWatcher, zk::Error> {
    connected.client.watch(path.as_str(), AddWatchMode::PersistentRecursive).await
}

/// Moves events of one path into hints, session after session.
struct Pump {
    path: Path,
    hints: Hints,
    link: watch::Receiver<Link>,
}

impl Pump {
    /// Ends when the store is dropped.
    async fn run(self, connected: Connected, watcher: PersistentWatcher) {
        let mut link = self.link.clone();
        let store_dropped = async { while link.changed().await.is_ok() {} };
        tokio::select! {
            biased;
            () = store_dropped => {}
            () = self.pump(connected, watcher) => {}
        }
        self.hints.close();
    }

    async fn pump(&self, mut connected: Connected, mut watcher: PersistentWatcher) {
        loop {
            self.follow(&connected, watcher).await;
            watcher = loop {
                let Some(next) = self.next_session(&connected).await else { return };
                connected = next;
                if let Some(armed) = self.arm_again(&connected).await {
                    break armed;
                }
            };
            self.hints.resync();
        }
    }

    /// Reads events until the session is over.
    async fn follow(&self, connected: &Connected, mut watcher: PersistentWatcher) {
        loop {
            let event = watcher.changed().await;
            match event.event_type {
                EventType::Session if event.session_state.is_terminated() => return,
                EventType::Session if event.session_state == SessionState::SyncConnected => {
                    match self.arm_again(connected).await {
                        Some(armed) => watcher = armed,
                        None => return,
                    }
                    self.hints.resync();
                }
                EventType::Session => {}
                EventType::NodeCreated
                | EventType::NodeDeleted
                | EventType::NodeDataChanged
                | EventType::NodeChildrenChanged => match event.path.parse() {
                    Ok(path) => self.hints.at(path),
                    // A record of somebody else, under a name that is none of ours.
                    Err(_) => self.hints.resync(),
                },
            }
        }
    }

    /// Arms the watch in this session; none once the session is over.
    async fn arm_again(&self, connected: &Connected) -> Option<PersistentWatcher> {
        while !connected.client.state().is_terminated() {
            match timeout(ARM_WITHIN, arm(connected, &self.path)).await {
                Ok(Ok(watcher)) => return Some(watcher),
                Ok(Err(err)) => {
                    tracing::debug!(error = &err as &dyn std::error::Error, path = %self.path, "a watch is not armed yet");
                }
                Err(_) => tracing::debug!(path = %self.path, "arming a watch took too long"),
            }
            sleep(RETRY).await;
        }
        None
    }

    /// Waits for a session other than this one; none once the store is dropped.
    async fn next_session(&self, last: &Connected) -> Option<Connected> {
        let mut link = self.link.clone();
        let is_next = |link: &Link| link.as_ref().is_some_and(|next| !next.is_same_session(last));
        link.wait_for(is_next).await.ok().and_then(|link| link.clone())
    }
}
