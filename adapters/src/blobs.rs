//! [`FileBlobs`]: blobs as files under one folder, `sha256/<hh>/<64 digits>`.
//!
//! Owns how bytes become durable: written beside their place, synced, renamed into it. What is read
//! is checked against its digest on the way. Never decides which blobs are needed; as a [`Shelf`] it says when each was
//! used. [`AgentBlobs`] keeps them on nodes.

mod agents;
mod holders;

use std::error::Error as _;
use std::io::{self, ErrorKind};
use std::path::Path as FilePath;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use common::digest::Digest;
use common::port::Blobs;
use common::port::blobs::{ByteStream, Error, Shelf, StoredBlob};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectMeta, ObjectStore as _, ObjectStoreExt as _};
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

pub use agents::AgentBlobs;
pub use holders::{Holder, Holders, StoreHolders};

/// How many bytes are read, hashed and written at once.
const PIECE: usize = 512 * 1024;
const FOLDER: &str = "sha256";

/// Blobs as files.
#[derive(Debug)]
pub struct FileBlobs {
    files: LocalFileSystem,
}

impl FileBlobs {
    /// Keeps blobs below `folder`, which is made if it is missing.
    pub fn open(folder: &FilePath) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(failed)?;
        let files = LocalFileSystem::new_with_prefix(folder).map_err(unavailable)?;
        Ok(FileBlobs { files: files.with_fsync(true) })
    }

    /// Keeps a stream of bytes if they have the digest; nothing is kept otherwise.
    async fn keep(
        &self,
        digest: &Digest,
        mut source: BoxStream<'_, io::Result<Bytes>>,
    ) -> Result<(), Error> {
        let mut upload = self.files.put_multipart(&place(digest)).await.map_err(unavailable)?;
        let mut hash = Sha256::new();
        while let Some(piece) = source.next().await {
            let piece = piece.map_err(failed)?;
            hash.update(&piece);
            upload.put_part(piece.into()).await.map_err(unavailable)?;
        }
        finish(upload, digest, hash).await
    }

    async fn has(&self, digest: &Digest) -> Result<bool, Error> {
        match self.files.head(&place(digest)).await {
            Ok(_) => Ok(true),
            Err(err) if is_absent(&err) => Ok(false),
            Err(err) => Err(unavailable(err)),
        }
    }
}

/// Gives the written bytes their place, durably, or drops them if they are not what they should be.
async fn finish(
    mut upload: Box<dyn MultipartUpload>,
    digest: &Digest,
    hash: Sha256,
) -> Result<(), Error> {
    let found = Digest::from_sha256(hash.finalize().into());
    if found != *digest {
        upload.abort().await.map_err(unavailable)?;
        return Err(Error::Mismatch { wanted: digest.clone(), found });
    }
    upload.complete().await.map_err(unavailable)?;
    Ok(())
}

#[async_trait]
impl Blobs for FileBlobs {
    async fn put_file(&self, digest: &Digest, file: &FilePath) -> Result<(), Error> {
        let source = pieces(File::open(file).await.map_err(failed)?);
        if self.has(digest).await? {
            return check(digest, source).await;
        }
        self.keep(digest, source).await
    }

    async fn put(&self, bytes: Bytes) -> Result<Digest, Error> {
        let digest = Digest::of(&bytes);
        if !self.has(&digest).await? {
            self.keep(&digest, stream::once(async { Ok(bytes) }).boxed()).await?;
        }
        Ok(digest)
    }

    async fn get(&self, digest: &Digest) -> Result<(u64, ByteStream), Error> {
        let found = match self.files.get(&place(digest)).await {
            Ok(found) => found,
            Err(err) if is_absent(&err) => return Err(Error::Absent(digest.clone())),
            Err(err) => return Err(unavailable(err)),
        };
        let size = found.meta.size;
        Ok((size, checked(digest.clone(), found.into_stream(), unavailable)))
    }

    async fn list(&self) -> Result<Vec<Digest>, Error> {
        let found = self.files.list(Some(&Path::from(FOLDER)));
        let digests: Vec<Option<Digest>> = found
            .map_ok(|meta| digest_at(&meta.location))
            .try_collect()
            .await
            .map_err(unavailable)?;
        let mut digests: Vec<Digest> = digests.into_iter().flatten().collect();
        digests.sort();
        Ok(digests)
    }

