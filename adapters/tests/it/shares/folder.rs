//! A folder of this computer.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;

use adapters::share::{FolderShare, InvalidShare, ShareSettings};
use async_trait::async_trait;
use bytes::Bytes;
use common::port::Share;
use common::port::share::{Error, Folder, Limits, Unfit};
use tempfile::TempDir;
use testkit::contract::shares::{World, holds};

use super::{Names, open};

struct Disk {
    root: TempDir,
    share: Arc<dyn Share>,
    names: Names,
}

impl Disk {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let share = open(&ShareSettings::Folder { path: root.path().to_owned() });
        Disk { root, share, names: Names::new() }
    }

    fn write(&self, path: impl AsRef<Path>, content: &[u8]) -> bool {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).is_ok()
    }
}

#[async_trait(?Send)]
impl World for Disk {
    fn share(&self) -> &dyn Share {
        self.share.as_ref()
    }

    fn refused(&self) -> Option<&dyn Share> {
        None
    }

    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }

    fn fresh_folder(&self) -> Folder {
        self.names.folder()
    }

    async fn put(&self, path: &str, content: Bytes) {
        assert!(self.write(path, &content));
    }

    async fn remove(&self, path: &str) {
        fs::remove_file(self.root.path().join(path)).unwrap();
    }

    async fn plant(&self, folder: &Folder, name: &[u8]) -> bool {
        // A path with a slash or of dots would be written elsewhere: no folder has such names.
        !name.contains(&b'/')
            && name != b".."
            && self.write(Path::new(folder.as_str()).join(OsStr::from_bytes(name)), b"x")
    }
}

#[tokio::test]
async fn the_contract_is_kept() {
    holds(&Disk::new()).await;
}

#[tokio::test]
async fn links_lead_nowhere() {
    let disk = Disk::new();
    fs::write(disk.root.path().join("secret"), "x").unwrap();
    disk.write("file/a", b"x");
    symlink(disk.root.path().join("secret"), disk.root.path().join("file/link")).unwrap();
    let listed = disk.share.list(&"file".parse().unwrap(), &Limits::default()).await;
    assert!(
        matches!(listed, Err(Error::HostileName { why: Unfit::NotAFile, .. })),
        "a link to a file: {listed:?}"
    );
    disk.write("folder/a", b"x");
    symlink("/etc", disk.root.path().join("folder/link")).unwrap();
    let listed = disk.share.list(&"folder".parse().unwrap(), &Limits::default()).await;
    assert!(matches!(listed, Err(Error::HostileName { .. })), "a link to a folder: {listed:?}");
    let listed = disk.share.list(&"folder/link".parse().unwrap(), &Limits::default()).await;
    assert!(matches!(listed, Err(Error::NotFound { .. })), "a link on the way: {listed:?}");
}

#[tokio::test]
async fn a_file_that_became_a_link_is_not_followed() {
    let disk = Disk::new();
    disk.write("app/lib/a", b"right");
    let folder: Folder = "app".parse().unwrap();
    let listed = disk.share.list(&folder, &Limits::default()).await.unwrap();
    disk.write("elsewhere/a", b"right");
    let (lib, elsewhere) = (disk.root.path().join("app/lib"), disk.root.path().join("elsewhere"));
    fs::remove_dir_all(&lib).unwrap();
    symlink(&elsewhere, &lib).unwrap();
    let read = disk.share.read(&folder, &listed[0]).await.map(drop);
    assert!(matches!(read, Err(Error::Changed { .. })), "its folder became a link: {read:?}");
    fs::remove_file(&lib).unwrap();
    fs::create_dir(&lib).unwrap();
    symlink(elsewhere.join("a"), lib.join("a")).unwrap();
    let read = disk.share.read(&folder, &listed[0]).await.map(drop);
    assert!(matches!(read, Err(Error::Changed { .. })), "itself became a link: {read:?}");
}

#[tokio::test]
async fn a_pipe_holds_up_nobody() {
    let disk = Disk::new();
    disk.write("app/a", b"x");
    let pipe = disk.root.path().join("app/pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let listed = disk.share.list(&"app".parse().unwrap(), &Limits::default()).await;
    assert!(matches!(listed, Err(Error::HostileName { .. })), "{listed:?}");
}

#[tokio::test]
async fn what_may_not_be_read_is_refused() {
    let disk = Disk::new();
    disk.write("app/a", b"x");
    let file = disk.root.path().join("app/a");
    fs::set_permissions(&file, Permissions::from_mode(0o000)).unwrap();
    // Root may read everything.
    if fs::read(&file).is_err() {
        let listed = disk.share.list(&"app".parse().unwrap(), &Limits::default()).await;
        assert!(matches!(listed, Err(Error::CredentialsRefused { .. })), "{listed:?}");
    }
}

#[tokio::test]
async fn a_folder_need_not_be_there_yet() {
    let refused = FolderShare::new(Path::new("relative")).unwrap_err();
    assert!(matches!(refused, InvalidShare::Path(_)));
    let share = open(&ShareSettings::Folder { path: "/nowhere/at/all".into() });
    let listed = share.list(&Folder::top(), &Limits::default()).await;
    assert!(matches!(listed, Err(Error::NotFound { .. })), "{listed:?}");
}
