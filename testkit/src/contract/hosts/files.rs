//! What holds of files.

use std::io;

use bytes::Bytes;
use common::port::Host;
use common::port::host::{Command, Content, Error, FilePath, NewFile, Privilege};
use futures::StreamExt as _;
use futures::stream;

use super::{World, run, signed_in, within};

const LIMIT: usize = 16 * 1024 * 1024;

fn file_in(folder: &str, name: &str) -> FilePath {
    format!("{folder}/{name}").parse().expect("it is an absolute path")
}

fn bytes(length: usize) -> Bytes {
    (0..=252_u8).cycle().take(length).collect()
}

async fn write(host: &dyn Host, file: &NewFile, content: impl Into<Content>) {
    within(host.write(file, content.into())).await.expect("the file is written");
}

async fn read(host: &dyn Host, path: &FilePath) -> Option<Bytes> {
    let read = within(host.read(path, Privilege::User, LIMIT)).await;
    read.expect("the file can be read, or is not there")
}

async fn names(host: &dyn Host, folder: &str) -> String {
    run(host, Command::new("ls").args(["-A", folder]).by_root()).await.text()
}

async fn mode_and_owner(host: &dyn Host, path: &FilePath) -> String {
    run(host, Command::new("stat").args(["-c", "%a %U", path.as_str()]).by_root()).await.text()
}

pub(super) async fn come_back_as_they_were_written(world: &dyn World) {
    let host = signed_in(world).await;
    let folder = world.fresh_folder().await;
    let path = file_in(&folder, "it's a -file");
    assert_eq!(read(host.as_ref(), &path).await, None, "a file that is not there is none");
    let file = NewFile::new(path.clone(), 0o644);
    for content in [Bytes::new(), Bytes::from_static(b"\0\xff\n"), bytes(300_000), bytes(5)] {
        write(host.as_ref(), &file, content.clone()).await;
        assert!(read(host.as_ref(), &path).await == Some(content.clone()), "{}", content.len());
    }
    assert_eq!(names(host.as_ref(), &folder).await, "it's a -file", "nothing is beside it");
}

pub(super) async fn have_their_mode_and_their_owner(world: &dyn World) {
    let host = signed_in(world).await;
    let folder = world.fresh_folder().await;
    let user = world.access().user;
    for (mode, shown) in [(0o600, "600"), (0o755, "755"), (0o640, "640")] {
        let path = file_in(&folder, "file");
        write(host.as_ref(), &NewFile::new(path.clone(), mode), "x").await;
        assert_eq!(mode_and_owner(host.as_ref(), &path).await, format!("{shown} {user}"));
    }
    let path = file_in(&folder, "of-root");
    write(host.as_ref(), &NewFile::new(path.clone(), 0o600).by_root(), "x").await;
    assert_eq!(mode_and_owner(host.as_ref(), &path).await, "600 root");
}

pub(super) async fn of_root_are_hidden_from_others(world: &dyn World) {
    let host = signed_in(world).await;
    let path = file_in(&world.fresh_folder().await, "secret");
    write(host.as_ref(), &NewFile::new(path.clone(), 0o600).by_root(), "x").await;
    let hidden = within(host.read(&path, Privilege::User, LIMIT)).await;
    assert!(matches!(hidden, Err(Error::File { .. })), "it is hidden, not missing: {hidden:?}");
    let shown = within(host.read(&path, Privilege::Root, LIMIT)).await;
    assert_eq!(shown.expect("root reads it"), Some(Bytes::from_static(b"x")));
}

pub(super) async fn may_come_in_chunks(world: &dyn World) {
    let host = signed_in(world).await;
    let path = file_in(&world.fresh_folder().await, "file");
    let whole = bytes(9_000_000);
    let mut rest = whole.clone();
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        chunks.push(Ok(rest.split_to(rest.len().min(100_001))));
    }
    let content = Content::Chunks(stream::iter(chunks).boxed());
    write(host.as_ref(), &NewFile::new(path.clone(), 0o644), content).await;
    assert!(read(host.as_ref(), &path).await == Some(whole), "all chunks, in order");
}

pub(super) async fn are_as_before_where_their_source_breaks(world: &dyn World) {
    let host = signed_in(world).await;
    let folder = world.fresh_folder().await;
    let path = file_in(&folder, "file");
    let file = NewFile::new(path.clone(), 0o644);
    write(host.as_ref(), &file, "old").await;
    let chunks = [Ok(bytes(200_000)), Err(io::Error::other("the disk broke"))];
    let content = Content::Chunks(stream::iter(chunks).boxed());
    let refused = within(host.write(&file, content)).await;
    assert!(matches!(refused, Err(Error::Source { .. })), "it breaks: {refused:?}");
    assert_eq!(read(host.as_ref(), &path).await, Some(Bytes::from_static(b"old")), "the old one");
    assert_eq!(names(host.as_ref(), &folder).await, "file", "nothing is beside it");
}

pub(super) async fn need_their_folder(world: &dyn World) {
    let host = signed_in(world).await;
    let path = file_in(&world.fresh_folder().await, "no-folder/file");
    let refused = within(host.write(&NewFile::new(path.clone(), 0o644), "x".into())).await;
    assert!(matches!(refused, Err(Error::File { .. })), "no folder: {refused:?}");
    assert_eq!(read(host.as_ref(), &path).await, None);
}

pub(super) async fn that_are_too_large_are_not_read(world: &dyn World) {
    let host = signed_in(world).await;
    let path = file_in(&world.fresh_folder().await, "file");
    write(host.as_ref(), &NewFile::new(path.clone(), 0o644), bytes(1000)).await;
    let read = within(host.read(&path, Privilege::User, 999)).await;
    assert!(matches!(read, Err(Error::FileTooLarge { limit: 999, .. })), "{read:?}");
    let read = within(host.read(&path, Privilege::User, 1000)).await;
    assert_eq!(read.expect("it is just small enough").map(|bytes| bytes.len()), Some(1000));
}
