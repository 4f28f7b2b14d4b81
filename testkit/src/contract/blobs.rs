//! What every blob store must do.

use std::path::Path;

use bytes::Bytes;
use common::digest::Digest;
use common::port::Blobs;
use common::port::blobs::{Error, Shelf, StoredBlob};
use futures::TryStreamExt as _;
use jiff::Timestamp;

/// Runs the whole contract on an empty blob store. `scratch` is a folder for files to be put.
pub async fn is_kept(blobs: &dyn Blobs, scratch: &Path) {
    bytes_come_back_under_their_digest(blobs).await;
    a_file_comes_back_and_stays_where_it_is(blobs, scratch).await;
    what_is_put_twice_is_kept_once(blobs, scratch).await;
    a_wrong_digest_is_refused_and_nothing_is_kept(blobs, scratch).await;
    an_empty_blob_is_a_blob(blobs).await;
    what_is_absent_is_said_to_be_absent(blobs).await;
    deleting_is_repeatable_and_takes_one_blob_only(blobs).await;
    concurrent_puts_of_the_same_bytes_all_succeed(blobs).await;
}

/// The bytes under `digest` were changed behind the store's back: whoever reads them is told.
pub async fn corruption_is_noticed(blobs: &dyn Blobs, digest: &Digest) {
    let read = match blobs.get(digest).await {
        Ok((_, stream)) => stream.try_collect::<Vec<Bytes>>().await.map(drop),
        Err(err) => Err(err),
    };
    assert!(matches!(read, Err(Error::Mismatch { .. })), "{read:?}");
}

/// What a machine's shelf says besides, of an empty one: what it has, how large it is, and when it was last used.
pub async fn uses_are_kept(shelf: &dyn Shelf) {
    assert_eq!(shelf.stored().await.expect("stored"), []);
    let (one, other) = (Bytes::from_static(b"one"), Bytes::from_static(b"the other"));
    let at = |second| Timestamp::from_second(second).expect("a time");
    let mut expected = Vec::new();
    for (bytes, second) in [(&one, 1_000_000_000), (&other, 1_000_000_600)] {
        let digest = shelf.put(bytes.clone()).await.expect("put");
        shelf.touch(&digest, at(second)).await.expect("touch");
        expected.push(StoredBlob { digest, bytes: bytes.len() as u64, used: at(second) });
    }
    expected.sort_by(|one, other| one.digest.cmp(&other.digest));
    assert_eq!(shelf.stored().await.expect("stored"), expected);
    let digest = Digest::of(&one);
    shelf.touch(&digest, at(1_000_001_200)).await.expect("touch again");
    let stored = shelf.stored().await.expect("stored");
    let used = stored.iter().find(|stored| stored.digest == digest).map(|stored| stored.used);
    assert_eq!(used, Some(at(1_000_001_200)));
    assert_eq!(read(shelf, &digest).await, &one[..], "its bytes are as they were");
    shelf.delete(&digest).await.expect("delete");
    let absent = shelf.touch(&digest, at(0)).await;
    assert!(matches!(&absent, Err(Error::Absent(said)) if *said == digest), "{absent:?}");
    let stored = shelf.stored().await.expect("stored");
    assert_eq!(stored.len(), 1, "what is gone is not used: {stored:?}");
}

async fn read(blobs: &dyn Blobs, digest: &Digest) -> Vec<u8> {
    let (size, stream) = blobs.get(digest).await.expect("the blob is there");
    let pieces: Vec<Bytes> = stream.try_collect().await.expect("the blob can be read");
    let bytes = pieces.concat();
    assert_eq!(size, bytes.len() as u64);
    bytes
}

/// More than one piece of any implementation, and not all the same byte.
fn large(seed: u8) -> Vec<u8> {
    (0..3_000_000_u32).map(|n| n.to_le_bytes()[(n % 4) as usize] ^ seed).collect()
}

async fn bytes_come_back_under_their_digest(blobs: &dyn Blobs) {
    let digest = blobs.put(Bytes::from_static(b"hello")).await.expect("put");
    assert_eq!(digest, Digest::of(b"hello"));
    assert_eq!(read(blobs, &digest).await, b"hello");
}

async fn a_file_comes_back_and_stays_where_it_is(blobs: &dyn Blobs, scratch: &Path) {
    let content = large(1);
    let file = scratch.join("large");
    std::fs::write(&file, &content).expect("the scratch folder can be written");
    let digest = Digest::of(&content);
    blobs.put_file(&digest, &file).await.expect("put");
    assert!(read(blobs, &digest).await == content);
    assert!(std::fs::read(&file).expect("the file is still there") == content);
}

async fn what_is_put_twice_is_kept_once(blobs: &dyn Blobs, scratch: &Path) {
    let file = scratch.join("twice");
    std::fs::write(&file, b"twice").expect("the scratch folder can be written");
    let digest = blobs.put(Bytes::from_static(b"twice")).await.expect("put");
    blobs.put_file(&digest, &file).await.expect("put again");
    let listed = blobs.list().await.expect("list");
    assert_eq!(listed.iter().filter(|listed| **listed == digest).count(), 1);
    assert!(listed.is_sorted());
    assert_eq!(read(blobs, &digest).await, b"twice");
}

async fn a_wrong_digest_is_refused_and_nothing_is_kept(blobs: &dyn Blobs, scratch: &Path) {
    let file = scratch.join("wrong");
    std::fs::write(&file, b"something else").expect("the scratch folder can be written");
    let wanted = Digest::of(b"something");
    let before = blobs.list().await.expect("list");
    let refused = blobs.put_file(&wanted, &file).await;
    assert!(
        matches!(&refused, Err(Error::Mismatch { wanted: said, found })
            if *said == wanted && *found == Digest::of(b"something else")),
        "{refused:?}"
    );
    assert_eq!(blobs.list().await.expect("list"), before);
}

async fn an_empty_blob_is_a_blob(blobs: &dyn Blobs) {
    let digest = blobs.put(Bytes::new()).await.expect("put");
    assert_eq!(read(blobs, &digest).await, b"");
}

async fn what_is_absent_is_said_to_be_absent(blobs: &dyn Blobs) {
    let absent = Digest::of(b"never put");
    let got = blobs.get(&absent).await.map(drop);
    assert!(matches!(&got, Err(Error::Absent(digest)) if *digest == absent), "{got:?}");
}

async fn deleting_is_repeatable_and_takes_one_blob_only(blobs: &dyn Blobs) {
    let kept = blobs.put(Bytes::from_static(b"kept")).await.expect("put");
    let gone = blobs.put(Bytes::from_static(b"gone")).await.expect("put");
    for _ in 0..2 {
        blobs.delete(&gone).await.expect("delete");
    }
    assert!(matches!(blobs.get(&gone).await, Err(Error::Absent(_))));
    let listed = blobs.list().await.expect("list");
    assert!(listed.contains(&kept) && !listed.contains(&gone));
}

async fn concurrent_puts_of_the_same_bytes_all_succeed(blobs: &dyn Blobs) {
    let content = Bytes::from(large(7));
    let puts = (0..8).map(|_| blobs.put(content.clone()));
    for put in futures::future::join_all(puts).await {
        assert_eq!(put.expect("put"), Digest::of(&content));
    }
    assert!(read(blobs, &Digest::of(&content)).await == content);
}
