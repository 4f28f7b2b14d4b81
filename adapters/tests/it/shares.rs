//! The contract of shares on a folder, on Azure Blob and S3 by servers that speak like them, and on Azure Files by a
//! stand-in; and what is particular to each.

mod azure_files;
pub(crate) mod blob;
mod folder;
mod quiet;
mod raw;
pub(crate) mod s3;

use std::collections::BTreeMap;
use std::error::Error as _;
use std::hash::{BuildHasher as _, RandomState};
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use adapters::share::{AzureCredential, AzureSettings, S3Settings, Secret, ShareSettings, connect};
use chassis::system::SystemClock;
use common::port::Share;
use common::port::share::{Context, Error, Folder, Limits};
use tar::Archive;
use testkit::azure_files::shared_key::account_sas;

/// A key that opens only what tests make.
pub(crate) const KEY: &str = "b25seSBmb3IgdGVzdHM=";
const ANOTHER_KEY: &str = "c29tZWJvZHkgZWxzZSdz";
const LATER: &str = "2099-01-01T00:00Z";

/// Names that no other test has.
#[derive(Debug)]
struct Names {
    run: String,
    next: AtomicU32,
}

impl Names {
    fn new() -> Self {
        let random = RandomState::new().hash_one(0);
        Names { run: format!("test-{random:016x}"), next: AtomicU32::new(1) }
    }

    fn folder(&self) -> Folder {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{}/{number}", self.run).parse().unwrap()
    }
}

fn open(settings: &ShareSettings) -> Arc<dyn Share> {
    chassis::tls::install_cryptography();
    connect(settings, Arc::new(SystemClock)).unwrap()
}

fn text(secret: &str) -> Secret {
    Secret::Text(secret.to_owned())
}

#[tokio::test]
async fn who_cannot_be_reached_is_unavailable_and_no_secret_is_told() {
    let away = Some("http://127.0.0.1:9".to_owned());
    let azure = |credential| AzureSettings {
        account: "avishkar".to_owned(),
        name: "code".to_owned(),
        endpoint: away.clone(),
        credential,
    };
    let sas = account_sas("avishkar", KEY, LATER);
    let s3 = S3Settings {
        bucket: "code".to_owned(),
        region: "us-east-1".to_owned(),
        endpoint: away.clone(),
        key_id: "KEYID".to_owned(),
        key: text(KEY),
    };
    let shares = [
        ShareSettings::AzureBlob(azure(AzureCredential::Key(text(KEY)))),
        ShareSettings::AzureBlob(azure(AzureCredential::Sas(text(&sas)))),
        ShareSettings::AzureFiles(azure(AzureCredential::Sas(text(&sas)))),
        ShareSettings::S3(s3),
    ];
    let asked = shares.iter().map(|settings| async move {
        let share = open(settings);
        share.list(&"a".parse().unwrap(), &Limits::default()).await.unwrap_err()
    });
    for err in futures::future::join_all(asked).await {
        assert!(matches!(err, Error::Unavailable { .. }) && err.is_retryable(), "{err:?}");
        let told = format!("{err} {err:?} {}", err.source().unwrap());
        assert!(!told.contains(KEY) && !told.contains("sig="), "{told}");
        assert!(told.contains("connect") || told.contains("sending request"), "{told}");
    }
}

#[test]
fn a_context_is_an_archive_that_others_can_read() {
    let long = format!("{}/{}.py", "deep".repeat(40), "n".repeat(120));
    let names = ["Dockerfile", "app/main.py", "naïve/ü.txt", long.as_str()];
    let files = names.map(|name| (name.parse().unwrap(), name.to_uppercase().into()));
    let context = Context::of(&BTreeMap::from(files));
    let mut read = BTreeMap::new();
    let mut archive = Archive::new(context.archive.as_ref());
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        let header = entry.header();
        assert_eq!((header.mtime().unwrap(), header.mode().unwrap()), (0, 0o755), "{path}");
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        read.insert(path, content);
    }
    for name in names {
        assert_eq!(read.remove(name).as_deref(), Some(name.to_uppercase().as_str()));
    }
    let folders: Vec<String> = read.into_keys().collect();
    assert_eq!(
        folders,
        ["app/".to_owned(), format!("{}/", "deep".repeat(40)), "naïve/".to_owned()]
    );
}
