//! The store: small versioned records in a tree, changed by compare-and-set.

use std::fmt::{self, Debug};
use std::str::FromStr;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use serde::{Deserialize, Serialize};

use super::Cause;

/// The largest value of a record.
pub const MAX_VALUE: usize = 64 * 1024;
/// How many operations one transaction may have.
pub const MAX_OPS: usize = 64;
/// How many bytes the values of one transaction may have together.
pub const MAX_TRANSACTION: usize = 512 * 1024;

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A precondition did not hold; nothing was changed.
    #[error("operation {index} of the transaction met another version")]
    Conflict { index: usize },
    /// Not now, and nothing was changed.
    #[error("the store is unavailable")]
    Unavailable(#[source] Cause),
    /// The connection was lost: the transaction may or may not have been done.
    #[error("the outcome of the transaction is unknown")]
    OutcomeUnknown(#[source] Cause),
    /// Never: the transaction breaks a limit of the contract.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Unavailable(_) | Error::OutcomeUnknown(_))
    }
}

/// The path of a record: `/a/b/c`, segments of printable ASCII without `/`, none of them `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Path(String);

/// The text is not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a path of the store")]
pub struct PathError(pub String);

impl Path {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The record `segment` below this one.
    pub fn join(&self, segment: &str) -> Result<Path, PathError> {
        format!("{}/{segment}", self.0).parse()
    }

    /// The record above this one; none above the first.
    pub fn parent(&self) -> Option<Path> {
        match self.0.rsplit_once('/') {
            Some(("", _)) | None => None,
            Some((parent, _)) => Some(Path(parent.to_owned())),
        }
    }

    /// The last segment.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(_, name)| name)
    }

    /// Whether `self` is `other` or lies below it.
    pub fn is_within(&self, other: &Path) -> bool {
        self == other || self.0.strip_prefix(&other.0).is_some_and(|rest| rest.starts_with('/'))
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let kept = text.strip_prefix('/').is_some_and(|rest| {
            // The server's own records stand there. Deeper it is a name like any other: somebody's app.
            let is_servers = rest.split('/').next() == Some("zookeeper");
            let is_plain = |segment: &str| {
                !matches!(segment, "" | "." | "..")
                    && segment.bytes().all(|byte| byte.is_ascii_graphic())
            };
            !is_servers && rest.split('/').all(is_plain)
        });
        if kept { Ok(Path(text.to_owned())) } else { Err(PathError(text.to_owned())) }
    }
}

impl TryFrom<String> for Path {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, PathError> {
        text.parse()
    }
}

impl From<Path> for String {
    fn from(path: Path) -> Self {
        path.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which version of a record. It starts again when a record is removed and made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub i64);

/// A record as it was read; it may already be out of date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub value: Bytes,
    pub version: Version,
}

/// What must hold for a record to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    Absent,
    Version(Version),
}

/// How long a record lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    Persistent,
    /// Until this client's session ends. Only for liveness, never for state.
    Ephemeral,
}

/// One operation of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Makes (`Absent`) or changes (`Version`) a record. Missing parents are made beforehand.
    Put { path: Path, value: Bytes, precondition: Precondition },
    /// Makes a record that lives as long as this client's session.
    PutEphemeral { path: Path, value: Bytes },
    /// Makes a record whose name is `path` and a number higher than that of any sibling made so before.
    PutSequential { path: Path, value: Bytes, lifetime: Lifetime },
    /// Removes a record that has no children.
    Delete { path: Path, version: Version },
    /// Changes nothing; demands that a record has this version.
    Check { path: Path, version: Version },
}

impl Op {
    pub fn path(&self) -> &Path {
        match self {
            Op::Put { path, .. }
            | Op::PutEphemeral { path, .. }
            | Op::PutSequential { path, .. }
            | Op::Delete { path, .. }
            | Op::Check { path, .. } => path,
        }
    }

    pub fn value(&self) -> Option<&Bytes> {
        match self {
            Op::Put { value, .. }
            | Op::PutEphemeral { value, .. }
            | Op::PutSequential { value, .. } => Some(value),
            Op::Delete { .. } | Op::Check { .. } => None,
        }
    }
}

/// What a transaction that breaks a limit of the contract is told.
pub fn check_limits(ops: &[Op]) -> Result<(), Error> {
    let sizes = ops.iter().filter_map(Op::value).map(Bytes::len);
    if ops.len() > MAX_OPS {
        return Err(Error::Refused(format!("{} operations are more than {MAX_OPS}", ops.len())));
    }
    if let Some(size) = sizes.clone().find(|size| *size > MAX_VALUE) {
        return Err(Error::Refused(format!("a value of {size} bytes is larger than {MAX_VALUE}")));
    }
    let total: usize = sizes.sum();
    if total > MAX_TRANSACTION {
        return Err(Error::Refused(format!("{total} bytes are more than {MAX_TRANSACTION}")));
    }
    Ok(())
}

/// What one operation of a finished transaction left behind, in the order of the operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// The record as it is now called, and its version.
    Written {
        path: Path,
        version: Version,
    },
    Deleted,
    Checked,
}

impl Done {
    /// The version of the record that was written, if one was.
    pub fn version(&self) -> Option<Version> {
        match self {
            Done::Written { version, .. } => Some(*version),
            Done::Deleted | Done::Checked => None,
        }
    }
}

/// A hint that something at or below a watched path may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// At least this record.
    At(Path),
    /// Anything: the connection was rebuilt, read all again.
    Resync,
}

/// Reads, watches and changes records.
#[async_trait]
pub trait Store: Debug + Send + Sync {
    /// The record, if there is one. It may be stale.
    async fn get(&self, path: &Path) -> Result<Option<Entry>, Error>;

    /// The names of the records directly below, sorted; none if the path does not exist. May be stale.
    async fn children(&self, path: &Path) -> Result<Vec<String>, Error>;

    /// Does all operations or none.
    async fn commit(&self, ops: Vec<Op>) -> Result<Vec<Done>, Error>;

    /// Returns once reads of this client see everything that was committed before the call.
    async fn sync(&self) -> Result<(), Error>;

    /// Hints about changes of the path and everything below it: at least one after any change,
    /// [`Change::Resync`] after the connection was rebuilt. Ends when the store is dropped.
    async fn watch(&self, path: &Path) -> Result<BoxStream<'static, Change>, Error>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_absolute_and_have_plain_segments() {
        for text in ["/a", "/a/b-c_d.e/f:1", "/a/zookeeper", "/zookeepers"] {
            assert!(text.parse::<Path>().is_ok(), "{text}");
        }
        for text in [
            "",
            "/",
            "a",
            "/a/",
            "//a",
            "/a/../b",
            "/a/./b",
            "/a b",
            "/é",
            "/a\n",
            "/zookeeper",
            "/zookeeper/x",
        ] {
            assert!(text.parse::<Path>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_lies_within_itself_and_its_parents_only() {
        let path: Path = "/a/b".parse().unwrap();
        assert!(path.is_within(&"/a".parse().unwrap()));
        assert!(path.is_within(&path));
        assert!(!"/a/bc".parse::<Path>().unwrap().is_within(&path));
    }
}
