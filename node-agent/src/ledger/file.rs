//! The ledger's file: replaced whole, by a temporary file that is on the disk before it takes the name.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chassis::blocking;

use super::Entries;

const DEADLINE: Duration = Duration::from_secs(20);
/// There are keys in it.
const MODE: u32 = 0o600;

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
            Ok(bytes) => {
                let entries: Entries = serde_json::from_slice(&bytes).map_err(io::Error::from)?;
                entries.read().map_err(|schema| {
                    let why = format!("it was written in a newer form, {schema}, by a newer agent");
                    io::Error::new(io::ErrorKind::InvalidData, why)
                })
            }
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(Entries::default()),
            Err(err) => Err(err),
        }
    }

    pub(super) async fn write(&self, entries: &Entries) -> io::Result<()> {
        write_file(&self.path, serde_json::to_vec(entries)?).await
    }
}

/// Replaces a file of the agent's, or makes it. Returns once it is on the disk.
pub(crate) async fn write_file(path: &Path, bytes: Vec<u8>) -> io::Result<()> {
    let path = path.to_owned();
    let written = blocking::run(DEADLINE, move |_| replace(&path, &bytes)).await;
    written.map_err(io::Error::other)?
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(&part)?;
    // One that a crash left behind may be open to others.
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_its_owner_reads_it_whatever_lay_there_before() {
        let folder = tempfile::tempdir().unwrap();
        let file = LedgerFile::new(folder.path()).unwrap();
        for name in ["ledger.json", "ledger.part"] {
            let path = folder.path().join(name);
            fs::write(&path, "{}").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        }
        file.write(&Entries::default()).await.unwrap();
        let mode = fs::metadata(folder.path().join("ledger.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(file.read().unwrap(), Entries::default());
    }
}
