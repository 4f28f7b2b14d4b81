//! One service as a process: listeners bound first, loops and listeners run together, SIGTERM and
//! SIGINT stop both within a bound.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::http;
use crate::lifecycle::Lifecycle;
use crate::service::{self, Service};

/// How long stopping may take before the process ends anyway.
const STOP_WITHIN: Duration = Duration::from_secs(9);

/// Why a process ended with an error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a listener cannot be opened")]
    Listener(#[source] http::BindError),
    #[error("signals cannot be received")]
    Signals(#[source] std::io::Error),
    #[error("a listener failed")]
    Serve(#[source] std::io::Error),
    #[error("the service ended")]
    Service(#[source] service::Error),
}

/// Runs a service until it is told to stop.
pub async fn run(
    service: Arc<dyn Service>,
    config: &http::Config,
    log_file: Option<PathBuf>,
) -> Result<(), Error> {
    let lifecycle = Lifecycle::new();
    let listeners = http::bind(config, &service, &lifecycle, log_file).map_err(Error::Listener)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    tracing::info!(service = %service.name(), plain = ?listeners.plain, internal = ?listeners.internal, "started");

    let signals = async {
        tokio::select! {
            biased;
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = lifecycle.stopping() => {}
        }
        lifecycle.stop();
        tokio::time::sleep(STOP_WITHIN).await;
        tracing::warn!("stopping took too long; ending with work under way");
    };
    let work = async {
        let serving = async { listeners.serve(&lifecycle).await.map_err(Error::Serve) };
        let running = async {
            let result = service.run(lifecycle.clone()).await.map_err(Error::Service);
            // Loops that end take the listeners with them: a process that does nothing must not look alive.
            lifecycle.stop();
            result
        };
        let (served, ran) = futures::join!(serving, running);
        ran.and(served)
    };
    let result = tokio::select! {
        biased;
        result = work => result,
        () = signals => Ok(()),
    };
    tracing::info!(service = %service.name(), "stopped");
    result
}
