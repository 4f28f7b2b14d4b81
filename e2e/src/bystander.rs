//! What must not change while a test misbehaves: another app that is probed throughout, what the app
//! manager has on its disk, and that no service breaks.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::Instant;

use crate::cluster::{self, NODES, SERVICES};
use crate::docker::container_of;
use crate::load::Crowd;
use crate::platform::{User, sample};
use crate::wait;

const NAME: &str = "bystander";
const CLIENTS: usize = 2;
/// How long what a vanished client sent may lie about.
const SWEPT_WITHIN: Duration = Duration::from_mins(1);

/// An app of nobody's concern, and everything that is watched beside it.
#[derive(Debug)]
pub struct Bystander {
    crowd: Crowd,
    began: Instant,
    files: Files,
}

/// What the app manager has written: one line for each file or folder, with its size.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Files {
    blobs: BTreeSet<String>,
    /// The rest of the data folder, uploads under way among it, and `/tmp`.
    others: BTreeSet<String>,
}

impl Bystander {
    /// Deploys the app, unless it runs, and begins to watch.
    pub async fn watch(user: &User) -> anyhow::Result<Self> {
        let url = match running(user).await? {
            Some(url) => url,
            None => user.deploy(&sample("hello"), NAME, 1).await?,
        };
        let files = files().await?;
        Ok(Bystander { crowd: Crowd::start(&url, CLIENTS, NAME), began: Instant::now(), files })
    }

    /// No request of the app's users failed, no service broke, and nothing is left on the app manager's disk
    /// but so many bundles more.
    pub async fn unharmed(self, bundles: RangeInclusive<usize>) -> anyhow::Result<()> {
        let tally = self.crowd.finish_without_failure().await?;
        ensure!(tally.answered > 0, "nobody asked the bystander");
        let before = &self.files;
        let swept = async || {
            let after = files().await?;
            let new: Vec<&String> = after.others.symmetric_difference(&before.others).collect();
            ensure!(new.is_empty(), "there or not there any more: {new:?}");
            Ok(after)
        };
        let after = wait::until("nothing lies about", SWEPT_WITHIN, swept).await?;
        let new: Vec<&String> = after.blobs.difference(&before.blobs).collect();
        ensure!(before.blobs.is_subset(&after.blobs), "bundles are gone: {:?}", before.blobs);
        ensure!(bundles.contains(&new.len()), "not {bundles:?} bundles are new: {new:?}");
        let since = format!("{}s", self.began.elapsed().as_secs() + 1);
        for part in SERVICES.iter().map(|(service, _)| *service).chain(NODES) {
            let broken = panics(part, &since).await?;
            ensure!(broken.is_empty(), "{part} broke: {}", broken.join("\n"));
        }
        Ok(())
    }
}

/// The app's URL, if it is deployed already.
async fn running(user: &User) -> anyhow::Result<Option<String>> {
    let asked = user.request(Method::GET, &format!("/api/v1/instances/{NAME}")).send().await?;
    let found: Value = asked.json().await?;
    let url = found["url"].as_str().filter(|_| found["state"] == "deployed");
    Ok(url.map(str::to_owned))
}

async fn files() -> anyhow::Result<Files> {
    let find = ["find", "/data", "/tmp", "-printf", "%y %s %p\\n"];
    let found = cluster::exec("app-manager", &find).await?;
    let in_blobs = |line: &str| line.contains(" /data/blobs/");
    let (blobs, others): (BTreeSet<String>, _) =
        found.lines().map(str::to_owned).partition(|line| in_blobs(line));
    // A bundle's folder is named like the beginning of its name.
    Ok(Files { blobs: blobs.into_iter().filter(|line| line.starts_with("f ")).collect(), others })
}

/// Lines of a container's output that tell of a broken invariant.
#[expect(clippy::disallowed_methods, reason = "the outside view has no adapter")]
async fn panics(service: &str, since: &str) -> anyhow::Result<Vec<String>> {
    let id = container_of(service).await?;
    let mut command = Command::new("docker");
    command.args(["logs", "--since", since, &id]).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.context("docker logs cannot be run")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().filter(|line| line.contains("panicked")).map(str::to_owned).collect())
}

/// The most memory the app manager's process has held since it was last asked to forget, in bytes.
pub async fn peak_memory() -> anyhow::Result<u64> {
    let process = process().await?;
    let status = cluster::exec("app-manager", &["cat", &format!("{process}/status")]).await?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: u64 = kib.context("the kernel does not say")?.trim().parse()?;
    Ok(kib * 1024)
}

/// The folder of the process in `/proc`: the only child of the container's init.
async fn process() -> anyhow::Result<String> {
    let children = cluster::exec("app-manager", &["cat", "/proc/1/task/1/children"]).await?;
    let first = children.split_whitespace().next().context("init has no child")?;
    Ok(format!("/proc/{first}"))
}
