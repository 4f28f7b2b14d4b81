//! One service from its beginning to its end, and anew if that is why it ended.

use std::future::pending;
use std::io::ErrorKind;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use common::service::ServiceName;
use futures::future::LocalBoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::{Instant, sleep};

use super::{Error, Make, Roster};
use crate::http::{self, BindError, Listeners};
use crate::lifecycle::Lifecycle;
use crate::service::Service;

/// How long a service may take to end that is to begin anew; then it ends as in a crash.
const END_WITHIN: Duration = Duration::from_secs(3);
/// How long its listeners may take to be closed by the system.
const FREE_WITHIN: Duration = Duration::from_secs(2);
const TRY_EVERY: Duration = Duration::from_millis(10);
/// How often a process shows that its loops get their turns at all: whoever blocks all of them blocks this one.
const BEAT_EVERY: Duration = Duration::from_secs(5);

/// A service whose listeners are open.
pub(super) struct Bound {
    pub(super) service: Arc<dyn Service>,
    pub(super) lifecycle: Lifecycle,
    pub(super) listeners: Listeners,
    pub(super) http: http::Config,
    pub(super) make: Option<Make>,
}

/// Listeners at work, also those of a life before: what they took is answered while the next one begins.
struct Serving {
    open: FuturesUnordered<LocalBoxFuture<'static, Result<(), Error>>>,
    result: Result<(), Error>,
}

impl Bound {
    /// Runs the service until it ends for good.
    pub(super) async fn keep(
        mut self,
        roster: &Roster,
        log_file: Option<&Path>,
    ) -> Result<(), Error> {
        let mut serving = Serving { open: FuturesUnordered::new(), result: Ok(()) };
        loop {
            let Bound { service, lifecycle, listeners, http, make } = self;
            let name = service.name();
            tracing::info!(service = %name, plain = ?listeners.plain, internal = ?listeners.internal, "started");
            serving.open.push(Box::pin(serve(name, listeners, lifecycle.clone())));
            let ran = serving.during(run(&service, &lifecycle, roster)).await;
            tracing::info!(service = %name, "stopped");
            let make = make.filter(|_| roster.is_to_begin_anew(name));
            let Some(make) = make else { return ran.and(serving.end().await) };
            if let Err(err) = ran {
                tracing::warn!(error = &err as &dyn std::error::Error, service = %name, "it ended with an error before it is begun anew");
            }
            // Its session ends with it, before the next one's begins.
            drop(service);
            self = serving.during(begin(name, make, http, log_file)).await?;
            roster.begins(&self);
        }
    }
}

/// Makes the service, and opens its listeners once the system has let go of those before.
async fn begin(
    name: ServiceName,
    make: Make,
    http: http::Config,
    log_file: Option<&Path>,
) -> Result<Bound, Error> {
    let service = make().map_err(|source| Error::Service { service: name, source })?;
    let lifecycle = Lifecycle::new();
    let until = Instant::now() + FREE_WITHIN;
    let listeners = loop {
        match http::bind(&http, &service, &lifecycle, log_file.map(Path::to_owned)) {
            Ok(listeners) => break listeners,
            Err(BindError::Bind { source, .. })
                if source.kind() == ErrorKind::AddrInUse && Instant::now() < until =>
            {
                sleep(TRY_EVERY).await;
            }
            Err(source) => return Err(Error::Listener { service: name, source }),
        }
    };
    Ok(Bound { service, lifecycle, listeners, http, make: Some(make) })
}

async fn run(
    service: &Arc<dyn Service>,
    lifecycle: &Lifecycle,
    roster: &Roster,
) -> Result<(), Error> {
    let name = service.name();
    let running = async {
        let ran = service.run(lifecycle.clone()).await;
        // Loops that end take the listeners with them: a process that does nothing must not look alive.
        lifecycle.stop();
        ran.map_err(|source| Error::Service { service: name, source })
    };
    let beat = lifecycle.beat("process");
    let turning = async {
        loop {
            beat.now();
            sleep(BEAT_EVERY).await;
        }
    };
    let too_long = async {
        lifecycle.stopping().await;
        if !roster.is_to_begin_anew(name) {
            return pending().await;
        }
        sleep(END_WITHIN).await;
        tracing::warn!(service = %name, "it did not end in time and is begun anew with work under way");
        Ok(())
    };
    tokio::select! {
        biased;
        ran = running => ran,
        ran = too_long => ran,
        () = turning => Ok(()),
    }
}

async fn serve(name: ServiceName, listeners: Listeners, lifecycle: Lifecycle) -> Result<(), Error> {
    let served = listeners.serve(&lifecycle).await;
    served.map_err(|source| Error::Serve { service: name, source })
}

impl Serving {
    /// Goes on serving while something is done.
    async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                Some(served) = self.open.next() => self.note(served),
            }
        }
    }

    async fn end(mut self) -> Result<(), Error> {
        while let Some(served) = self.open.next().await {
            self.note(served);
        }
        self.result
    }

    /// The first failure counts.
    fn note(&mut self, served: Result<(), Error>) {
        if self.result.is_ok() {
            self.result = served;
        }
    }
}
