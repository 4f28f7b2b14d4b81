//! [`FolderShare`]: a folder of this machine as a share.
//!
//! Every step goes from an open folder to a name in it, so that no link leads elsewhere, whoever puts it there and
//! when. A file's version is the digest of its bytes: the clock of a file system is too coarse to tell two apart.

mod walk;

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use common::digest::Digest;
use common::port::Share;
use common::port::share::{ChunkStream, Entry, Error, FileName, Folder, Limits, Version};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use rustix::fs::{Mode, OFlags, open, openat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use self::walk::Walk;
use super::exact::{changed, exactly};
use super::{InvalidShare, PAUSE, Said};
use crate::blobs::pieces;

/// How long a folder may take to be gone through, or a file to be opened.
const WITHIN: Duration = Duration::from_mins(2);
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// A pipe must not hold up who opens it.
const FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// A folder.
#[derive(Debug, Clone)]
pub struct FolderShare {
    root: PathBuf,
    place: String,
}

impl FolderShare {
    /// The folder need not be there yet.
    pub fn new(root: &Path) -> Result<Self, InvalidShare> {
        if !root.is_absolute() {
            return Err(InvalidShare::Path(root.to_owned()));
        }
        Ok(FolderShare { root: root.to_owned(), place: root.display().to_string() })
    }

    /// Opens a folder of the share. Which folder the top itself is, is the administrator's business.
    fn open(&self, folder: &Folder) -> io::Result<OwnedFd> {
        let top = open(&self.root, FOLDER, Mode::empty())?;
        descend(top, folder.segments())
    }

    fn open_file(&self, folder: &Folder, name: &FileName) -> io::Result<File> {
        let (within, last) = name.as_str().rsplit_once('/').unwrap_or(("", name.as_str()));
        let segments = within.split('/').filter(|segment| !segment.is_empty());
        let parent = descend(self.open(folder)?, segments)?;
        let file = File::from(openat(&parent, last, FILE, Mode::empty())?);
        if file.metadata()?.is_file() { Ok(file) } else { Err(ErrorKind::NotFound.into()) }
    }

    fn failed(&self, err: &io::Error, folder: &Folder) -> Error {
        let place = self.place.clone();
        let missing = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP].map(Errno::raw_os_error);
        let is_missing = err.kind() == ErrorKind::NotFound
            || err.raw_os_error().is_some_and(|code| missing.contains(&code));
        if is_missing {
            Error::NotFound { place, folder: folder.clone() }
        } else if err.kind() == ErrorKind::PermissionDenied {
            Error::CredentialsRefused { place, said: "permission denied".to_owned() }
        } else {
            Error::Unavailable { place, source: Box::new(Said::new(err)) }
        }
    }
}

/// Work that waits for a disk, on a thread of its own. A mounted disk may never answer.
#[expect(clippy::disallowed_methods, reason = "an adapter may")]
pub(super) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let working = timeout(WITHIN, tokio::task::spawn_blocking(work));
    working.await?.map_err(io::Error::other)
}

/// From a folder to one below it, by way of folders only.
fn descend<'a>(mut at: OwnedFd, segments: impl Iterator<Item = &'a str>) -> io::Result<OwnedFd> {
    for segment in segments {
        at = openat(&at, segment, FOLDER.union(OFlags::NOFOLLOW), Mode::empty())?;
    }
    Ok(at)
}

/// The chunks, with an error at their end if they are not those that were listed.
fn verified(chunks: ChunkStream, version: Version, changed: Error) -> ChunkStream {
    let reading = (chunks, Sha256::new(), version, changed);
    stream::try_unfold(reading, |(mut chunks, mut hash, version, changed)| async {
        match chunks.try_next().await? {
            Some(chunk) => {
                Sha256::update(&mut hash, &chunk);
                Ok(Some((chunk, (chunks, hash, version, changed))))
            }
            None => {
                let found = Digest::from_sha256(hash.finalize().into());
                if found.as_str() == version.as_str() { Ok(None) } else { Err(changed) }
            }
        }
    })
    .boxed()
}

#[async_trait]
impl Share for FolderShare {
    fn place(&self) -> &str {
        &self.place
    }

    async fn list(&self, folder: &Folder, limits: &Limits) -> Result<Vec<Entry>, Error> {
        let (share, wanted, limits) = (self.clone(), folder.clone(), *limits);
        let walked = apart(move || Walk::over(&share, &wanted, &limits)).await;
        walked.unwrap_or_else(|err| Err(self.failed(&err, folder)))
    }

    async fn read(&self, folder: &Folder, entry: &Entry) -> Result<ChunkStream, Error> {
        let (share, within, name) = (self.clone(), folder.clone(), entry.name.clone());
        let opened = apart(move || share.open_file(&within, &name)).await.flatten();
        let file = opened.map_err(|err| match self.failed(&err, folder) {
            Error::NotFound { .. } => changed(&self.place, entry),
            other @ (Error::CredentialsRefused { .. }
            | Error::HostileName { .. }
            | Error::TooManyFiles { .. }
            | Error::FileTooLarge { .. }
            | Error::TooLarge { .. }
            | Error::Changed { .. }
            | Error::Unavailable { .. }) => other,
        })?;
        let (share, folder) = (self.clone(), folder.clone());
        let pieces = pieces(tokio::fs::File::from_std(file));
        let source = stream::try_unfold(pieces, |mut pieces| async {
            let piece = timeout(PAUSE, pieces.try_next()).await??;
            Ok::<_, io::Error>(piece.map(|piece| (piece, pieces)))
        });
        let source = source.map_err(move |err| share.failed(&err, &folder));
        let chunks = exactly(&self.place, entry, source.boxed());
        Ok(verified(chunks, entry.version.clone(), changed(&self.place, entry)))
    }
}
