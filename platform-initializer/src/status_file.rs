//! Document 001's `platform_status.json`: written by rename after a success, and never read back. Each instance keeps the
//! one on its own machine, whoever leads: it says what the record says, or is not there.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use common::port::store::Change;
use common::record::path;
use common::record::platform::{PlatformGoal, PlatformReached};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use jiff::tz::TimeZone;
use serde::Serialize;
use tokio::time::timeout;

use crate::records::{Error, platform};
use crate::shared::Shared;

/// How often an instance looks at the record: hints may be lost, and a file may not have been written.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long one look may take.
const LOOK_WITHIN: Duration = Duration::from_secs(30);

/// Document 001's way to write a time, in UTC.
const TIME: &str = "%Y-%m-%d %H:%M:%S";

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Status {
    timestamp: String,
    status: &'static str,
}

impl Status {
    pub(crate) fn of(reached: &PlatformReached) -> Self {
        Status {
            timestamp: reached.at.to_zoned(TimeZone::UTC).strftime(TIME).to_string(),
            status: match reached.goal {
                PlatformGoal::On => "running",
                PlatformGoal::Off => "stopped",
            },
        }
    }
}

/// What this process has made of the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Written {
    /// Nothing yet: it may say what a process before this one wrote.
    #[default]
    Unknown,
    /// It is not there: the platform has reached nothing.
    Absent,
    Says(PlatformReached),
}

/// Has the file say what the record says. That it cannot be written is logged and holds up nothing: the truth is in the
/// record, and the next look tries again.
pub(crate) async fn update(shared: &Shared) -> Result<(), Error> {
    let Some(path) = &shared.config.status_file else { return Ok(()) };
    // What is read later is written later.
    let mut written = shared.written.lock().await;
    shared.ports.store.sync().await?;
    let reached = platform(shared).await?.and_then(|stored| stored.record.reached);
    let wanted = reached.map_or(Written::Absent, Written::Says);
    if *written == wanted {
        return Ok(());
    }
    let done = match &wanted {
        Written::Says(reached) => {
            let text = serde_json::to_string(&Status::of(reached)).unwrap_or_default();
            replace(path, &text).await
        }
        Written::Absent | Written::Unknown => remove(path).await,
    };
    match done {
        Ok(()) => *written = wanted,
        Err(err) => {
            tracing::warn!(error = &err as &dyn std::error::Error, path = %path.display(), "the status file cannot be written yet");
        }
    }
    Ok(())
}

/// Keeps the file for as long as the process lives, also while another instance leads.
pub(crate) async fn keep(shared: &Shared) {
    if shared.config.status_file.is_none() {
        return std::future::pending().await;
    }
    let mut changes = None;
    loop {
        let looked = timeout(LOOK_WITHIN, look(shared, &mut changes)).await;
        if let Ok(Err(err)) = looked {
            tracing::debug!(error = &err as &dyn std::error::Error, "the record cannot be read");
        }
        let changed = async {
            let told = match &mut changes {
                Some(stream) => stream.next().await.is_some(),
                None => std::future::pending().await,
            };
            if !told {
                // It is watched anew at the next look.
                changes = None;
                std::future::pending::<()>().await;
            }
        };
        drop(timeout(LOOK_EVERY, changed).await);
    }
}

/// Watches the record, if it is not watched yet, and then looks at it.
async fn look(
    shared: &Shared,
    changes: &mut Option<BoxStream<'static, Change>>,
) -> Result<(), Error> {
    if changes.is_none() {
        *changes = Some(shared.ports.store.watch(&path::platform()).await?);
    }
    update(shared).await
}

async fn remove(path: &Path) -> std::io::Result<()> {
    match tokio::fs::remove_file(path).await {
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

async fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    if let Some(folder) = path.parent() {
        tokio::fs::create_dir_all(folder).await?;
    }
    tokio::fs::write(&beside, text).await?;
    tokio::fs::rename(&beside, path).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_document_001s() {
        let at = "2026-01-02T03:04:05.678Z".parse().unwrap();
        let status = Status::of(&PlatformReached { goal: PlatformGoal::On, at });
        let text = serde_json::to_string(&status).unwrap();
        assert_eq!(text, r#"{"timestamp":"2026-01-02 03:04:05","status":"running"}"#);
    }
}
