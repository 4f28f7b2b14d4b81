//! [`Book`]: where the state is kept, and that one process at a time of one computer works on it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::{SCHEMA, State};

/// Keeps one state.
pub trait Book: Send + Sync {
    /// What is kept; none if nothing is.
    fn load(&self) -> Result<Option<State>, NotABook>;

    /// Keeps this instead, whole or not at all. It outlives a crash.
    fn save(&self, state: &State) -> Result<(), NotABook>;

    /// Keeps nothing any more.
    fn erase(&self) -> Result<(), NotABook>;
}

/// Why a state cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum NotABook {
    #[error("another process of this computer works on {path}")]
    InUse { path: PathBuf },
    #[error("{path} cannot be used")]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is not what was written")]
    Damaged {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("{path} was written by a newer version")]
    Newer { path: PathBuf },
}

/// A file, and a lock beside it.
#[derive(Debug)]
pub struct FileBook {
    path: PathBuf,
    /// While it is open, nobody else of this computer opens the book.
    _lock: Option<File>,
}

impl FileBook {
    /// Without a lock: for who only reads.
    pub fn to_read(path: &Path) -> Self {
        FileBook { path: path.to_owned(), _lock: None }
    }

    /// For who writes: one at a time.
    pub fn open(path: &Path) -> Result<Self, NotABook> {
        let beside = path.with_extension("lock");
        let io = |source| NotABook::Io { path: beside.clone(), source };
        let lock = private().truncate(false).open(&beside).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => Ok(FileBook { path: path.to_owned(), _lock: Some(lock) }),
            Err(TryLockError::WouldBlock) => Err(NotABook::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }

    /// What a former version wrote is of this one from now on.
    fn read(&self, text: &[u8]) -> Result<State, NotABook> {
        let path = || self.path.clone();
        let damaged = |source| NotABook::Damaged { path: path(), source };
        let schema: serde_json::Value = serde_json::from_slice(text).map_err(damaged)?;
        if schema.get("schema").and_then(serde_json::Value::as_u64) > Some(u64::from(SCHEMA)) {
            return Err(NotABook::Newer { path: path() });
        }
        let state: State = serde_json::from_value(schema).map_err(damaged)?;
        Ok(State { schema: SCHEMA, ..state })
    }

    fn io(&self, source: io::Error) -> NotABook {
        NotABook::Io { path: self.path.clone(), source }
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

impl Book for FileBook {
    fn load(&self) -> Result<Option<State>, NotABook> {
        match fs::read(&self.path) {
            Ok(text) => self.read(&text).map(Some),
            Err(err) if err.kind() == ErrorKind::NotFound => Ok(None),
            Err(err) => Err(self.io(err)),
        }
    }

    fn save(&self, state: &State) -> Result<(), NotABook> {
        let text = serde_json::to_vec_pretty(state).expect("a state has text keys only");
        let part = self.path.with_extension("part");
        let written = private().truncate(true).open(&part).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        });
        written.and_then(|()| fs::rename(&part, &self.path)).map_err(|err| self.io(err))
    }

    fn erase(&self) -> Result<(), NotABook> {
        match fs::remove_file(&self.path) {
            Err(err) if err.kind() != ErrorKind::NotFound => Err(self.io(err)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_former_version_wrote_is_read_and_what_a_newer_one_did_is_refused() {
        let book = FileBook::to_read(Path::new("/ops/fleet.state.json"));
        let state = State::new("fleet".parse().unwrap(), "here".to_owned());
        let of = |schema: u32| {
            serde_json::to_vec(&State { schema, ..state.clone() }).expect("it has text keys only")
        };
        for schema in 1..=SCHEMA {
            assert_eq!(book.read(&of(schema)).unwrap(), state, "written by schema {schema}");
        }
        assert!(matches!(book.read(&of(SCHEMA + 1)), Err(NotABook::Newer { .. })));
        assert!(matches!(book.read(b"{}"), Err(NotABook::Damaged { .. })));
    }
}
