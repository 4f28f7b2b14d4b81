//! Document 001's four files, written by rename whenever they change and never read back.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chassis::reconcile::{Outcome, Reconcile};
use chassis::records;

use crate::lists::{Lists, file_text, read};
use crate::reconcile::Single;
use crate::shared::Shared;

/// The numbers in the health list change all the time.
const EVERY: Duration = Duration::from_secs(1);

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the lists cannot be read")]
    Records(#[from] records::Error),
    #[error("{path} cannot be written")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Keeps the files equal to the lists.
#[derive(Debug)]
pub(crate) struct Exporter {
    shared: Arc<Shared>,
    folder: PathBuf,
    written: Mutex<[Option<String>; 4]>,
}

impl Exporter {
    pub(crate) fn new(shared: Arc<Shared>, folder: PathBuf) -> Self {
        Exporter { shared, folder, written: Mutex::default() }
    }
}

fn files(lists: &Lists) -> [(&'static str, String); 4] {
    [
        ("VmDetails.json", file_text(&lists.machines)),
        ("AppDetails.json", file_text(&lists.apps)),
        ("AppHealth.json", file_text(&lists.health)),
        ("NginxPort.json", file_text(&lists.ports)),
    ]
}

async fn write(folder: &Path, name: &str, text: &str) -> Result<(), Error> {
    let path = folder.join(name);
    let beside = folder.join(format!("{name}.new"));
    let written = async {
        tokio::fs::create_dir_all(folder).await?;
        tokio::fs::write(&beside, text).await?;
        tokio::fs::rename(&beside, &path).await
    };
    written.await.map_err(|source| Error::Write { path: path.clone(), source })
}

#[async_trait]
impl Reconcile for Exporter {
    type Key = Single;
    type Error = Error;

    async fn keys(&self) -> Result<Vec<Single>, Error> {
        Ok(vec![Single])
    }

    async fn reconcile(&self, _: &Single) -> Result<Outcome, Error> {
        let lists = read(&self.shared).await?;
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for ((name, text), last) in files(&lists).into_iter().zip(&mut written) {
            if last.as_ref() != Some(&text) {
                write(&self.folder, name, &text).await?;
                *last = Some(text);
            }
        }
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = written;
        Ok(Outcome::Again(EVERY))
    }
}
