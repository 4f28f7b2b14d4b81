//! Files of machines: where they are, and what is written into them.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use futures_core::stream::BoxStream;
use serde::{Deserialize, Serialize};

use super::Privilege;

const DEADLINE: Duration = Duration::from_mins(1);

/// The absolute path of a file on a machine, without `.`, `..`, empty segments or control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FilePath(String);

/// The text is not the path of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an absolute path of a file")]
pub struct NotAPath(pub String);

impl FilePath {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folder it is in, and its name there.
    pub fn split(&self) -> (&str, &str) {
        match self.0.rsplit_once('/') {
            Some(("", name)) => ("/", name),
            Some((folder, name)) => (folder, name),
            None => ("/", &self.0),
        }
    }
}

impl FromStr for FilePath {
    type Err = NotAPath;

    fn from_str(text: &str) -> Result<Self, NotAPath> {
        let plain = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && segment.len() <= 255
                && !segment.chars().any(char::is_control)
        };
        let kept = text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(plain));
        if kept && text.len() < 4096 {
            Ok(FilePath(text.to_owned()))
        } else {
            Err(NotAPath(text.to_owned()))
        }
    }
}

impl TryFrom<String> for FilePath {
    type Error = NotAPath;

    fn try_from(text: String) -> Result<Self, NotAPath> {
        text.parse()
    }
}

impl From<FilePath> for String {
    fn from(path: FilePath) -> Self {
        path.0
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A file that should be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    pub path: FilePath,
    /// Its permissions, `0o600` for instance. At no moment has it others.
    pub mode: u32,
    /// Whose it is.
    pub privilege: Privilege,
    pub deadline: Duration,
}

impl NewFile {
    /// A file of who signed in, with a minute's time to be copied.
    pub fn new(path: FilePath, mode: u32) -> Self {
        NewFile { path, mode, privilege: Privilege::User, deadline: DEADLINE }
    }

    #[must_use]
    pub fn by_root(mut self) -> Self {
        self.privilege = Privilege::Root;
        self
    }

    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

/// Bytes as they come.
pub type ChunkStream = BoxStream<'static, io::Result<Bytes>>;

/// What is written into a file. What comes in chunks may be larger than the memory.
pub enum Content {
    Bytes(Bytes),
    Chunks(ChunkStream),
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Content::Chunks(_) => f.write_str("chunks"),
        }
    }
}

impl<T: Into<Bytes>> From<T> for Content {
    fn from(bytes: T) -> Self {
        Content::Bytes(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_files_are_absolute_and_lead_nowhere_else() {
        for text in ["/a", "/etc/a b", "/a/-rf", "/é", "/a/..b"] {
            assert!(text.parse::<FilePath>().is_ok(), "{text}");
        }
        for text in ["", "/", "a", "/a/", "//a", "/a/../b", "/a/./b", "/a\nb", "/a\0"] {
            assert!(text.parse::<FilePath>().is_err(), "{text:?}");
        }
        assert!(format!("/{}", "x".repeat(256)).parse::<FilePath>().is_err());
    }

    #[test]
    fn a_path_is_a_folder_and_a_name() {
        let path = |text: &str| text.parse::<FilePath>().unwrap();
        assert_eq!(path("/a").split(), ("/", "a"));
        assert_eq!(path("/etc/avishkar/node.toml").split(), ("/etc/avishkar", "node.toml"));
    }
}
