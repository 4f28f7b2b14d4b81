//! Files with secrets: read only if nobody but their owner can, made so that nobody else ever could.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use common::port::host::Error;

/// More is no key and no password.
const LIMIT: u64 = 64 * 1024;
const OF_OTHERS: u32 = 0o077;
/// Tells the parts of one process apart.
static TURN: AtomicU32 = AtomicU32::new(0);

fn unusable(path: &Path, why: impl Into<String>) -> Error {
    Error::CredentialUnusable { path: path.to_owned(), why: why.into() }
}

/// The text of a file; none if there is no such file.
pub(super) fn find(path: &Path) -> Result<Option<String>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(unusable(path, err.to_string())),
    };
    let kept = file.metadata().map_err(|err| unusable(path, err.to_string()))?;
    let mode = kept.permissions().mode();
    if !kept.is_file() {
        return Err(unusable(path, "it is not a file"));
    }
    if mode & OF_OTHERS != 0 {
        let mode = mode & 0o777;
        return Err(unusable(
            path,
            format!("others may read or change it (its mode is {mode:04o})"),
        ));
    }
    let mut text = String::new();
    let read = file.take(LIMIT + 1).read_to_string(&mut text);
    read.map_err(|err| unusable(path, err.to_string()))?;
    if text.len() as u64 > LIMIT { Err(unusable(path, "it is too large")) } else { Ok(Some(text)) }
}

/// The text of a file that must be there.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    find(path)?.ok_or_else(|| unusable(path, "it does not exist"))
}

/// The first line of a file: a password.
pub(super) fn read_line(path: &Path) -> Result<String, Error> {
    let text = read(path)?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        Some(_) | None => Err(unusable(path, "its first line is empty")),
    }
}

/// Makes a file where there is none, whole or not at all. Says whether it did; else somebody was faster.
pub(super) fn make(path: &Path, text: &str) -> Result<bool, Error> {
    let failed = |err: std::io::Error| unusable(path, err.to_string());
    let turn = TURN.fetch_add(1, Ordering::Relaxed);
    let part = path.with_added_extension(format!("part-{}-{turn}", std::process::id()));
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part);
    let mut file = opened.map_err(failed)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    // A link fails where the name is taken; a rename would throw away another's key.
    let linked = written.and_then(|()| std::fs::hard_link(&part, path));
    std::fs::remove_file(&part).map_err(failed)?;
    match linked {
        Ok(()) => Ok(true),
        Err(err) if err.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(err) => Err(failed(err)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};

    use super::*;

    #[test]
    fn what_others_may_read_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        assert!(read(&path).unwrap_err().to_string().contains("does not exist"));
        write(&path, "secret\nrest\n").unwrap();
        for (mode, used) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(read_line(&path).is_ok(), used, "{mode:o}");
        }
        assert!(read(folder.path()).is_err());
        set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read_line(&path).unwrap(), "secret");
        write(&path, "\n").unwrap();
        assert!(read_line(&path).unwrap_err().to_string().contains("empty"));
        write(&path, "x".repeat(70_000)).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("too large"));
    }

    #[test]
    fn a_file_that_is_there_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(make(&path, "first").unwrap());
        assert!(!make(&path, "second").unwrap());
        assert_eq!(read(&path).unwrap(), "first");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(make(&folder.path().join("none").join("key"), "x").is_err());
    }
}
