//! The durable log of samples: one file a day, one JSON object a line, kept for some days.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use common::name::NodeName;
use common::record::node::Verdict;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, SeekFrom};
use tokio::sync::Mutex;

/// One node at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) at: Timestamp,
    pub(crate) node: NodeName,
    /// None before the first verdict.
    pub(crate) verdict: Option<Verdict>,
    /// None where the node is silent.
    pub(crate) cpu_percent: Option<f64>,
    pub(crate) memory_percent: Option<f64>,
    pub(crate) disk_percent: Option<f64>,
    pub(crate) containers: usize,
    /// What it has too little of.
    pub(crate) alert: Option<String>,
}

/// The folder of the log; without one nothing is kept.
#[derive(Debug)]
pub(crate) struct SampleLog {
    folder: Option<PathBuf>,
    keep_days: u32,
    /// One writer at a time, so that lines stay whole.
    writing: Mutex<()>,
}

impl SampleLog {
    pub(crate) fn new(folder: Option<PathBuf>, keep_days: u32) -> Self {
        SampleLog { folder, keep_days, writing: Mutex::new(()) }
    }

    /// Returns once the entries are on disk.
    pub(crate) async fn append(&self, now: Timestamp, entries: &[Entry]) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let _writer = self.writing.lock().await;
        fs::create_dir_all(folder).await?;
        let path = folder.join(file_name(day_of(now)));
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(&path).await?;
        let mut text = Vec::new();
        if is_torn(&mut file).await? {
            text.push(b'\n');
        }
        for entry in entries {
            serde_json::to_writer(&mut text, entry)?;
            text.push(b'\n');
        }
        file.write_all(&text).await?;
        file.sync_all().await?;
        File::open(folder).await?.sync_all().await
    }

    /// The entries since a moment, of one node or of all, oldest first. Lines that a crash left
    /// half written are skipped.
    pub(crate) async fn since(
        &self,
        since: Timestamp,
        node: Option<&NodeName>,
    ) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let Some(folder) = &self.folder else { return Ok(entries) };
        for day in days(folder).await?.into_iter().filter(|day| *day >= day_of(since)) {
            let text = fs::read_to_string(folder.join(file_name(day))).await?;
            let read = text.lines().filter_map(|line| serde_json::from_str::<Entry>(line).ok());
            entries.extend(
                read.filter(|entry| entry.at >= since)
                    .filter(|entry| node.is_none_or(|node| *node == entry.node)),
            );
        }
        Ok(entries)
    }

    /// Removes the files of days that are not kept any more; returns how many.
    pub(crate) async fn expire(&self, now: Timestamp) -> io::Result<usize> {
        let Some(folder) = &self.folder else { return Ok(0) };
        let _writer = self.writing.lock().await;
        let first = day_of(now).saturating_sub(Span::new().days(self.keep_days));
        let old: Vec<Date> = days(folder).await?.into_iter().filter(|day| *day < first).collect();
        for day in &old {
            fs::remove_file(folder.join(file_name(*day))).await?;
        }
        Ok(old.len())
    }
}

/// The days that have a file, oldest first.
async fn days(folder: &Path) -> io::Result<BTreeSet<Date>> {
    let mut days = BTreeSet::new();
    let mut files = match fs::read_dir(folder).await {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(days),
        other => other?,
    };
    while let Some(file) = files.next_entry().await? {
        days.extend(day_named(Path::new(&file.file_name())));
    }
    Ok(days)
}

/// Whether the file does not end with a whole line.
async fn is_torn(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0)).await? == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1)).await?;
    let mut last = [0; 1];
    file.read_exact(&mut last).await?;
    Ok(last != *b"\n")
}

fn day_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

fn file_name(day: Date) -> String {
    format!("samples-{day}.jsonl")
}

fn day_named(name: &Path) -> Option<Date> {
    let name = name.to_str()?.strip_prefix("samples-")?.strip_suffix(".jsonl")?;
    name.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn entry(node: &str, time: &str) -> Entry {
        Entry {
            at: at(time),
            node: node.parse().unwrap(),
            verdict: Some(Verdict::Live),
            cpu_percent: Some(1.5),
            memory_percent: Some(2.5),
            disk_percent: Some(3.5),
            containers: 2,
            alert: None,
        }
    }

    async fn append(log: &SampleLog, entry: &Entry) {
        log.append(entry.at, std::slice::from_ref(entry)).await.unwrap();
    }

    #[tokio::test]
    async fn what_was_appended_is_read_back_since_a_moment() {
        let folder = tempfile::tempdir().unwrap();
        let log = SampleLog::new(Some(folder.path().join("samples")), 7);
        assert!(log.since(at("2026-01-01T00:00:00Z"), None).await.unwrap().is_empty());
        let first = entry("a", "2026-01-01T23:00:00Z");
        let second = entry("b", "2026-01-02T00:00:00Z");
        let third = entry("a", "2026-01-02T01:00:00Z");
        for entry in [&first, &second, &third] {
            append(&log, entry).await;
        }
        let all = log.since(at("2026-01-01T00:00:00Z"), None).await.unwrap();
        assert_eq!(all, [first, second.clone(), third.clone()]);
        let since = at("2026-01-01T23:30:00Z");
        assert_eq!(log.since(since, None).await.unwrap(), [second, third.clone()]);
        assert_eq!(log.since(since, Some(&"a".parse().unwrap())).await.unwrap(), [third]);
    }

    #[tokio::test]
    async fn without_a_folder_nothing_is_kept() {
        let log = SampleLog::new(None, 7);
        let entry = entry("a", "2026-01-01T23:00:00Z");
        append(&log, &entry).await;
        assert!(log.since(entry.at, None).await.unwrap().is_empty());
        assert_eq!(log.expire(entry.at).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_line_that_a_crash_cut_is_skipped_and_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let log = SampleLog::new(Some(folder.path().to_owned()), 7);
        let file = folder.path().join("samples-2026-01-01.jsonl");
        fs::write(&file, "{\"at\":\"2026-01-01T0").await.unwrap();
        let whole = entry("a", "2026-01-01T23:00:00Z");
        append(&log, &whole).await;
        assert_eq!(log.since(at("2026-01-01T00:00:00Z"), None).await.unwrap(), [whole]);
    }

    #[tokio::test]
    async fn days_that_are_old_enough_are_removed_and_other_files_stay() {
        let folder = tempfile::tempdir().unwrap();
        let log = SampleLog::new(Some(folder.path().to_owned()), 7);
        for day in 1..=9 {
            append(&log, &entry("a", &format!("2026-01-0{day}T12:00:00Z"))).await;
        }
        let other = folder.path().join("samples-of-mine.jsonl");
        fs::write(&other, "").await.unwrap();
        assert_eq!(log.expire(at("2026-01-09T00:00:00Z")).await.unwrap(), 1);
        let kept = log.since(at("2026-01-01T00:00:00Z"), None).await.unwrap();
        assert_eq!(kept.first().map(|entry| entry.at), Some(at("2026-01-02T12:00:00Z")));
        assert_eq!(kept.len(), 8);
        assert!(other.exists());
        assert_eq!(log.expire(at("2025-01-01T00:00:00Z")).await.unwrap(), 0);
    }
}
