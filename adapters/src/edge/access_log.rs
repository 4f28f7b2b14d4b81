//! Follows the edge's access log over its turns, and has its lines counted.
//!
//! The edge renames the log to `access.log.1` when it is large and opens another; its workers go on
//! writing to the old one for a moment. Both are followed by their inodes.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::tally::Tally;

/// How much is read at once.
const PIECE: usize = 256 * 1024;
/// What is longer is no line of the edge's.
const LONGEST_LINE: usize = 64 * 1024;
/// After this long without a new line nobody writes to a renamed log any more.
const QUIET: Duration = Duration::from_secs(5);

/// The log so far.
#[derive(Debug)]
pub(super) struct AccessLog {
    path: PathBuf,
    current: Option<Followed>,
    renamed: Option<Followed>,
    tally: Tally,
}

/// Whether every line since the last call was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coverage {
    Whole,
    /// Lines were lost, or there may have been some before the first call.
    Partial,
}

#[derive(Debug)]
struct Followed {
    file: File,
    inode: u64,
    position: u64,
    /// The beginning of a line whose end is not written yet.
    rest: Vec<u8>,
    grew_at: Instant,
}

impl AccessLog {
    pub(super) fn new(path: PathBuf) -> Self {
        AccessLog { path, current: None, renamed: None, tally: Tally::default() }
    }

    /// What was counted, as far as it was seen.
    pub(super) fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    /// Reads what was written since the last call. Blocks on files.
    pub(super) fn advance(&mut self) -> io::Result<Coverage> {
        let mut coverage = Coverage::Whole;
        if self.current.is_none() {
            self.renamed = Followed::open(&self.renamed_path())?;
            self.current = Followed::open(&self.path)?;
            if self.renamed.is_some() {
                coverage = Coverage::Partial;
            }
        }
        if self.has_turned()? {
            self.read()?;
            self.renamed = self.current.take();
            self.current = Followed::open(&self.path)?;
            let renamed = inode_of(&self.renamed_path())?;
            if renamed != self.renamed.as_ref().map(|log| log.inode) {
                coverage = Coverage::Partial;
            }
        }
        if self.read()? == Coverage::Partial {
            coverage = Coverage::Partial;
        }
        if self.renamed.as_ref().is_some_and(|log| log.grew_at.elapsed() > QUIET) {
            self.renamed = None;
        }
        self.tally.is_begun = true;
        Ok(coverage)
    }

    fn renamed_path(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".1");
        name.into()
    }

    /// Whether another log stands where the current one stood. Where none stands, the new one is
    /// on its way.
    fn has_turned(&self) -> io::Result<bool> {
        let standing = inode_of(&self.path)?;
        Ok(match (&self.current, standing) {
            (Some(current), Some(inode)) => current.inode != inode,
            (Some(_) | None, _) => false,
        })
    }

    fn read(&mut self) -> io::Result<Coverage> {
        let mut coverage = Coverage::Whole;
        for log in [&mut self.renamed, &mut self.current].into_iter().flatten() {
            if log.read(&mut self.tally)? == Coverage::Partial {
                coverage = Coverage::Partial;
            }
        }
        Ok(coverage)
    }
}

impl Followed {
    fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(err) if err.kind() == ErrorKind::NotFound => return Ok(None),
            Err(err) => return Err(err),
        };
        let inode = file.metadata()?.ino();
        let grew_at = Instant::now();
        Ok(Some(Followed { file, inode, position: 0, rest: Vec::new(), grew_at }))
    }

    fn read(&mut self, tally: &mut Tally) -> io::Result<Coverage> {
        let length = self.file.metadata()?.len();
        let mut coverage = Coverage::Whole;
        if length < self.position {
            // Somebody emptied it.
            self.position = 0;
            self.rest.clear();
            coverage = Coverage::Partial;
        }
        self.file.seek(SeekFrom::Start(self.position))?;
        let mut piece = vec![0; PIECE];
        loop {
            let count = self.file.read(&mut piece)?;
            if count == 0 {
                return Ok(coverage);
            }
            self.position += count as u64;
            self.grew_at = Instant::now();
            self.take(piece.get(..count).unwrap_or_default(), tally);
        }
    }

    fn take(&mut self, piece: &[u8], tally: &mut Tally) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            if self.rest.is_empty() && part.ends_with(b"\n") && part.len() <= LONGEST_LINE {
                tally.add(part);
                continue;
            }
            if self.rest.len() + part.len() <= LONGEST_LINE {
                self.rest.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                tally.add(&self.rest);
                self.rest.clear();
            }
        }
    }
}

fn inode_of(path: &Path) -> io::Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found.ino())),
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err),
    }
}

#[cfg(test)]
mod tests;
