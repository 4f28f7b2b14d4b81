//! [`KnownShares`]: the shares that a folder of this machine tells of, `<share>.json`, and what opens each,
//! `<share>.secret`.

use std::fs::{self, DirBuilder, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use common::name::ShareName;
use common::port::share::{
    Access, AzureOpener, AzurePlace, Closed, Description, FolderPlace, S3Place,
};
use common::port::{Cause, Clock, Share, Shares};

use super::folder::apart;
use super::{
    AzureCredential, AzureSettings, InvalidShare, S3Settings, Secret, ShareSettings, connect,
};

/// More describes no share.
const LARGEST: u64 = 64 * 1024;
const OF_OTHERS: u32 = 0o077;

/// Shares by what a folder says of them now.
#[derive(Debug, Clone)]
pub struct KnownShares {
    folder: PathBuf,
    root: PathBuf,
    clock: Arc<dyn Clock>,
}

impl KnownShares {
    /// `root` is what stands before the paths of shares that are folders: another process' view of the machine.
    pub fn new(folder: &Path, root: &Path, clock: Arc<dyn Clock>) -> Self {
        KnownShares { folder: folder.to_owned(), root: root.to_owned(), clock }
    }

    /// None if nothing is said of it.
    fn described(&self, name: &ShareName) -> io::Result<Option<Description>> {
        let path = self.folder.join(format!("{name}.json"));
        let found = match fs::metadata(&path) {
            Ok(found) => found,
            Err(err) if err.kind() == ErrorKind::NotFound => return Ok(None),
            Err(err) => return Err(err),
        };
        if !found.is_file() || found.len() > LARGEST {
            return Err(io::Error::other("its description is no small file"));
        }
        Ok(Some(serde_json::from_slice(&fs::read(path)?)?))
    }

    fn settings(&self, name: &ShareName, described: Description) -> ShareSettings {
        let secret = Secret::File(self.folder.join(format!("{name}.secret")));
        match described {
            Description::Folder(FolderPlace { path }) => {
                let below = path.strip_prefix("/").unwrap_or(&path);
                // One that is not absolute stays so, and is refused.
                let is_absolute = path.is_absolute();
                let path = if is_absolute { self.root.join(below) } else { path };
                ShareSettings::Folder { path }
            }
            Description::AzureFiles(place) => ShareSettings::AzureFiles(azure(place, secret)),
            Description::AzureBlob(place) => ShareSettings::AzureBlob(azure(place, secret)),
            Description::S3(S3Place { bucket, region, endpoint, key_id }) => {
                ShareSettings::S3(S3Settings { bucket, region, endpoint, key_id, key: secret })
            }
        }
    }

    /// The secret first: where the description stands, both are there.
    fn written(&self, name: &ShareName, access: &Access) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let secret = access.secret.as_deref().map(|secret| format!("{secret}\n"));
        let described = serde_json::to_string(&access.share)?;
        if let Some(secret) = secret {
            put(&self.folder.join(format!("{name}.secret")), &secret)?;
        }
        put(&self.folder.join(format!("{name}.json")), &described)
    }

    fn connected(&self, name: &ShareName) -> Result<Arc<dyn Share>, Closed> {
        let unusable = |why: String| Closed::Unusable { name: name.clone(), why };
        let described = self.described(name).map_err(|err| unusable(err.to_string()))?;
        let described = described.ok_or_else(|| Closed::Unknown(name.clone()))?;
        let opened = connect(&self.settings(name, described), Arc::clone(&self.clock));
        opened.map_err(|err: InvalidShare| unusable(err.to_string()))
    }
}

/// Replaces a file as a whole, unless it is so already. Nobody but its owner ever could read it.
fn put(path: &Path, text: &str) -> io::Result<()> {
    let owned = |found: Metadata| found.permissions().mode() & OF_OTHERS == 0;
    let is_so = fs::metadata(path).is_ok_and(owned)
        && fs::read_to_string(path).is_ok_and(|found| found == text);
    if is_so {
        return Ok(());
    }
    let part = path.with_added_extension("part");
    match fs::remove_file(&part) {
        Err(err) if err.kind() != ErrorKind::NotFound => return Err(err),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&part, path)
}

fn azure(place: AzurePlace, secret: Secret) -> AzureSettings {
    let AzurePlace { account, name, endpoint, opened_by } = place;
    let credential = match opened_by {
        AzureOpener::Key => AzureCredential::Key(secret),
        AzureOpener::Sas => AzureCredential::Sas(secret),
    };
    AzureSettings { account, name, endpoint, credential }
}

