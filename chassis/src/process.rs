//! Services as a process: listeners bound first, loops and listeners run together, SIGTERM and SIGINT
//! stop all of it within a bound. A process has one service, or all of a small platform.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::service::ServiceName;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::http::{self, Listeners};
use crate::lifecycle::Lifecycle;
use crate::service::{self, Service};

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

/// One service of a process, and what it listens on.
#[expect(missing_debug_implementations, reason = "a service has no debug form")]
pub struct Part {
    pub service: Arc<dyn Service>,
    pub http: http::Config,
}

/// Services whose listeners are open, but which do nothing yet.
#[expect(missing_debug_implementations, reason = "a service has no debug form")]
pub struct Process {
    parts: Vec<Bound>,
    terminate: Signal,
    interrupt: Signal,
}

struct Bound {
    service: Arc<dyn Service>,
    lifecycle: Lifecycle,
    listeners: Listeners,
}

impl Process {
    /// Opens the listeners of every part. `log_file` is what all of them show at `/get_logs`.
    pub fn bind(parts: Vec<Part>, log_file: Option<&Path>) -> Result<Self, Error> {
        let terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
        let bind = |part: Part| {
            let Part { service, http } = part;
            let lifecycle = Lifecycle::new();
            let bound = http::bind(&http, &service, &lifecycle, log_file.map(Path::to_owned));
            match bound {
                Ok(listeners) => Ok(Bound { service, lifecycle, listeners }),
                Err(source) => Err(Error::Listener { service: service.name(), source }),
            }
        };
        let parts = parts.into_iter().map(bind).collect::<Result<_, _>>()?;
        Ok(Process { parts, terminate, interrupt })
    }

    /// What each service tells about itself, and how it is told to stop.
    pub fn lifecycles(&self) -> Vec<(ServiceName, Lifecycle)> {
        self.parts.iter().map(|part| (part.service.name(), part.lifecycle.clone())).collect()
    }

    /// Runs all of it until it is told to stop. Where one service ends, the others are stopped.
    pub async fn run(mut self) -> Result<(), Error> {
        let lifecycles: Vec<_> = self.lifecycles().into_iter().map(|(_, each)| each).collect();
        let mut parts: FuturesUnordered<_> = self.parts.into_iter().map(Bound::run).collect();
        let signals = async {
            tokio::select! {
                biased;
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
                () = any_stopping(&lifecycles) => {}
            }
            lifecycles.iter().for_each(Lifecycle::stop);
            tokio::time::sleep(STOP_WITHIN).await;
            tracing::warn!("stopping took too long; ending with work under way");
        };
        let work = async {
            let mut result = Ok(());
            while let Some(ended) = parts.next().await {
                lifecycles.iter().for_each(Lifecycle::stop);
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

async fn any_stopping(lifecycles: &[Lifecycle]) {
    let mut stopping: FuturesUnordered<_> = lifecycles.iter().map(Lifecycle::stopping).collect();
    stopping.next().await;
}

impl Bound {
    async fn run(self) -> Result<(), Error> {
        let Bound { service, lifecycle, listeners } = self;
        let name = service.name();
        tracing::info!(service = %name, plain = ?listeners.plain, internal = ?listeners.internal, "started");
        let serving = async {
            let served = listeners.serve(&lifecycle).await;
            served.map_err(|source| Error::Serve { service: name, source })
        };
        let running = async {
            let ran = service.run(lifecycle.clone()).await;
            // Loops that end take the listeners with them: a process that does nothing must not look alive.
            lifecycle.stop();
            ran.map_err(|source| Error::Service { service: name, source })
        };
        let (served, ran) = futures::join!(serving, running);
        tracing::info!(service = %name, "stopped");
        ran.and(served)
    }
}
