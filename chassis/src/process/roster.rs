//! What runs in a process, for who looks after it from inside: how each service is, and having one end and begin anew.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use common::port::Clock as _;
use common::service::ServiceName;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::life::Bound;
use crate::lifecycle::Lifecycle;
use crate::system::SystemClock;

/// The services of one process. Clones are the same roster.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    members: Arc<Mutex<BTreeMap<ServiceName, Member>>>,
    stop: CancellationToken,
}

/// A service of the process, as it is now.
#[derive(Debug, Clone)]
pub struct Member {
    pub lifecycle: Lifecycle,
    pub turn: Turn,
    /// Where it listens for people.
    pub plain: Option<SocketAddr>,
    /// How often it was begun anew.
    pub restarts: u32,
    is_renewable: bool,
}

/// What a service does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Runs {
        since: Timestamp,
    },
    /// It ends, and is begun anew then.
    Restarts {
        since: Timestamp,
    },
}

/// Why a service is not begun anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotRestarted {
    #[error("it does not run in this process")]
    Absent,
    #[error("it ends with its process only")]
    Fixed,
    #[error("its process ends")]
    Stopping,
}

impl Roster {
    pub fn members(&self) -> BTreeMap<ServiceName, Member> {
        self.with(|members| members.clone())
    }

    /// What each service tells about itself, and how it is told to stop.
    pub fn lifecycles(&self) -> Vec<(ServiceName, Lifecycle)> {
        self.with(|members| {
            members.iter().map(|(name, member)| (*name, member.lifecycle.clone())).collect()
        })
    }

    /// Has a service end and begin anew, and returns at once. Asked again before it has, it does so once.
    pub fn restart(&self, service: ServiceName) -> Result<(), NotRestarted> {
        if self.is_stopping() {
            return Err(NotRestarted::Stopping);
        }
        self.with(|members| {
            let member = members.get_mut(&service).ok_or(NotRestarted::Absent)?;
            if !member.is_renewable {
                return Err(NotRestarted::Fixed);
            }
            if let Turn::Runs { .. } = member.turn {
                member.turn = Turn::Restarts { since: SystemClock.now() };
                member.lifecycle.stop();
            }
            Ok(())
        })
    }

    /// Completes when the process ends.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Every service stops, and none is begun anew.
    pub(super) fn stop(&self) {
        self.stop.cancel();
        self.with(|members| members.values().for_each(|member| member.lifecycle.stop()));
    }

    /// From now on this is the service's life. Where the process has begun to end, it ends at once.
    pub(super) fn begins(&self, bound: &Bound) {
        self.with(|members| {
            let service = bound.service.name();
            let restarts = members.get(&service).map_or(0, |before| before.restarts + 1);
            let member = Member {
                lifecycle: bound.lifecycle.clone(),
                turn: Turn::Runs { since: SystemClock.now() },
                plain: bound.listeners.plain,
                restarts,
                is_renewable: bound.make.is_some(),
            };
            members.insert(service, member);
            if self.is_stopping() {
                bound.lifecycle.stop();
            }
        });
    }

    /// Whether it ends because it is to begin anew.
    pub(super) fn is_to_begin_anew(&self, service: ServiceName) -> bool {
        let restarts =
            |member: &Member| matches!(member.turn, Turn::Restarts { .. }) && !self.is_stopping();
        self.with(|members| members.get(&service).is_some_and(restarts))
    }

    fn with<T>(&self, look: impl FnOnce(&mut BTreeMap<ServiceName, Member>) -> T) -> T {
        look(&mut self.members.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