    async fn delete(&self, digest: &Digest) -> Result<(), Error> {
        match self.files.delete(&place(digest)).await {
            Ok(()) => Ok(()),
            Err(err) if is_absent(&err) => Ok(()),
            Err(err) => Err(unavailable(err)),
        }
    }
}

/// When a blob was last used is when its file was last changed: it outlives the process.
#[async_trait]
impl Shelf for FileBlobs {
    async fn stored(&self) -> Result<Vec<StoredBlob>, Error> {
        let found = self.files.list(Some(&Path::from(FOLDER)));
        let stored: Vec<Option<StoredBlob>> =
            found.map_ok(|meta| stored(&meta)).try_collect().await.map_err(unavailable)?;
        let mut stored: Vec<StoredBlob> = stored.into_iter().flatten().collect();
        stored.sort_by(|one, other| one.digest.cmp(&other.digest));
        Ok(stored)
    }

    async fn touch(&self, digest: &Digest, at: Timestamp) -> Result<(), Error> {
        let path = self.files.path_to_filesystem(&place(digest)).map_err(unavailable)?;
        match File::open(path).await {
            Ok(file) => file.into_std().await.set_modified(at.into()).map_err(failed),
            Err(err) if err.kind() == ErrorKind::NotFound => Err(Error::Absent(digest.clone())),
            Err(err) => Err(failed(err)),
        }
    }
}

fn stored(meta: &ObjectMeta) -> Option<StoredBlob> {
    let changed = meta.last_modified;
    let nanos = i32::try_from(changed.timestamp_subsec_nanos()).ok()?;
    let used = Timestamp::new(changed.timestamp(), nanos).ok()?;
    Some(StoredBlob { digest: digest_at(&meta.location)?, bytes: meta.size, used })
}

fn place(digest: &Digest) -> Path {
    let hex = digest.hex();
    let shard: String = hex.chars().take(2).collect();
    Path::from_iter([FOLDER, shard.as_str(), hex])
}

fn digest_at(location: &Path) -> Option<Digest> {
    format!("{FOLDER}:{}", location.filename()?).parse().ok()
}

/// What is left of a file's bytes.
pub(crate) fn pieces(file: File) -> BoxStream<'static, io::Result<Bytes>> {
    let next = |mut file: File| async {
        let mut piece = BytesMut::with_capacity(PIECE);
        while piece.len() < PIECE && file.read_buf(&mut piece).await? > 0 {}
        Ok((!piece.is_empty()).then(|| (piece.freeze(), file)))
    };
    stream::try_unfold(file, next).boxed()
}

async fn check(digest: &Digest, mut source: BoxStream<'_, io::Result<Bytes>>) -> Result<(), Error> {
    let mut hash = Sha256::new();
    while let Some(piece) = source.try_next().await.map_err(failed)? {
        hash.update(&piece);
    }
    let found = Digest::from_sha256(hash.finalize().into());
    if found == *digest { Ok(()) } else { Err(Error::Mismatch { wanted: digest.clone(), found }) }
}

/// The stored bytes, with an error at their end if they are not those that were stored.
fn checked<S, E>(digest: Digest, source: S, failed: fn(E) -> Error) -> ByteStream
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
    E: 'static,
{
    let next = move |reading: Option<(Digest, Sha256, S)>| async move {
        let Some((digest, mut hash, mut source)) = reading else { return Ok(None) };
        match source.try_next().await.map_err(failed)? {
            Some(piece) => {
                Sha256::update(&mut hash, &piece);
                Ok(Some((piece, Some((digest, hash, source)))))
            }
            None => {
                let found = Digest::from_sha256(hash.finalize().into());
                if found == digest {
                    Ok(None)
                } else {
                    Err(Error::Mismatch { wanted: digest, found })
                }
            }
        }
    };
    stream::try_unfold(Some((digest, Sha256::new(), source)), next).boxed()
}

fn is_absent(err: &object_store::Error) -> bool {
    matches!(err, object_store::Error::NotFound { .. })
}

fn failed(err: io::Error) -> Error {
    if is_full(&err) { Error::Full(Box::new(err)) } else { Error::Unavailable(Box::new(err)) }
}

/// The object store says what the file system said only in its chain of causes.
fn unavailable(err: object_store::Error) -> Error {
    let mut cause = err.source();
    while let Some(source) = cause {
        if source.downcast_ref::<io::Error>().is_some_and(is_full) {
            return Error::Full(Box::new(err));
        }
        cause = source.source();
    }
    Error::Unavailable(Box::new(err))
}

fn is_full(err: &io::Error) -> bool {
    matches!(err.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}
