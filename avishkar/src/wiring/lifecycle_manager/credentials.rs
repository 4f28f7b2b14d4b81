//! What a lifecycle manager is given while it runs: a file of its own folder, which the bootstrapper leaves there.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use lifecycle_manager::ports;
use rollout::parts::Credentials;
use tokio::time::sleep;

const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What was given last, if anything was. A file that cannot be read is passed over: there is what the platform began with.
pub(super) fn given(file: &Path) -> Option<Credentials> {
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(err) if err.kind() == ErrorKind::NotFound => return None,
        Err(err) => {
            tracing::warn!(error = &err as &dyn std::error::Error, file = %file.display(), "credentials that were given cannot be read");
            return None;
        }
    };
    // What the parser says of it could quote a secret.
    let read = serde_json::from_slice(&text).ok();
    if read.is_none() {
        tracing::warn!(file = %file.display(), "credentials that were given are damaged");
    }
    read
}

/// The file, by who began with what stood in it then.
#[derive(Debug)]
pub(super) struct GivenFile {
    file: PathBuf,
    begun: u64,
}

impl GivenFile {
    pub(super) fn new(file: PathBuf, begun: u64) -> Self {
        GivenFile { file, begun }
    }
}

#[async_trait]
impl ports::Credentials for GivenFile {
    async fn changed(&self) {
        while given(&self.file).is_none_or(|given| given.given <= self.begun) {
            sleep(LOOK_EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use futures::FutureExt as _;
    use lifecycle_manager::ports::Credentials as _;
    use rollout::parts::Configured;
    use tempfile::tempdir;

    use super::*;

    fn text(given: u64) -> String {
        let azure = Some("principal".to_owned());
        let credentials = Credentials {
            given,
            azure,
            shares: BTreeMap::new(),
            configured: Configured::default(),
            upgraded_from: None,
        };
        serde_json::to_string(&credentials).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn only_newer_ones_than_it_began_with_are_news() {
        let folder = tempdir().unwrap();
        let file = folder.path().join("credentials.json");
        let begun_with_seven = GivenFile::new(file.clone(), 7);
        assert_eq!(given(&file), None);
        for (content, is_news) in
            [("{\"given\": 8, \"azure\": ", false), (&text(7), false), (&text(8), true)]
        {
            fs::write(&file, content).unwrap();
            assert_eq!(begun_with_seven.changed().now_or_never().is_some(), is_news, "{content}");
        }
        let waiting = GivenFile::new(file.clone(), 8);
        let (writing, file) = (async { fs::write(&file, text(9)).unwrap() }, file.clone());
        futures::join!(waiting.changed(), writing);
        assert_eq!(given(&file).unwrap().azure.as_deref(), Some("principal"));
    }
}
