//! Where the bytes of a database are.

use std::fmt::Debug;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use redb::{Builder, Database, DatabaseError};

use super::folder::Folder;

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
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(err) if err.kind() != ErrorKind::NotFound => Err(err),
        Ok(()) | Err(_) => Ok(()),
    }
}

impl Medium for FileMedium {
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        if !self.path.try_exists()? {
            self.make(builder)?;
        }
        builder.open(&self.path)
    }

    fn path(&self) -> &Path {
        &self.path
    }
}
