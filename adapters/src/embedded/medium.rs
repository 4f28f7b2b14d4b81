//! Where the bytes of a database are.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use redb::{Builder, Database, DatabaseError};

use super::folder::Folder;

/// Stands beside a database from when it was made: so one that is gone is missed, and not made anew in silence.
const SIGN: &str = "made";
pub(super) const MISSING: &str = "it is gone";

/// Where the bytes of a database are: a file, or in tests something worse.
pub trait Medium: Debug + Send + Sync + 'static {
    /// Opens the database; one that was never there is made, one that is empty is not.
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError>;

    /// How people find it.
    fn path(&self) -> &Path;
}

/// A file of a folder.
#[derive(Debug)]
pub(super) struct FileMedium {
    folder: Folder,
    path: PathBuf,
}

impl FileMedium {
    pub(super) fn new(folder: &Folder, name: &str) -> Self {
        FileMedium { folder: folder.clone(), path: folder.path().join(name) }
    }

    /// Makes the database beside its place first: a file that has its name is whole, so that an
    /// empty one is known to be damaged.
    fn make(&self, builder: &Builder) -> Result<(), DatabaseError> {
        let unfinished = self.path.with_extension("new");
        remove(&unfinished)?;
        drop(builder.create(&unfinished)?);
        fs::rename(&unfinished, &self.path)?;
        self.folder.sync()?;
        Ok(())
    }

    /// Notes that the database is there.
    fn sign(&self) -> io::Result<()> {
        let sign = self.path.with_extension(SIGN);
        if sign.try_exists()? {
            return Ok(());
        }
        File::create(&sign)?.sync_all()?;
        self.folder.sync()
    }
}

/// Whether a database was there once and is gone.
pub(super) fn is_missing(file: &Path) -> io::Result<bool> {
    Ok(!file.try_exists()? && file.with_extension(SIGN).try_exists()?)
}

/// Makes way for a new database: what is left of this one gets another name, which is returned, or none if
/// there is nothing left.
pub(super) fn set_aside(file: &Path) -> io::Result<Option<PathBuf>> {
    let mut aside = None;
    if file.try_exists()? {
        let names = (1..=u32::MAX).map(|number| file.with_extension(format!("damaged-{number}")));
        for name in names {
            if !name.try_exists()? {
                fs::rename(file, &name)?;
                aside = Some(name);
                break;
            }
        }
    }
    remove(&file.with_extension(SIGN))?;
    Ok(aside)
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(err) if err.kind() != ErrorKind::NotFound => Err(err),
        Ok(()) | Err(_) => Ok(()),
    }
}

impl Medium for FileMedium {
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        if is_missing(&self.path)? {
            return Err(io::Error::new(ErrorKind::InvalidData, MISSING).into());
        }
        if !self.path.try_exists()? {
            self.make(builder)?;
        }
        self.sign()?;
        builder.open(&self.path)
    }

    fn path(&self) -> &Path {
        &self.path
    }
}
