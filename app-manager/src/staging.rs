//! Where uploads are written while they arrive: one folder, emptied at start, one file per upload,
//! gone with the upload whatever happens to it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

/// The folder of uploads under way; on the file system of the blobs.
#[derive(Debug, Clone)]
pub(crate) struct Staging {
    folder: PathBuf,
}

/// A file in the staging folder; dropping it removes it.
#[derive(Debug)]
pub(crate) struct Staged {
    path: TempPath,
}

impl Staging {
    /// Makes the folder, and removes what a crash left in it.
    pub(crate) fn open(folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Staging { folder })
    }

    /// A new file, private to the service, and the handle to write it.
    pub(crate) fn file(&self) -> io::Result<(Staged, File)> {
        let (file, path) = NamedTempFile::with_prefix_in("upload-", &self.folder)?.into_parts();
        Ok((Staged { path }, file))
    }
}

impl Staged {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crashs_leftovers_are_swept_and_uploads_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("staging");
        fs::create_dir_all(path.join("old")).unwrap();
        fs::write(path.join("upload-x"), "half").unwrap();
        let staging = Staging::open(path.clone()).unwrap();
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        let (staged, _file) = staging.file().unwrap();
        assert!(staged.path().starts_with(&path));
        drop(staged);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    }
}
