//! The folder of the databases: who uses it, and the format of what is in it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::failure::{self, Error};
use super::{bus, medium, store};

/// What this version writes, and the newest that it reads. A change of redb's own format counts.
const FORMAT: u32 = 1;
const FORMAT_FILE: &str = "format";
pub(super) const LOCK_FILE: &str = "lock";
/// For this user alone.
const PRIVATE: u32 = 0o700;

/// A folder that this process uses alone, until the last clone and all that was opened in it are
/// gone.
#[derive(Debug, Clone)]
pub struct Folder {
    held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    path: PathBuf,
    /// The system lets go of the lock with the file, however the process ends.
    _lock: File,
}

impl Folder {
    /// Takes the folder, which is made if it is missing, for this user alone. Blocks.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let refused = |err| failure::of_io(path, err);
        DirBuilder::new().recursive(true).mode(PRIVATE).create(path).map_err(refused)?;
        let lock = lock(path)?;
        sign(&lock, Some(std::process::id())).map_err(refused)?;
        // One that was there before may be open to all: what is kept in it is not for all.
        fs::set_permissions(path, Permissions::from_mode(PRIVATE)).map_err(refused)?;
        if known_format(path)?.is_none() {
            write_format(path).map_err(refused)?;
        }
        Ok(Folder { held: Arc::new(Held { path: path.to_owned(), _lock: lock }) })
    }

    /// Takes a folder that is there, so that nobody else does, and changes nothing in it. Who finds it in
    /// use is not told by whom. Blocks.
    pub fn hold(path: &Path) -> Result<Self, Error> {
        let lock = lock(path)?;
        sign(&lock, None).map_err(|err| failure::of_io(path, err))?;
        Ok(Folder { held: Arc::new(Held { path: path.to_owned(), _lock: lock }) })
    }

    pub fn path(&self) -> &Path {
        &self.held.path
    }

    /// Makes way for a new database in the place of one that is damaged or gone. Returns the name that what is
    /// left of it has from now on; none if nothing is left, or if the file is none of the databases.
    pub fn set_aside(&self, file: &Path) -> Result<Option<PathBuf>, Error> {
        let is_database =
            [bus::FILE, store::FILE].iter().any(|name| self.path().join(name) == file);
        if !is_database {
            return Ok(None);
        }
        medium::set_aside(file)
            .and_then(|aside| self.sync().map(|()| aside))
            .map_err(|err| failure::of_io(file, err))
    }

    /// Makes names in the folder durable: syncing a file does not sync its name.
    pub(super) fn sync(&self) -> io::Result<()> {
        sync(&self.held.path)
    }
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join(LOCK_FILE);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.open(&path).map_err(|err| failure::of_io(&path, err))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Error::InUse { folder: folder.to_owned(), by: signature(&file) })
        }
        Err(TryLockError::Error(err)) => Err(failure::of_io(&path, err)),
    }
}

/// Tells those who find the folder in use by whom.
fn sign(mut lock: &File, process: Option<u32>) -> io::Result<()> {
    lock.set_len(0)?;
    match process {
        Some(process) => writeln!(lock, "{process}"),
        None => Ok(()),
    }
}

/// Who has the lock, as [`sign`] wrote it.
pub(super) fn signature(mut lock: &File) -> Option<u32> {
    let mut signature = String::new();
    lock.read_to_string(&mut signature).ok()?;
    signature.trim().parse().ok()
}

/// As [`format()`], of a version that this one can read.
pub(super) fn known_format(folder: &Path) -> Result<Option<u32>, Error> {
    match format(folder)? {
        Some(found) if found > FORMAT => {
            Err(Error::Newer { folder: folder.to_owned(), found, known: FORMAT })
        }
        format => Ok(format),
    }
}

/// The format of the folder; none if nobody has written to it yet.
fn format(folder: &Path) -> Result<Option<u32>, Error> {
    let path = folder.join(FORMAT_FILE);
    match fs::read_to_string(&path) {
        Ok(text) => match text.trim().parse() {
            Ok(format) => Ok(Some(format)),
            Err(err) => Err(Error::Damaged { file: path, source: Box::new(err) }),
        },
        Err(err) if matches!(err.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(err) => Err(failure::of_io(&path, err)),
    }
}

fn write_format(folder: &Path) -> io::Result<()> {
    let unfinished = folder.join("format.new");
    let mut file = File::create(&unfinished)?;
    writeln!(file, "{FORMAT}")?;
    file.sync_all()?;
    fs::rename(&unfinished, folder.join(FORMAT_FILE))?;
    sync(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_used_by_one_at_a_time() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("deep/below");
        let folder = Folder::open(&path).unwrap();
        let second = Folder::open(&path).unwrap_err();
        let own = std::process::id();
        assert!(matches!(second, Error::InUse { by: Some(by), .. } if by == own), "{second}");
        let clone = folder.clone();
        drop(folder);
        assert!(matches!(Folder::open(&path), Err(Error::InUse { .. })));
        drop(clone);
        Folder::open(&path).unwrap();
    }

    #[test]
    fn a_folder_is_for_its_user_alone_also_one_that_was_open_to_all() {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
        drop(Folder::open(place.path()).unwrap());
        assert_eq!(fs::metadata(place.path()).unwrap().permissions().mode() & 0o777, PRIVATE);
    }

    #[test]
    fn who_holds_a_folder_is_not_taken_for_who_uses_it() {
        let place = tempfile::tempdir().unwrap();
        drop(Folder::open(place.path()).unwrap());
        let held = Folder::hold(place.path()).unwrap();
        let refused = Folder::open(place.path()).unwrap_err();
        assert!(matches!(refused, Error::InUse { by: None, .. }), "{refused}");
        drop(held);
        Folder::open(place.path()).unwrap();
    }

    #[test]
    fn a_folder_of_a_newer_version_is_refused_and_left_alone() {
        let place = tempfile::tempdir().unwrap();
        drop(Folder::open(place.path()).unwrap());
        let file = place.path().join(FORMAT_FILE);
        fs::write(&file, "2\n").unwrap();
        let refused = Folder::open(place.path()).unwrap_err();
        assert!(matches!(refused, Error::Newer { found: 2, known: 1, .. }), "{refused}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "2\n");
        fs::write(&file, "two").unwrap();
        assert!(matches!(Folder::open(place.path()), Err(Error::Damaged { .. })));
    }
}
