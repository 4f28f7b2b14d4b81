//! Blobs on this machine, for the services that keep bundles on nodes: taken in whole or not at all.
//!
//! Owns how much comes in at once, that nothing half-received stays, when each was last used, and that one goes only while
//! nobody puts or reads it. Never decides which blobs are needed: it is told, and forgets it with the process.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use common::agent::Held;
use common::digest::Digest;
use common::port::Clock;
use common::port::blobs::{self, ByteStream, Shelf, StoredBlob};
use common::port::disk::{Item, Needs};
use futures::{Stream, StreamExt as _};
use jiff::SignedDuration;
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::config::Config;
use crate::disk::Holds;
use crate::domain::collection::bundles::{Facts, SAID_FOR, free, items};

/// How many blobs are received at once: others wait for their turn.
const AT_ONCE: usize = 4;
/// How long one may take to arrive.
const UPLOAD: Duration = Duration::from_mins(10);
/// By so much a clock may be behind the one that noted a use.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

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

/// Whether it is all that is said of one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    All,
    /// Besides what was said of the same look; without that, all there is.
    More,
}

/// The blobs of this machine.
#[derive(Debug)]
pub(crate) struct Bundles {
    shelf: Arc<dyn Shelf>,
    clock: Arc<dyn Clock>,
    /// Bundles that must not go now.
    holds: Holds,
    /// What the node manager said of them, and when.
    said: Mutex<Option<(Instant, Needs)>>,
    began: Instant,
    /// So long one stays that nobody refers to.
    grace: Duration,
    /// The folder of what is being received.
    uploads: PathBuf,
    largest: u64,
    turns: Semaphore,
    next: AtomicU64,
}

impl Bundles {
    /// What a former process received and did not keep is removed.
    pub(crate) fn open(
        (shelf, clock): (Arc<dyn Shelf>, Arc<dyn Clock>),
        config: &Config,
    ) -> io::Result<Self> {
        let uploads = config.data_folder.join("uploads");
        match fs::remove_dir_all(&uploads) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
            Ok(()) | Err(_) => {}
        }
        fs::create_dir_all(&uploads)?;
        Ok(Bundles {
            shelf,
            clock,
            holds: Holds::default(),
            said: Mutex::default(),
            began: Instant::now(),
            grace: config.keep_unused,
            uploads,
            largest: config.blob_bytes,
            turns: Semaphore::new(AT_ONCE),
            next: AtomicU64::new(0),
        })
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
        let _hold = self.holds.hold(digest).await;
        self.shelf.put_file(digest, &upload.0).await?;
        Ok(self.note_use(digest).await?)
    }

    /// Its size and its bytes; it may be removed while they are read.
    pub(crate) async fn open_one(&self, digest: &Digest) -> Result<(u64, ByteStream), Error> {
        let _hold = self.holds.hold(digest).await;
        match self.note_use(digest).await {
            Ok(()) | Err(blobs::Error::Absent(_)) => {}
            Err(err) => {
                tracing::warn!(error = &err as &dyn std::error::Error, blob = %digest, "a use is not noted");
            }
        }
        Ok(self.shelf.get(digest).await?)
    }

    /// What was said of it before is void.
    async fn note_use(&self, digest: &Digest) -> Result<(), blobs::Error> {
        if let Some((_, said)) = self.lock().as_mut() {
            said.bundles.retain(|need| need.digest != *digest);
        }
        self.shelf.touch(digest, self.clock.now()).await
    }

    /// All of them, and those of which nobody has to make copies.
    pub(crate) async fn held(&self) -> Result<Held, Error> {
        let stored = self.stored().await?;
        let free = free(&stored, &self.facts(Duration::MAX, |_| true));
        Ok(Held { held: stored.into_iter().map(|blob| blob.digest).collect(), free })
    }

    /// Whoever says so knows that it is of no use.
    pub(crate) async fn delete(&self, digest: &Digest) -> Result<(), Error> {
        Ok(self.shelf.delete(digest).await?)
    }

    /// Takes note of what is needed, until something else is said or it is too old.
    pub(crate) fn hear(&self, needs: Needs, word: Word) {
        let mut said = self.lock();
        match said.as_mut().filter(|(_, before)| word == Word::More && before.at == needs.at) {
            Some((_, before)) => {
                let anew: BTreeSet<&Digest> =
                    needs.bundles.iter().map(|need| &need.digest).collect();
                before.bundles.retain(|need| !anew.contains(&need.digest));
                before.bundles.extend(needs.bundles);
            }
            None => *said = Some((Instant::now(), needs)),
        }
    }

    /// All of them with who refers to them, the longest unused first.
    pub(crate) async fn look(&self) -> Result<Vec<Item>, blobs::Error> {
        let stored = self.stored().await?;
        // Whatever was used since stands in the holds by now.
        Ok(items(stored, &self.facts(lasts(), |_| true)))
    }

    async fn stored(&self) -> Result<Vec<StoredBlob>, blobs::Error> {
        let mut stored = self.shelf.stored().await?;
        self.set_right(&mut stored).await;
        Ok(stored)
    }

    /// What was used under a clock that was ahead would be recent until that time comes, here and on all nodes.
    async fn set_right(&self, stored: &mut [StoredBlob]) {
        let now = self.clock.now();
        for blob in stored.iter_mut().filter(|blob| blob.used.duration_since(now) > AHEAD) {
            match self.shelf.touch(&blob.digest, now).await {
                Ok(()) => blob.used = now,
                Err(err) => {
                    tracing::warn!(error = &err as &dyn std::error::Error, blob = %blob.digest, "its last use stays in the future");
                }
            }
        }
    }

    /// What was said counts for so long, and of these bundles only.
    fn facts(&self, lasting: Duration, is_meant: impl Fn(&Digest) -> bool) -> Facts {
        let of = |needs: &Needs| Needs {
            at: needs.at,
            bundles: needs.bundles.iter().filter(|need| is_meant(&need.digest)).cloned().collect(),
        };
        let said = self.lock();
        let is_new = said.is_none() && self.began.elapsed() < lasts();
        let said = said.as_ref().filter(|(at, _)| at.elapsed() < lasting);
        Facts {
            said: said.map(|(_, needs)| of(needs)),
            is_new,
            recent: self.holds.recent(),
            grace: SignedDuration::try_from(self.grace).unwrap_or(SignedDuration::MAX),
            now: self.clock.now(),
        }
    }

    /// Removes one that was looked at, or says why it stays after all: because of what was said or used since.
    pub(crate) async fn remove(&self, seen: &Item) -> Result<Option<String>, blobs::Error> {
        let digest = &seen.digest;
        // Whoever puts or reads it from now on waits until it is gone.
        let Some(_claim) = self.holds.claim(&[digest.clone()].into()) else {
            return Ok(Some("it is being used".to_owned()));
        };
        let (bytes, used) = (seen.bytes, seen.created);
        let seen = StoredBlob { digest: digest.clone(), bytes, used };
        let found = items(vec![seen], &self.facts(lasts(), |one| one == digest));
        match found.iter().flat_map(|item| &item.references).next() {
            Some(reference) => Ok(Some(reference.to_string())),
            None => self.shelf.delete(digest).await.map(|()| None),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Instant, Needs)>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So long it counts what was said, also to a process that is no more.
fn lasts() -> Duration {
    Duration::try_from(SAID_FOR).unwrap_or_default()
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
