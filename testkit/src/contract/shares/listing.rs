//! What a folder is said to hold.

use common::port::share::{Error, Folder, Limits};

use super::{World, bytes, list, only, put, within};

/// Names by which a file would be unpacked elsewhere, or would not be what it looks like.
const HOSTILE: [&[u8]; 6] = [b"..", b"a/../../b", b"a\\b", b"a\nb", b"a\x7fb", b"\xff\xfe"];

async fn names(world: &dyn World, folder: &Folder) -> Vec<String> {
    let listed = list(world, folder).await.expect("the folder is listed");
    listed.into_iter().map(|entry| entry.name.to_string()).collect()
}

pub(super) async fn says_every_file_at_any_depth(world: &dyn World) {
    let folder = world.fresh_folder();
    let mut wanted: Vec<(String, u64)> = Vec::new();
    let strange = ["a b&c+d.txt", "100%20.py", "naïve/ünï.txt", "x#y?z", "it's/(1),[2];=.md"];
    let plain = ["Dockerfile", "app/main.py", "app/lib/deep/er/x.py", "app/empty", "app-2/x"];
    for (size, name) in strange.into_iter().chain(plain).enumerate() {
        let size = if name == "app/empty" { 0 } else { size + 1 };
        put(world, &folder, name, bytes(size, 1)).await;
        wanted.push((name.to_owned(), size as u64));
    }
    for number in 0..10 {
        let name = format!("many/{number}.txt");
        put(world, &folder, &name, "x").await;
        wanted.push((name, 1));
    }
    wanted.sort();
    let listed = list(world, &folder).await.expect("the folder is listed");
    let found: Vec<(String, u64)> =
        listed.iter().map(|entry| (entry.name.to_string(), entry.size)).collect();
    assert_eq!(found, wanted, "every file, sorted, with its size");
}

pub(super) async fn leaves_out_what_begins_with_a_dot(world: &dyn World) {
    let folder = world.fresh_folder();
    for name in [".env", ".git/config", "app/.cache/x", "app/.hidden", "app/a.b", "..c"] {
        put(world, &folder, name, "x").await;
    }
    assert_eq!(names(world, &folder).await, ["app/a.b"], "what counts");
    let hidden = world.fresh_folder();
    put(world, &hidden, ".env", "x").await;
    let listed = list(world, &hidden).await;
    assert!(matches!(listed, Err(Error::NotFound { .. })), "only hidden files: {listed:?}");
}

pub(super) async fn knows_no_folder_without_files(world: &dyn World) {
    let folder = world.fresh_folder();
    let listed = list(world, &folder).await;
    assert!(
        matches!(&listed, Err(Error::NotFound { folder: said, .. }) if *said == folder),
        "no folder: {listed:?}"
    );
    put(world, &folder, "file", "x").await;
    let file: Folder = format!("{}/file", folder.as_str()).parse().expect("it is a path");
    let listed = list(world, &file).await;
    assert!(matches!(listed, Err(Error::NotFound { .. })), "a file is no folder: {listed:?}");
}

pub(super) async fn tells_folders_apart(world: &dyn World) {
    let folder = world.fresh_folder();
    put(world, &folder, "app/one", "x").await;
    put(world, &folder, "app2/two", "x").await;
    let inner: Folder = format!("{}/app", folder.as_str()).parse().expect("it is a path");
    assert_eq!(names(world, &inner).await, ["one"], "its own files only");
}

pub(super) async fn has_another_version_for_another_content(world: &dyn World) {
    let folder = world.fresh_folder();
    put(world, &folder, "file", bytes(1000, 1)).await;
    let first = only(world, &folder).await;
    assert_eq!(only(world, &folder).await, first, "the same until it changes");
    put(world, &folder, "file", bytes(1000, 2)).await;
    let second = only(world, &folder).await;
    assert_ne!(second.version, first.version, "other bytes, another version");
}

pub(super) async fn is_bounded(world: &dyn World) {
    let folder = world.fresh_folder();
    for name in ["a", "b/c", "d"] {
        put(world, &folder, name, bytes(100, 1)).await;
    }
    let enough = Limits { files: 3, file_bytes: 100, total_bytes: 300 };
    let within_limits = async |limits: Limits| within(world.share().list(&folder, &limits)).await;
    assert_eq!(within_limits(enough).await.expect("it is just enough").len(), 3);
    let listed = within_limits(Limits { files: 2, ..enough }).await;
    assert!(matches!(listed, Err(Error::TooManyFiles { limit: 2, .. })), "many: {listed:?}");
    let listed = within_limits(Limits { file_bytes: 99, ..enough }).await;
    assert!(matches!(listed, Err(Error::FileTooLarge { limit: 99, .. })), "large: {listed:?}");
    let listed = within_limits(Limits { total_bytes: 299, ..enough }).await;
    assert!(matches!(listed, Err(Error::TooLarge { limit: 299, .. })), "together: {listed:?}");
}

pub(super) async fn refuses_names_that_lead_elsewhere(world: &dyn World) {
    let mut planted = 0;
    for name in HOSTILE {
        let folder = world.fresh_folder();
        put(world, &folder, "file", "x").await;
        if !world.plant(&folder, name).await {
            continue;
        }
        planted += 1;
        let listed = list(world, &folder).await;
        let shown = String::from_utf8_lossy(name);
        let Err(err) = listed else { panic!("{shown:?} is taken: {listed:?}") };
        assert!(matches!(err, Error::HostileName { .. }), "{shown:?} is refused: {err:?}");
        assert!(!err.to_string().contains(['\n', '\u{7f}']), "it is shown safely: {err}");
    }
    assert!(planted > 0, "the share keeps at least one such name");
}
