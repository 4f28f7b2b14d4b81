use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;

use common::digest::Digest;
use common::id::Generation;
use common::port::part::{PartFile, PartImage};
use tempfile::TempDir;

use super::*;

/// Whom this process' new files belong to.
fn own_user() -> u32 {
    fs::metadata(tempfile::tempdir().unwrap().path()).unwrap().uid()
}

fn spec() -> PartSpec {
    let volume = |from, path: &str| PartVolume { from, path: path.to_owned(), read_only: false };
    let name = |text: &str| text.parse().unwrap();
    PartSpec {
        name: name("load-balancer"),
        generation: Generation(1),
        image: PartImage::Id(Digest::of(b"")),
        command: Vec::new(),
        environment: [].into(),
        files: vec![PartFile {
            path: "/etc/avishkar/key".to_owned(),
            content: "secret".to_owned(),
        }],
        volumes: vec![
            volume(VolumeSource::Own(name("state")), "/state"),
            volume(VolumeSource::Shared(name("edge-table")), "/var/lib/avishkar/edge"),
            volume(VolumeSource::Memory(name("edge-run")), "/run/avishkar/edge"),
            volume(VolumeSource::MachinesSocket, "/run/avishkar/machines.sock"),
        ],
        user: own_user(),
        memory_bytes: 64 << 20,
        processes: 32,
        health: None,
        stop_seconds: 10,
        rights: Vec::new(),
    }
}

fn tree() -> (TempDir, Tree) {
    let folder = tempfile::tempdir().unwrap();
    let tree = Tree::new(folder.path(), folder.path().join("machines.sock"));
    (folder, tree)
}

fn paths(site: &PartSite) -> Vec<String> {
    site.mounts.iter().map(|mount| mount.path.clone()).collect()
}

fn path_of<'a>(site: &'a PartSite, inside: &str) -> &'a Path {
    let mount = site.mounts.iter().find(|mount| mount.path == inside).unwrap();
    match &mount.from {
        MountSource::Path(path) => path,
        MountSource::Memory(name) => panic!("{name} is in memory"),
    }
}

#[test]
fn files_are_for_the_user_alone_and_stay_the_same_files() {
    let (_folder, tree) = tree();
    let site = tree.prepare(&spec()).unwrap();
    let key = path_of(&site, "/etc/avishkar/key");
    let found = fs::metadata(key).unwrap();
    assert_eq!((found.mode() & 0o777, found.uid()), (0o400, own_user()));
    assert_eq!(fs::read(key).unwrap(), b"secret");
    assert_eq!(tree.prepare(&spec()).unwrap(), site);
    assert_eq!(fs::metadata(key).unwrap().ino(), found.ino());
    let open = fs::metadata(&tree.parts).unwrap().permissions().mode() & 0o077;
    assert_eq!(open, 0, "nobody else looks in");
}

#[test]
fn a_file_that_somebody_changed_is_put_right() {
    let (_folder, tree) = tree();
    let site = tree.prepare(&spec()).unwrap();
    let key = path_of(&site, "/etc/avishkar/key");
    fs::remove_file(key).unwrap();
    fs::write(key, "something else").unwrap();
    tree.prepare(&spec()).unwrap();
    assert_eq!(fs::read(key).unwrap(), b"secret");
}

#[test]
fn the_socket_of_machines_is_given_with_its_group_where_there_is_one() {
    let (folder, tree) = tree();
    let without = tree.prepare(&spec()).unwrap();
    assert!(!paths(&without).contains(&"/run/avishkar/machines.sock".to_owned()));
    assert!(without.groups.is_empty());
    let socket = folder.path().join("machines.sock");
    let _engine = UnixListener::bind(&socket).unwrap();
    let with = tree.prepare(&spec()).unwrap();
    assert_eq!(path_of(&with, "/run/avishkar/machines.sock"), socket);
    assert_eq!(with.groups, [fs::metadata(&socket).unwrap().gid()]);
}

#[test]
fn a_part_that_is_removed_keeps_its_folders_if_it_is_said_and_never_its_keys() {
    let (_folder, tree) = tree();
    let spec = spec();
    let site = tree.prepare(&spec).unwrap();
    let (key, state) = (path_of(&site, "/etc/avishkar/key"), path_of(&site, "/state"));
    let shared = path_of(&site, "/var/lib/avishkar/edge");
    fs::write(state.join("kept"), "").unwrap();
    for _ in 0..2 {
        tree.clear(&spec.name, PartFolders::Keep).unwrap();
        assert!(!key.exists() && state.join("kept").exists());
    }
    for _ in 0..2 {
        tree.clear(&spec.name, PartFolders::Discard).unwrap();
        assert!(!state.exists() && shared.exists(), "what is shared is nobody's own");
    }
}

#[test]
fn files_of_a_former_specification_go() {
    let (_folder, tree) = tree();
    let old = spec();
    let former = path_of(&tree.prepare(&old).unwrap(), "/etc/avishkar/key").to_owned();
    let new = PartSpec { generation: Generation(2), ..old };
    let site = tree.prepare(&new).unwrap();
    tree.keep_only(&new.name, &new.hash()).unwrap();
    assert!(!former.exists() && path_of(&site, "/etc/avishkar/key").exists());
}
