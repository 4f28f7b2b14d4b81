use std::os::unix::fs::symlink;

use testkit::contract::edge::table;

use super::super::conf::Version;
use super::*;

fn conf(generation: u64, files: &[(&str, &str)]) -> Conf {
    let version = Version::of(&table(1, generation, &[]));
    let text = serde_json::to_string(&version).unwrap();
    let mut all: BTreeMap<String, String> =
        files.iter().map(|(name, text)| ((*name).to_owned(), format!("{MARK}\n{text}"))).collect();
    let line =
        |(name, text): (&String, &String)| format!("# file {} {name}\n", digest(text.as_bytes()));
    let lines = all.iter().map(line).collect::<Vec<String>>().concat();
    all.insert(COMMON_FILE.to_owned(), format!("{MARK}\n# table {text}\n{lines}"));
    Conf { version, files: all }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn files_are_replaced_and_put_back_and_those_of_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(folder.path().to_owned());
    fs::write(folder.path().join("default.conf"), "server {}").unwrap();
    symlink("/etc/hostname", folder.path().join("linked.conf")).unwrap();
    let empty = files.look().await.unwrap();
    assert!(empty.is_foreign("default.conf") && empty.is_foreign("linked.conf"));
    assert!(empty.damage().is_empty());
    files.replace(&empty, &conf(1, &[("a.conf", "a"), ("b.conf", "b")])).await.unwrap();
    files.settle().await.unwrap();
    let first = files.look().await.unwrap();
    let undo = files.replace(&first, &conf(2, &[("b.conf", "B"), ("c.conf", "c")])).await.unwrap();
    assert_eq!(
        names(folder.path()),
        [undo::KEPT, COMMON_FILE, "b.conf", "c.conf", "default.conf", "linked.conf"]
    );
    files.put_back(&undo).await.unwrap();
    assert_eq!(
        names(folder.path()),
        [COMMON_FILE, "a.conf", "b.conf", "default.conf", "linked.conf"]
    );
    let back = files.look().await.unwrap();
    assert_eq!(back.files, first.files);
    assert_eq!(fs::read_to_string(folder.path().join("default.conf")).unwrap(), "server {}");
}

#[tokio::test]
async fn what_others_did_to_our_files_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(folder.path().to_owned());
    let wanted = conf(1, &[("a.conf", "a"), ("b.conf", "b")]);
    files.replace(&Owned::default(), &wanted).await.unwrap();
    assert!(files.look().await.unwrap().damage().is_empty());
    fs::remove_file(folder.path().join("a.conf")).unwrap();
    fs::write(folder.path().join("b.conf"), format!("{MARK}\nother")).unwrap();
    let damaged = files.look().await.unwrap();
    assert_eq!(damaged.damage(), ["a.conf is gone", "b.conf was changed"]);
    files.replace(&damaged, &wanted).await.unwrap();
    assert!(files.look().await.unwrap().damage().is_empty());
    fs::remove_file(folder.path().join(COMMON_FILE)).unwrap();
    assert_eq!(files.look().await.unwrap().damage().len(), 1);
}

#[tokio::test]
async fn where_a_file_cannot_be_written_nothing_is_changed_and_nothing_is_left_beside() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(folder.path().to_owned());
    files.replace(&Owned::default(), &conf(1, &[("a.conf", "a")])).await.unwrap();
    let before = files.look().await.unwrap();
    // Where the second new file is written there is no room.
    let full = folder.path().join(".b.conf.new");
    fs::create_dir(&full).unwrap();
    let next = conf(2, &[("a.conf", "A"), ("b.conf", "b")]);
    let err = files.replace(&before, &next).await.unwrap_err();
    assert!(err.is_retryable());
    assert_eq!(files.look().await.unwrap().files, before.files);
    fs::remove_dir(full).unwrap();
    assert_eq!(names(folder.path()), [COMMON_FILE, "a.conf"]);
    files.replace(&before, &next).await.unwrap();
    assert!(files.look().await.unwrap().damage().is_empty());
}

