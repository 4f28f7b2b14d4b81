//! Services as a process: listeners bound first, loops and listeners run together, SIGTERM and SIGINT
//! stop all of it within a bound. A process has one service, or all of a small platform; there a service can
//! be begun anew while the others go on.

mod life;
mod roster;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::service::ServiceName;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::http;
use crate::lifecycle::Lifecycle;
use crate::service::{self, Service};

use life::Bound;
pub use roster::{Member, NotRestarted, Roster, Turn};

/// How long stopping may take before the process ends anyway.
const STOP_WITHIN: Duration = Duration::from_secs(9);

/// Why a process ended with an error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a listener of {service} cannot be opened")]
    Listener {
        service: ServiceName,
        #[source]
        source: http::BindError,
    },
    #[error("signals cannot be received")]
    Signals(#[source] std::io::Error),
    #[error("a listener of {service} failed")]
    Serve {
        service: ServiceName,
        #[source]
        source: std::io::Error,
    },
    #[error("{service} ended")]
    Service {
        service: ServiceName,
        #[source]
        source: service::Error,
    },
}

/// Makes a service, as often as it is to begin anew: with a session of its own, and nothing in memory.
pub type Make = Box<dyn Fn() -> Result<Arc<dyn Service>, service::Error>>;

/// One service of a process, and what it listens on.
#[expect(missing_debug_implementations, reason = "a service has no debug form")]
pub struct Part {
    service: Arc<dyn Service>,
    http: http::Config,
    make: Option<Make>,
}

impl Part {
    /// A service that ends with its process only.
    pub fn fixed(service: Arc<dyn Service>, http: http::Config) -> Self {
        Part { service, http, make: None }
    }

    /// A service that can be begun anew in its process.
    pub fn renewable(make: Make, http: http::Config) -> Result<Self, service::Error> {
        Ok(Part { service: make()?, http, make: Some(make) })
    }
}

/// Services whose listeners are open, but which do nothing yet.
#[expect(missing_debug_implementations, reason = "a service has no debug form")]
pub struct Process {
    parts: Vec<Bound>,
    roster: Roster,
    log_file: Option<PathBuf>,
    terminate: Signal,
    interrupt: Signal,
}

impl Process {
    /// Opens the listeners of every part. `log_file` is what all of them show at `/get_logs`. Who has the roster
    /// sees how the services are, and has them begun anew.
    pub fn bind(parts: Vec<Part>, log_file: Option<&Path>, roster: &Roster) -> Result<Self, Error> {
        let terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
        let bind = |part: Part| {
            let Part { service, http, make } = part;
            let (name, lifecycle) = (service.name(), Lifecycle::new());
            let bound = http::bind(&http, &service, &lifecycle, log_file.map(Path::to_owned));
            let listeners = bound.map_err(|source| Error::Listener { service: name, source })?;
            // Who took a free port keeps it when it begins anew.
            let (address, internal_address) = (listeners.plain, listeners.internal);
            let http = http::Config { address, internal_address, ..http };
            let bound = Bound { service, lifecycle, listeners, http, make };
            roster.begins(&bound);
            Ok(bound)
        };
        let parts = parts.into_iter().map(bind).collect::<Result<_, _>>()?;
        let (roster, log_file) = (roster.clone(), log_file.map(Path::to_owned));
        Ok(Process { parts, roster, log_file, terminate, interrupt })
    }

    /// Runs all of it until it is told to stop. Where one service ends, the others are stopped, unless it is only to
    /// begin anew.
    pub async fn run(mut self) -> Result<(), Error> {
        let (roster, log_file) = (&self.roster, self.log_file.as_deref());
        let mut parts: FuturesUnordered<_> =
            self.parts.into_iter().map(|part| part.keep(roster, log_file)).collect();
        let signals = async {
            tokio::select! {
                biased;
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
                () = roster.stopping() => {}
            }
            roster.stop();
            tokio::time::sleep(STOP_WITHIN).await;
            tracing::warn!("stopping took too long; ending with work under way");
        };
        let work = async {
            let mut result = Ok(());
            while let Some(ended) = parts.next().await {
                roster.stop();
                result = result.and(ended);
            }
            result
        };
        tokio::select! {
            biased;
            result = work => result,
            () = signals => Ok(()),
        }
    }
}
