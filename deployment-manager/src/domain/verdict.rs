//! What a look at a replica, a failed call, or an answer through the front door means.

use common::failure::{Failure, FailureCode};
use common::port::nodes::{self, Probe};
use common::port::routes;
use common::record::deployment::Slot;
use common::record::release::Release;
use jiff::Timestamp;

use super::patience::Patience;

/// What becomes of a replica, or of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good,
    /// Not yet, for this reason.
    Wait(Failure),
    Bad(Failure),
}

/// What a look at a replica that was started says.
pub(crate) fn of_probe(
    probe: &Probe,
    slot: &Slot,
    release: &Release,
    patience: &Patience,
    now: Timestamp,
) -> Verdict {
    let late = now.duration_since(slot.since) >= patience.health;
    let missing = match probe {
        Probe::Healthy => return Verdict::Good,
        Probe::Exited { code, out_of_memory, crash_loop } => {
            return Verdict::Bad(exited(*code, *out_of_memory, *crash_loop, release));
        }
        Probe::NotListening { listening } => not_listening(listening, release.port),
        Probe::Unhealthy { status } => unhealthy(*status, release),
        Probe::Absent => "its container is gone".to_owned(),
    };
    let failure = Failure::new(FailureCode::HealthTimeout, missing);
    if late { Verdict::Bad(failure) } else { Verdict::Wait(failure) }
}

/// Why a container's process ended.
pub(crate) fn exited(
    code: i64,
    out_of_memory: bool,
    crash_loop: bool,
    release: &Release,
) -> Failure {
    if out_of_memory {
        let mebibytes = release.limits.memory_bytes / (1024 * 1024);
        let message = format!("it took more memory than its limit of {mebibytes} MiB");
        Failure::new(FailureCode::OomKilled, message)
    } else if crash_loop {
        let message = format!("it ended again and again, last with code {code}");
        Failure::new(FailureCode::CrashLoop, message)
    } else {
        Failure::new(FailureCode::AppExited, format!("it ended with code {code}"))
    }
}

fn not_listening(listening: &[String], port: u16) -> String {
    if listening.is_empty() {
        format!("nothing listens on {port}")
    } else {
        format!("nothing listens on {port} (found {})", listening.join(", "))
    }
}

fn unhealthy(status: Option<u16>, release: &Release) -> String {
    let path = release.health_path.as_deref().unwrap_or("/");
    match status {
        Some(status) => format!("GET {path} on {} answered {status}", release.port),
        None => format!("GET {path} on {} was not answered", release.port),
    }
}

/// What it means that a replica could not be started.
pub(crate) fn of_start(
    err: &nodes::Error,
    slot: &Slot,
    patience: &Patience,
    now: Timestamp,
) -> Verdict {
    let waited = now.duration_since(slot.since);
    match err {
        nodes::Error::Failed { failure, .. } => {
            // Another node that may have it is asked once: the registry has had its time at the first.
            let may_come =
                failure.code == FailureCode::ImageUnavailable && slot.images_missing == 0;
            if may_come && waited < patience.image {
                Verdict::Wait(failure.clone())
            } else {
                Verdict::Bad(failure.clone())
            }
        }
        nodes::Error::Unreachable { .. } | nodes::Error::StaleEpoch { .. } => {
            let failure = Failure::new(FailureCode::NodeUnavailable, err.to_string());
            if waited < patience.node { Verdict::Wait(failure) } else { Verdict::Bad(failure) }
        }
    }
}

/// What it means that the edge did not take a route that replicas have waited for since `since`.
pub(crate) fn of_route(
    err: &routes::Error,
    since: Timestamp,
    patience: &Patience,
    now: Timestamp,
) -> Verdict {
    match err {
        routes::Error::Unavailable(_) => {
            Verdict::Wait(Failure::new(FailureCode::RouteFailed, err.to_string()))
        }
        routes::Error::Stale(_) => {
            Verdict::Bad(Failure::new(FailureCode::RouteFailed, err.to_string()))
        }
        routes::Error::Failed(failure) => {
            let late = now.duration_since(since) >= patience.front;
            if err.is_retryable() && !late {
                Verdict::Wait(failure.clone())
            } else {
                Verdict::Bad(failure.clone())
            }
        }
    }
}

/// What an answer through the front door says. Any status but those by which the edge says that it
/// reached nobody is the app's own.
pub(crate) fn of_front(
    status: Option<u16>,
    since: Timestamp,
    patience: &Patience,
    now: Timestamp,
) -> Verdict {
    let message = match status {
        Some(status @ (502..=504)) => format!("the front door answered {status}"),
        Some(_) => return Verdict::Good,
        None => "the front door did not answer".to_owned(),
    };
    let failure = Failure::new(FailureCode::RouteFailed, message);
    let late = now.duration_since(since) >= patience.front;
    if late { Verdict::Bad(failure) } else { Verdict::Wait(failure) }
}
