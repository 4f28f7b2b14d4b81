//! Blobs on this machine, for the services that keep bundles on nodes: taken in whole or not at all.
//!
//! Owns how much comes in at once, and that nothing half-received stays. Never decides which blobs are needed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use common::digest::Digest;
use common::port::Blobs;
use common::port::blobs;
use futures::{Stream, StreamExt as _};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Semaphore;

/// How many blobs are received at once: others wait for their turn.
const AT_ONCE: usize = 4;
/// How long one may take to arrive.
const UPLOAD: Duration = Duration::from_mins(10);

/// Why a blob was not taken in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("a blob may have at most {0} bytes")]
    TooLarge(u64),
    #[error("the blob did not arrive whole")]
    Incomplete,
    #[error("the blob cannot be written")]
    Write(#[source] io::Error),
    #[error(transparent)]
    Blobs(#[from] blobs::Error),
}

/// The blobs of this machine.
#[derive(Debug)]
pub(crate) struct Bundles {
    pub(crate) blobs: Arc<dyn Blobs>,
    /// The folder of what is being received.
    uploads: PathBuf,
    largest: u64,
    turns: Semaphore,
    next: AtomicU64,
}

impl Bundles {
    /// What a former process received and did not keep is removed.
    pub(crate) fn open(blobs: Arc<dyn Blobs>, folder: &Path, largest: u64) -> io::Result<Self> {
        let uploads = folder.join("uploads");
        match fs::remove_dir_all(&uploads) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
            Ok(()) | Err(_) => {}
        }
        fs::create_dir_all(&uploads)?;
        let (turns, next) = (Semaphore::new(AT_ONCE), AtomicU64::new(0));
        Ok(Bundles { blobs, uploads, largest, turns, next })
    }

    /// Keeps a blob that arrives in pieces. It is there for good once this returns.
    pub(crate) async fn take<E>(
        &self,
        digest: &Digest,
        pieces: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<(), Error> {
        let _turn = self.turns.acquire().await;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let upload = Upload(self.uploads.join(number.to_string()));
        let receiving = receive(&upload.0, pieces, self.largest);
        tokio::time::timeout(UPLOAD, receiving).await.map_err(|_| Error::Incomplete)??;
        Ok(self.blobs.put_file(digest, &upload.0).await?)
    }
}

/// A file that goes when nobody needs it any more, also when the caller went away.
struct Upload(PathBuf);

impl Drop for Upload {
    fn drop(&mut self) {
        // What stays is removed at the next start.
        drop(fs::remove_file(&self.0));
    }
}

async fn receive<E>(
    path: &Path,
    pieces: impl Stream<Item = Result<Bytes, E>>,
    largest: u64,
) -> Result<(), Error> {
    let mut pieces = std::pin::pin!(pieces);
    let mut file = File::create(path).await.map_err(Error::Write)?;
    let mut received = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| Error::Incomplete)?;
        received += piece.len() as u64;
        if received > largest {
            return Err(Error::TooLarge(largest));
        }
        file.write_all(&piece).await.map_err(Error::Write)?;
    }
    file.flush().await.map_err(Error::Write)
}
