//! What is given of a file.

use bytes::Bytes;
use common::port::share::{Error, MAX_CHUNK};
use futures::StreamExt as _;

use super::{World, bytes, only, put, read, within};

/// More than one chunk of any share.
const LARGE: usize = 2 * MAX_CHUNK + 12_345;

pub(super) async fn gives_the_bytes_in_chunks(world: &dyn World) {
    for size in [0, 1, 70_000, MAX_CHUNK, LARGE] {
        let folder = world.fresh_folder();
        let content = bytes(size, 3);
        put(world, &folder, "some/file.bin", content.clone()).await;
        let entry = only(world, &folder).await;
        let chunks = read(world, &folder, &entry).await.expect("the file is read");
        assert!(chunks.iter().all(|chunk| chunk.len() <= MAX_CHUNK), "no chunk is too large");
        assert!(chunks.concat() == content, "all of its {size} bytes, in order");
    }
}

pub(super) async fn refuses_what_changed_since_it_was_listed(world: &dyn World) {
    for size in [1000, 999, 1001, 0] {
        let folder = world.fresh_folder();
        put(world, &folder, "file", bytes(1000, 1)).await;
        let entry = only(world, &folder).await;
        put(world, &folder, "file", bytes(size, 2)).await;
        let given = read(world, &folder, &entry).await;
        assert!(matches!(given, Err(Error::Changed { .. })), "other {size} bytes: {given:?}");
    }
    let folder = world.fresh_folder();
    put(world, &folder, "file", bytes(1000, 1)).await;
    let entry = only(world, &folder).await;
    within(world.remove(&format!("{}/file", folder.as_str()))).await;
    let given = read(world, &folder, &entry).await;
    assert!(matches!(given, Err(Error::Changed { .. })), "no file any more: {given:?}");
}

pub(super) async fn never_mixes_two_contents(world: &dyn World) {
    if !world.replaces_whole_files() {
        return;
    }
    let folder = world.fresh_folder();
    let old = bytes(LARGE, 1);
    put(world, &folder, "file", old.clone()).await;
    let entry = only(world, &folder).await;
    let reading = within(world.share().read(&folder, &entry)).await;
    let mut chunks = reading.expect("the file can be read");
    let first = within(chunks.next()).await.expect("there are chunks").expect("the first is given");
    put(world, &folder, "file", bytes(LARGE, 2)).await;
    let mut given = vec![first];
    while let Some(chunk) = within(chunks.next()).await {
        match chunk {
            Ok(chunk) => given.push(chunk),
            Err(err) => {
                assert!(matches!(err, Error::Changed { .. }), "it changed: {err:?}");
                return;
            }
        }
    }
    let given: Bytes = given.concat().into();
    assert!(given == old, "who gives it to its end gives what was listed");
}
