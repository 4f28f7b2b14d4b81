//! Azure Files, by the stand-in that verifies signatures.

use std::sync::Arc;

use adapters::share::{AzureCredential, AzureSettings, ShareSettings, connect};
use async_trait::async_trait;
use bytes::Bytes;
use chassis::system::SystemClock;
use common::port::share::{self, Error, Folder, Limits, MAX_CHUNK};
use common::port::{Clock as _, Share};
use futures::TryStreamExt as _;
use jiff::SignedDuration;
use testkit::ManualClock;
use testkit::azure_files::{Account, AzureFilesStandIn, shared_key::account_sas};
use testkit::contract::shares::{World, holds};

use super::{ANOTHER_KEY, KEY, LATER, Names, open, text};

const ACCOUNT: &str = "examplestore";
const SHARE: &str = "code";

struct Files {
    server: AzureFilesStandIn,
    share: Arc<dyn Share>,
    refused: Arc<dyn Share>,
    names: Names,
    secret: String,
}

fn settings(server: &AzureFilesStandIn, credential: AzureCredential) -> ShareSettings {
    ShareSettings::AzureFiles(AzureSettings {
        account: ACCOUNT.to_owned(),
        name: SHARE.to_owned(),
        endpoint: Some(server.endpoint()),
        credential,
    })
}

async fn server() -> AzureFilesStandIn {
    let (name, key, share) = (ACCOUNT.to_owned(), KEY.to_owned(), SHARE.to_owned());
    let account = Account { name, key, share };
    AzureFilesStandIn::start(account, Arc::new(SystemClock)).await.unwrap()
}

impl Files {
    async fn start(right: AzureCredential, wrong: AzureCredential, secret: &str) -> Self {
        let server = server().await;
        // Every folder has more than one page.
        server.set_page(2);
        let share = open(&settings(&server, right));
        let refused = open(&settings(&server, wrong));
        Files { server, share, refused, names: Names::new(), secret: secret.to_owned() }
    }

    async fn of_key() -> Self {
        let (right, wrong) = (text(KEY), text(ANOTHER_KEY));
        Self::start(AzureCredential::Key(right), AzureCredential::Key(wrong), KEY).await
    }
}

#[async_trait(?Send)]
impl World for Files {
    fn share(&self) -> &dyn Share {
        self.share.as_ref()
    }

    fn refused(&self) -> Option<&dyn Share> {
        Some(self.refused.as_ref())
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.secret.clone(), KEY.to_owned(), ANOTHER_KEY.to_owned()]
    }

    fn fresh_folder(&self) -> Folder {
        self.names.folder()
    }

    async fn put(&self, path: &str, content: Bytes) {
        self.server.put(path, content);
    }

    async fn remove(&self, path: &str) {
        self.server.remove(path);
    }

    async fn plant(&self, folder: &Folder, name: &[u8]) -> bool {
        let Ok(name) = std::str::from_utf8(name) else { return false };
        self.server.plant(folder.as_str(), name);
        true
    }
}

async fn names(share: &dyn Share, folder: &str) -> Result<Vec<String>, Error> {
    let listed = share.list(&folder.parse().unwrap(), &Limits::default()).await?;
    Ok(listed.into_iter().map(|entry| entry.name.to_string()).collect())
}

#[tokio::test]
async fn the_contract_is_kept_with_a_key() {
    holds(&Files::of_key().await).await;
}

#[tokio::test]
async fn the_contract_is_kept_with_a_shared_access_signature() {
    let sas = account_sas(ACCOUNT, KEY, LATER);
    let expired = account_sas(ACCOUNT, KEY, "2020-01-01T00:00Z");
    let signature = sas.rsplit_once("sig=").unwrap().1.to_owned();
    let (right, wrong) = (AzureCredential::Sas(text(&sas)), AzureCredential::Sas(text(&expired)));
    holds(&Files::start(right, wrong, &signature).await).await;
}

