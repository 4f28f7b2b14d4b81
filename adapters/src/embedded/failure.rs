//! What may be wrong with a folder or a database: each a sentence that says what to do.

use std::any::Any;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use common::port::Cause;

/// Why a folder or a database cannot be used. Whatever it is, nothing that was written is lost.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Two processes never share a folder.
    #[error("{} is in use by another process{}: stop that one, or choose another folder", .folder.display(), Holder(*.by))]
    InUse {
        folder: PathBuf,
        /// The id of the process, where it is known.
        by: Option<u32>,
    },
    /// A later version of the program has written the folder.
    #[error("{} is of format {found} and this version knows {known}: start the newer version", .folder.display())]
    Newer { folder: PathBuf, found: u32, known: u32 },
    /// The file is not what was written: other bytes, or fewer, or none at all.
    #[error("{} is damaged or gone: put a backup in its place, or begin without it", .file.display())]
    Damaged {
        file: PathBuf,
        #[source]
        source: Cause,
    },
    #[error("{} cannot be written to: give this user the right to, or choose another folder", .path.display())]
    NotWritable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Passes by itself once there is room.
    #[error("the disk of {} is full: make room on it", .path.display())]
    DiskFull {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The disk, or what was made of it, failed in another way.
    #[error("{} cannot be used: check its disk, then start again", .path.display())]
    Failed {
        path: PathBuf,
        #[source]
        source: Cause,
    },
    /// Passes by itself: the disk is slower than those who write.
    #[error("the disk of {} does not take in time what is to be written", .path.display())]
    Overloaded { path: PathBuf },
    /// A topic holds as much as it may, and somebody has yet to read it.
    #[error("the topic {topic} is full of records that the group {group} has not read")]
    TopicFull { topic: String, group: String },
    #[error("{} was closed", .path.display())]
    Closed { path: PathBuf },
}

impl Error {
    /// Whether the database can be opened and written again without anybody's help but room.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Error::DiskFull { .. })
    }

    /// Whether this process cannot use the database any more, whatever it does: what the system remembers of the
    /// file may not be what the disk holds. A new process reads it anew.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Error::Damaged { .. } | Error::NotWritable { .. } | Error::Failed { .. })
    }
}

struct Holder(Option<u32>);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => write!(f, ", {id}"),
            None => Ok(()),
        }
    }
}

/// What the system refused about a path.
pub(super) fn of_io(path: &Path, source: io::Error) -> Error {
    let path = path.to_owned();
    let kind = source.kind();
    if matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
        Error::DiskFull { path, source }
    } else if matches!(kind, ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) {
        Error::NotWritable { path, source }
    } else if matches!(kind, ErrorKind::InvalidData | ErrorKind::UnexpectedEof) {
        Error::Damaged { file: path, source: source.into() }
    } else {
        Error::Failed { path, source: source.into() }
    }
}

/// What redb refused about its file.
pub(super) fn of(file: &Path, err: redb::Error) -> Error {
    if let redb::Error::Io(source) = err {
        return of_io(file, source);
    }
    if matches!(err, redb::Error::DatabaseAlreadyOpen) {
        return Error::InUse { folder: file.to_owned(), by: None };
    }
    let is_damage = matches!(
        err,
        redb::Error::Corrupted(_)
            | redb::Error::UpgradeRequired(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TypeDefinitionChanged { .. }
    );
    let source = Cause::from(err.to_string());
    if is_damage {
        Error::Damaged { file: file.to_owned(), source }
    } else {
        Error::Failed { path: file.to_owned(), source }
    }
}

/// redb met something that it took to be impossible.
pub(super) fn of_panic(file: &Path, panic: &(dyn Any + Send)) -> Error {
    let said = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let source = Cause::from(said.unwrap_or("it panicked").to_owned());
    Error::Damaged { file: file.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_of_the_system_has_its_sentence() {
        let path = Path::new("state");
        let told = |kind: ErrorKind| of_io(path, kind.into()).to_string();
        assert_eq!(told(ErrorKind::StorageFull), "the disk of state is full: make room on it");
        let not_writable =
            "state cannot be written to: give this user the right to, or choose another folder";
        assert_eq!(told(ErrorKind::ReadOnlyFilesystem), not_writable);
        assert_eq!(told(ErrorKind::PermissionDenied), not_writable);
        let damaged = "state is damaged or gone: put a backup in its place, or begin without it";
        assert_eq!(told(ErrorKind::UnexpectedEof), damaged);
        let failed = "state cannot be used: check its disk, then start again";
        assert_eq!(told(ErrorKind::Other), failed);
    }
}
