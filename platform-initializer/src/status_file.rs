//! Document 001's `platform_status.json`: written by rename after a success, and never read back.

use std::path::Path;

use common::record::platform::{PlatformGoal, PlatformReached};
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::shared::Shared;

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

/// Whether the file says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    Yes,
    /// It could not be written.
    NotYet,
}

/// Writes the file if it does not say so yet. That it cannot be written is logged and holds up nothing: the
/// truth is in the record.
pub(crate) async fn write(shared: &Shared, reached: &PlatformReached) -> Said {
    let Some(path) = &shared.config.status_file else { return Said::Yes };
    if shared.written().as_ref() == Some(reached) {
        return Said::Yes;
    }
    let text = serde_json::to_string(&Status::of(reached)).unwrap_or_default();
    if let Err(err) = replace(path, &text).await {
        tracing::warn!(error = &err as &dyn std::error::Error, path = %path.display(), "the status file cannot be written yet");
        return Said::NotYet;
    }
    shared.wrote(reached.clone());
    Said::Yes
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