#[tokio::test]
async fn hidden_folders_are_not_looked_into() {
    let files = Files::of_key().await;
    for path in ["app/.git/config", "app/lib/.venv/x", "app/main.py", "app/lib/a.py"] {
        files.server.put(path, "x");
    }
    assert_eq!(names(files.share(), "app").await.unwrap(), ["lib/a.py", "main.py"]);
    let asked = files.server.asked();
    assert!(
        !asked.iter().any(|line| line.contains(".git/") || line.contains(".venv")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_folder_with_a_hostile_name_is_refused() {
    for name in ["..", "a\\b", "a\nb"] {
        let files = Files::of_key().await;
        files.server.put("app/a", "x");
        files.server.plant(&format!("app/{name}"), "file");
        let listed = names(files.share(), "app").await;
        assert!(matches!(listed, Err(Error::HostileName { .. })), "{name:?}: {listed:?}");
    }
}

#[tokio::test]
async fn a_busy_share_is_asked_again_for_a_while() {
    let files = Files::of_key().await;
    files.server.put("app/a", "x");
    files.server.be_busy(2);
    assert_eq!(names(files.share(), "app").await.unwrap(), ["a"]);
    assert_eq!(files.server.asked().len(), 3);
    files.server.be_busy(u32::MAX);
    let busy = names(files.share(), "app").await.unwrap_err();
    assert!(matches!(busy, Error::Unavailable { .. }) && busy.is_retryable(), "{busy:?}");
    assert!(format!("{busy:?}").contains("ServerBusy"), "{busy:?}");
    assert!(files.server.asked().len() < 12, "not for ever");
}

#[tokio::test]
async fn a_broken_answer_is_asked_for_again() {
    let files = Files::of_key().await;
    files.server.put("app/a", vec![7; 100_000]);
    files.server.cut(2);
    let folder: Folder = "app".parse().unwrap();
    let read = share::read(files.share(), &folder, &Limits::default()).await.unwrap();
    assert!(read.into_values().next().unwrap() == vec![7; 100_000]);
}

#[tokio::test]
async fn a_file_that_changed_after_its_last_piece_is_told() {
    let files = Files::of_key().await;
    files.server.put("app/a", vec![1; MAX_CHUNK + 1]);
    let folder: Folder = "app".parse().unwrap();
    let entry = files.share.list(&folder, &Limits::default()).await.unwrap().remove(0);
    let mut chunks = files.share.read(&folder, &entry).await.unwrap();
    for length in [MAX_CHUNK, 1] {
        assert_eq!(chunks.try_next().await.unwrap().unwrap().len(), length);
    }
    files.server.put("app/a", vec![1; MAX_CHUNK + 1]);
    let end = chunks.try_next().await;
    assert!(matches!(end, Err(Error::Changed { .. })), "the service does not say when: {end:?}");
}

#[tokio::test]
async fn a_clock_that_is_off_is_a_matter_of_credentials() {
    let server = server().await;
    server.put("app/a", "x");
    let late = SystemClock.now() - SignedDuration::from_hours(1);
    let clock = Arc::new(ManualClock::new(late));
    let share = connect(&settings(&server, AzureCredential::Key(text(KEY))), clock).unwrap();
    let refused = names(share.as_ref(), "app").await.unwrap_err();
    assert!(matches!(refused, Error::CredentialsRefused { .. }), "{refused:?}");
    assert!(refused.hint().contains("clock"), "{}", refused.hint());
}

#[tokio::test]
async fn a_share_or_a_folder_that_is_not_there_holds_no_files() {
    let files = Files::of_key().await;
    for folder in ["", "nowhere", "no/where"] {
        let listed = names(files.share(), folder).await;
        assert!(matches!(listed, Err(Error::NotFound { .. })), "{folder:?}: {listed:?}");
    }
    let mut settings = AzureSettings {
        account: ACCOUNT.to_owned(),
        name: "another".to_owned(),
        endpoint: Some(files.server.endpoint()),
        credential: AzureCredential::Key(text(KEY)),
    };
    let share = open(&ShareSettings::AzureFiles(settings.clone()));
    assert!(matches!(names(share.as_ref(), "app").await, Err(Error::NotFound { .. })));
    settings.credential = AzureCredential::Key(text("no base64!"));
    let refused = connect(&ShareSettings::AzureFiles(settings), Arc::new(SystemClock)).unwrap_err();
    assert!(!refused.to_string().contains("no base64!"), "{refused}");
}
