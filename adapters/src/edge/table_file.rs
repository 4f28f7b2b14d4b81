//! The table file: beside its place, synced, renamed into it, so that the edge never sees half of one.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use common::port::edge::{Error, Table};

/// The edge is another user, and reads it whatever the umask of the platform's process is.
const MODE: u32 = 0o644;

pub(super) async fn write(path: &Path, table: &Table) -> Result<(), Error> {
    let text = serde_json::to_vec(table).map_err(|err| Error::Unavailable(err.into()))?;
    let path = path.to_owned();
    #[expect(clippy::disallowed_methods, reason = "files are written by blocking calls")]
    let written = tokio::task::spawn_blocking(move || replace(&path, &text)).await;
    written
        .map_err(|err| Error::Unavailable(err.into()))?
        .map_err(|err| Error::Unavailable(err.into()))
}

fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let beside: PathBuf = path.with_extension("json.new");
    let mut file = File::create(&beside)?;
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use common::id::{Epoch, Generation};

    use super::*;

    #[tokio::test]
    async fn the_file_holds_the_last_table_whole_and_nothing_lies_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.json");
        for generation in 1..4 {
            let table =
                Table { epoch: Epoch(1), generation: Generation(generation), routes: Vec::new() };
            write(&path, &table).await.unwrap();
            let read: Table = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            assert_eq!(read, table);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn the_edge_may_read_a_file_that_began_as_the_platforms_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.json");
        // As with a umask of 077.
        let beside = File::create(path.with_extension("json.new")).unwrap();
        beside.set_permissions(Permissions::from_mode(0o600)).unwrap();
        let table = Table { epoch: Epoch(1), generation: Generation(1), routes: Vec::new() };
        write(&path, &table).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
    }

    #[tokio::test]
    async fn without_the_volume_the_edge_is_unavailable() {
        let table = Table { epoch: Epoch(1), generation: Generation(1), routes: Vec::new() };
        let folder = tempfile::tempdir().unwrap();
        let err = write(&folder.path().join("absent/table.json"), &table).await.unwrap_err();
        assert!(err.is_retryable());
    }
}
