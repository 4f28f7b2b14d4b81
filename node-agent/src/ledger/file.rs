//! The ledger's file: replaced whole, by a temporary file that is on the disk before it takes the name.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chassis::blocking;

use super::Entries;

const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct LedgerFile {
    path: PathBuf,
}

impl LedgerFile {
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(LedgerFile { path: folder.join("ledger.json") })
    }

    /// An absent file is an empty ledger. One that cannot be read is an error: what it says must not
    /// be forgotten silently.
    pub(super) fn read(&self) -> io::Result<Entries> {
        match fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::from),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(Entries::default()),
            Err(err) => Err(err),
        }
    }

    pub(super) async fn write(&self, entries: &Entries) -> io::Result<()> {
        let bytes = serde_json::to_vec(entries)?;
        let path = self.path.clone();
        let written = blocking::run(DEADLINE, move |_| replace(&path, &bytes)).await;
        written.map_err(io::Error::other)?
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = File::create(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
