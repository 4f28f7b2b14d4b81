//! A file as it was listed, or an error at its end.

use bytes::Bytes;
use common::port::share::{ChunkStream, Entry, Error, MAX_CHUNK};
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};

struct Reading {
    source: BoxStream<'static, Result<Bytes, Error>>,
    /// What came and was too large to be handed on at once.
    at_hand: Bytes,
    left: u64,
    changed: Error,
}

/// Hands the bytes on in small enough chunks, exactly as many as were listed.
pub(super) fn exactly(
    place: &str,
    entry: &Entry,
    source: BoxStream<'static, Result<Bytes, Error>>,
) -> ChunkStream {
    let changed = changed(place, entry);
    let reading = Reading { source, at_hand: Bytes::new(), left: entry.size, changed };
    stream::try_unfold(reading, |mut reading| async {
        while reading.at_hand.is_empty() {
            match reading.source.try_next().await? {
                Some(chunk) => reading.at_hand = chunk,
                None if reading.left == 0 => return Ok(None),
                None => return Err(reading.changed),
            }
        }
        let chunk = reading.at_hand.split_to(reading.at_hand.len().min(MAX_CHUNK));
        let Some(left) = reading.left.checked_sub(chunk.len() as u64) else {
            return Err(reading.changed);
        };
        reading.left = left;
        Ok(Some((chunk, reading)))
    })
    .boxed()
}

/// It is not the listed file any more.
pub(super) fn changed(place: &str, entry: &Entry) -> Error {
    Error::Changed { place: place.to_owned(), name: entry.name.clone() }
}

#[cfg(test)]
mod tests {
    use common::port::share::Version;

    use super::*;

    async fn read(size: u64, chunks: &[usize]) -> Result<Vec<usize>, Error> {
        let entry = Entry { name: "a".parse().unwrap(), size, version: Version::new("1") };
        let chunks: Vec<_> = chunks.iter().map(|size| Ok(Bytes::from(vec![0; *size]))).collect();
        let read = exactly("here", &entry, stream::iter(chunks).boxed());
        read.map_ok(|chunk| chunk.len()).try_collect().await
    }

    #[tokio::test]
    async fn a_file_has_the_size_that_was_listed() {
        assert_eq!(read(5, &[2, 0, 3]).await.unwrap(), [2, 3]);
        assert_eq!(read(0, &[]).await.unwrap(), [0; 0]);
        for wrong in [&[2, 2][..], &[2, 4], &[]] {
            assert!(matches!(read(5, wrong).await, Err(Error::Changed { .. })), "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn no_chunk_is_too_large() {
        let read = read(MAX_CHUNK as u64 + 1, &[MAX_CHUNK + 1]).await.unwrap();
        assert_eq!(read, [MAX_CHUNK, 1]);
    }
}