#[async_trait]
impl Shares for KnownShares {
    async fn keep(&self, name: &ShareName, access: &Access) -> Result<(), Cause> {
        let (shares, name, access) = (self.clone(), name.clone(), access.clone());
        Ok(apart(move || shares.written(&name, &access)).await.flatten()?)
    }

    async fn open(&self, name: &ShareName) -> Result<Arc<dyn Share>, Closed> {
        let (shares, wanted) = (self.clone(), name.clone());
        let opened = apart(move || shares.connected(&wanted)).await;
        let unusable =
            |err: io::Error| Closed::Unusable { name: name.clone(), why: err.to_string() };
        opened.unwrap_or_else(|err| Err(unusable(err)))
    }
}

#[cfg(test)]
mod tests {
    use common::port::share::{Folder, Limits};
    use testkit::ManualClock;

    use super::*;

    async fn opened(folder: &Path, name: &str) -> Result<Arc<dyn Share>, Closed> {
        let shares = KnownShares::new(folder, folder, Arc::new(ManualClock::ticking()));
        shares.open(&name.parse().unwrap()).await
    }

    #[tokio::test]
    async fn a_folder_is_found_below_the_root() {
        let here = tempfile::tempdir().unwrap();
        fs::create_dir_all(here.path().join("mnt/code/shop")).unwrap();
        fs::write(here.path().join("mnt/code/shop/Dockerfile"), "FROM scratch\n").unwrap();
        fs::write(here.path().join("code.json"), r#"{"kind":"folder","path":"/mnt/code"}"#)
            .unwrap();
        let share = opened(here.path(), "code").await.unwrap();
        let folder: Folder = "shop".parse().unwrap();
        assert_eq!(share.list(&folder, &Limits::default()).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn what_is_kept_is_for_nobody_else_and_is_what_was_told_last() {
        let here = tempfile::tempdir().unwrap();
        let folder = here.path().join("shares");
        let shares = KnownShares::new(&folder, here.path(), Arc::new(ManualClock::ticking()));
        let name = "code".parse().unwrap();
        let share = Description::S3(S3Place {
            bucket: "code".to_owned(),
            region: "eu-west-1".to_owned(),
            endpoint: None,
            key_id: "KEYID".to_owned(),
        });
        for secret in ["first", "second", "second"] {
            let access = Access { share: share.clone(), secret: Some(secret.to_owned()) };
            shares.keep(&name, &access).await.unwrap();
            for (file, holds) in [("code.secret", secret), ("code.json", "eu-west-1")] {
                let path = folder.join(file);
                assert!(fs::read_to_string(&path).unwrap().contains(holds));
                assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            }
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "nothing else is left there");
        assert!(shares.open(&name).await.is_ok());
    }

    #[tokio::test]
    async fn what_is_not_known_or_cannot_be_opened_is_told_without_its_secret() {
        let here = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str, mode| {
            let path = here.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let closed = async |name| opened(here.path(), name).await.unwrap_err();
        assert!(matches!(closed("code").await, Closed::Unknown(_)));
        let azure = |endpoint: &str| {
            format!(
                r#"{{"kind":"azure-blob","account":"examplestore","name":"code","endpoint":"{endpoint}","opened_by":"key"}}"#
            )
        };
        write("code.json", &azure("https://example.org/"), 0o644);
        let told = closed("code").await.to_string();
        assert!(told.contains("code.secret") && told.contains("does not exist"), "{told}");
        write("code.secret", "c2VjcmV0\n", 0o644);
        let told = closed("code").await.to_string();
        assert!(told.contains("others may read") && !told.contains("c2VjcmV0"), "{told}");
        write("code.secret", "c2VjcmV0\n", 0o600);
        assert!(
            opened(here.path(), "code").await.is_ok(),
            "a key that was put right counts at once"
        );
        write("code.json", &azure("http://example.org/"), 0o644);
        assert!(closed("code").await.to_string().contains("https://"));
        write("code.json", r#"{"kind":"folder","path":"mnt"}"#, 0o644);
        assert!(closed("code").await.to_string().contains("absolute"));
        write("code.json", "{", 0o644);
        assert!(matches!(closed("code").await, Closed::Unusable { .. }));
    }
}