#[tokio::test]
async fn without_the_folder_nginx_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(folder.path().join("absent"));
    assert!(files.look().await.unwrap_err().is_retryable());
    let err = files.replace(&Owned::default(), &conf(1, &[])).await.unwrap_err();
    assert!(err.is_retryable());
}

#[tokio::test]
async fn the_way_back_is_found_by_whoever_comes_next_until_the_change_is_settled() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(folder.path().to_owned());
    files.replace(&Owned::default(), &conf(1, &[("a.conf", "a"), ("b.conf", "b")])).await.unwrap();
    files.settle().await.unwrap();
    let first = files.look().await.unwrap();
    let next = conf(2, &[("b.conf", "B"), ("c.conf", "c")]);
    files.replace(&first, &next).await.unwrap();
    let successor = Files::new(folder.path().to_owned());
    let undo = successor.unsettled().await.unwrap().unwrap();
    successor.put_back(&undo).await.unwrap();
    assert_eq!(successor.look().await.unwrap().files, first.files);
    assert_eq!(names(folder.path()), [COMMON_FILE, "a.conf", "b.conf"]);
    successor.replace(&first, &next).await.unwrap();
    successor.settle().await.unwrap();
    assert!(successor.unsettled().await.unwrap().is_none());
    assert_eq!(names(folder.path()), [COMMON_FILE, "b.conf", "c.conf"]);
}

#[tokio::test]
async fn files_of_two_tables_are_no_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(folder.path().to_owned());
    let first = conf(1, &[("a.conf", "a")]);
    files.replace(&Owned::default(), &first).await.unwrap();
    assert_eq!(files.look().await.unwrap().whole(), Some(&first.version));
    fs::write(folder.path().join("b.conf"), format!("{MARK}\nb")).unwrap();
    assert_eq!(files.look().await.unwrap().whole(), None);
}

#[tokio::test]
async fn the_way_back_spares_what_somebody_put_in_a_place_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(folder.path().to_owned());
    let undo =
        files.replace(&Owned::default(), &conf(1, &[("a.conf", "a"), ("b.conf", "b")])).await;
    fs::write(folder.path().join("a.conf"), "theirs").unwrap();
    files.put_back(&undo.unwrap()).await.unwrap();
    assert_eq!(names(folder.path()), ["a.conf"]);
    assert_eq!(fs::read_to_string(folder.path().join("a.conf")).unwrap(), "theirs");
}

#[tokio::test]
async fn nothing_is_written_through_a_link_in_the_place_of_a_temporary_file() {
    let [folder, beside] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let theirs = beside.path().join("theirs");
    fs::write(&theirs, "theirs").unwrap();
    for name in [".a.conf.new", ".avishkar.former.new"] {
        symlink(&theirs, folder.path().join(name)).unwrap();
    }
    let files = Files::new(folder.path().to_owned());
    files.replace(&Owned::default(), &conf(1, &[("a.conf", "a")])).await.unwrap();
    files.settle().await.unwrap();
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
    assert_eq!(names(folder.path()), [COMMON_FILE, "a.conf"]);
    assert!(fs::symlink_metadata(folder.path().join("a.conf")).unwrap().is_file());
}

#[tokio::test]
async fn no_change_begins_where_the_way_back_cannot_be_kept() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(undo::KEPT), "theirs").unwrap();
    let files = Files::new(folder.path().to_owned());
    assert!(files.unsettled().await.unwrap().is_none());
    let err = files.replace(&Owned::default(), &conf(1, &[("a.conf", "a")])).await.unwrap_err();
    assert!(err.is_retryable());
    assert_eq!(names(folder.path()), [undo::KEPT]);
    assert_eq!(fs::read_to_string(folder.path().join(undo::KEPT)).unwrap(), "theirs");
}
