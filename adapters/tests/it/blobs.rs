//! The contract of the blob store on real files.

use std::fs;
use std::path::{Path, PathBuf};

use adapters::blobs::FileBlobs;
use bytes::Bytes;
use common::digest::Digest;
use common::port::Blobs as _;
use common::port::blobs::{Error, Shelf as _};
use testkit::contract;

fn path_of(folder: &Path, digest: &Digest) -> PathBuf {
    folder.join("sha256").join(&digest.hex()[..2]).join(digest.hex())
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test]
async fn the_contract_is_kept() {
    let (folder, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let blobs = FileBlobs::open(&folder.path().join("made/when/missing")).unwrap();
    contract::blobs::is_kept(&blobs, scratch.path()).await;
}

#[tokio::test]
async fn when_a_blob_was_used_is_kept_and_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FileBlobs::open(folder.path()).unwrap();
    contract::blobs::uses_are_kept(&blobs).await;
    let before = blobs.stored().await.unwrap();
    let again = FileBlobs::open(folder.path()).unwrap();
    assert_eq!(again.stored().await.unwrap(), before);
    // One that is put is used then, also if nobody says so.
    let digest = again.put(Bytes::from_static(b"put just now")).await.unwrap();
    let stored = again.stored().await.unwrap();
    let put = stored.into_iter().find(|stored| stored.digest == digest).unwrap();
    assert!(before.iter().all(|older| older.used < put.used), "{put:?}");
}

#[tokio::test]
async fn blobs_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let digest =
        FileBlobs::open(folder.path()).unwrap().put(Bytes::from_static(b"x")).await.unwrap();
    let again = FileBlobs::open(folder.path()).unwrap();
    assert_eq!(again.list().await.unwrap(), [digest]);
}

#[tokio::test]
async fn bytes_that_rotted_on_the_disk_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FileBlobs::open(folder.path()).unwrap();
    let digest = blobs.put(Bytes::from_static(b"right")).await.unwrap();
    fs::write(path_of(folder.path(), &digest), b"wrong").unwrap();
    contract::blobs::corruption_is_noticed(&blobs, &digest).await;
}

#[tokio::test]
async fn a_refused_file_leaves_nothing_on_the_disk() {
    let (folder, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let blobs = FileBlobs::open(folder.path()).unwrap();
    let file = scratch.path().join("file");
    fs::write(&file, b"other").unwrap();
    let refused = blobs.put_file(&Digest::of(b"wanted"), &file).await;
    assert!(matches!(refused, Err(Error::Mismatch { .. })), "{refused:?}");
    assert_eq!(files_below(folder.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn what_lies_about_in_the_folder_is_no_blob() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FileBlobs::open(folder.path()).unwrap();
    let digest = blobs.put(Bytes::from_static(b"x")).await.unwrap();
    fs::write(folder.path().join("sha256").join("notes.txt"), b"hello").unwrap();
    fs::write(folder.path().join("readme"), b"hello").unwrap();
    assert_eq!(blobs.list().await.unwrap(), [digest]);
}

#[tokio::test]
async fn a_missing_file_is_not_a_blob() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FileBlobs::open(folder.path()).unwrap();
    let result = blobs.put_file(&Digest::of(b""), Path::new("/nowhere/at/all")).await;
    assert!(matches!(result, Err(Error::Unavailable(_))), "{result:?}");
}
