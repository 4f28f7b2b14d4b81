//! Azure Blob, by Azurite.

use std::sync::Arc;

use adapters::share::{AzureCredential, AzureSettings, ShareSettings};
use async_trait::async_trait;
use bytes::Bytes;
use chassis::system::SystemClock;
use common::port::share::{AzureOpener, AzurePlace, Description, Error, Folder, Limits};
use common::port::{Clock as _, Share};
use object_store::azure::{MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::path::Path;
use object_store::{ObjectStore as _, ObjectStoreExt as _};
use testkit::azure_files::shared_key::{Signed, account_sas, authorization};
use testkit::contract::shares::{World, holds};

use super::raw::{encoded, put};
use super::{ANOTHER_KEY, KEY, LATER, Names, open, text};

const ACCOUNT: &str = "avishkar";

#[expect(clippy::disallowed_methods, reason = "the variable says where the test's server is")]
fn address() -> String {
    std::env::var("AVISHKAR_TEST_AZURITE")
        .expect("run `make test`: it starts Azurite and sets AVISHKAR_TEST_AZURITE")
}

/// A container of its own.
pub(crate) struct Container {
    share: Arc<dyn Share>,
    refused: Arc<dyn Share>,
    objects: MicrosoftAzure,
    names: Names,
    secret: String,
}

fn settings(container: &str, credential: AzureCredential) -> ShareSettings {
    let endpoint = Some(format!("http://{}/{ACCOUNT}", address()));
    let (account, name) = (ACCOUNT.to_owned(), container.to_owned());
    ShareSettings::AzureBlob(AzureSettings { account, name, endpoint, credential })
}

/// What the library cannot do, signed by hand.
async fn put_signed(path: &str, query: &str, headers: &[(&str, &str)], body: &[u8]) -> u16 {
    let date = SystemClock.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let length = body.len().to_string();
    let mut headers = headers.to_vec();
    headers.extend([
        ("content-length", length.as_str()),
        ("x-ms-date", date.as_str()),
        ("x-ms-version", "2022-11-02"),
    ]);
    let signed = Signed { method: "PUT", path, query, headers: &headers };
    let authorization = authorization(ACCOUNT, KEY, signed);
    headers.push(("authorization", &authorization));
    put(&address(), &format!("{path}?{query}"), &headers, body).await
}

impl Container {
    async fn make(credential: AzureCredential, wrong: AzureCredential, secret: &str) -> Self {
        let names = Names::new();
        let container = names.run.clone();
        let path = format!("/{ACCOUNT}/{container}");
        assert_eq!(put_signed(&path, "restype=container", &[], b"").await, 201);
        let share = open(&settings(&container, credential));
        let refused = open(&settings(&container, wrong));
        let objects = MicrosoftAzureBuilder::new()
            .with_account(ACCOUNT)
            .with_access_key(KEY)
            .with_container_name(&container)
            .with_endpoint(format!("http://{}/{ACCOUNT}", address()))
            .with_allow_http(true);
        let objects = objects.build().unwrap();
        Container { share, refused, objects, names, secret: secret.to_owned() }
    }

    pub(crate) async fn of_key() -> Self {
        let (right, wrong) = (text(KEY), text(ANOTHER_KEY));
        Self::make(AzureCredential::Key(right), AzureCredential::Key(wrong), KEY).await
    }
}

/// For others who know of it: it is opened by [`KEY`].
impl Container {
    pub(crate) fn description(&self) -> Description {
        Description::AzureBlob(AzurePlace {
            account: ACCOUNT.to_owned(),
            name: self.names.run.clone(),
            endpoint: Some(format!("http://{}/{ACCOUNT}", address())),
            opened_by: AzureOpener::Key,
        })
    }
}

#[async_trait(?Send)]
impl World for Container {
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
        self.objects.put(&Path::parse(path).unwrap(), content.into()).await.unwrap();
    }

    async fn remove(&self, path: &str) {
        self.objects.delete(&Path::parse(path).unwrap()).await.unwrap();
    }

    async fn plant(&self, folder: &Folder, name: &[u8]) -> bool {
        let path = format!("/{ACCOUNT}/{}/{}", self.names.run, folder.as_str());
        let path = encoded(&path, name);
        let status = put_signed(&path, "", &[("x-ms-blob-type", "BlockBlob")], b"x").await;
        // It may have been put elsewhere: then it is not in this folder.
        let shown = String::from_utf8_lossy(name).into_owned();
        let kept = self.objects.list(Some(&Path::parse(folder.as_str()).unwrap()));
        let kept: Vec<_> = futures::StreamExt::collect(kept).await;
        let is_there = kept.iter().any(|kept| match kept {
            Ok(meta) => meta.location.as_ref().ends_with(&shown),
            Err(_) => true,
        });
        status == 201 && is_there
    }
}

#[tokio::test]
async fn the_contract_is_kept_with_a_key() {
    holds(&Container::of_key().await).await;
}

#[tokio::test]
async fn the_contract_is_kept_with_a_shared_access_signature() {
    let sas = account_sas(ACCOUNT, KEY, LATER);
    let expired = account_sas(ACCOUNT, KEY, "2020-01-01T00:00Z");
    let signature = sas.rsplit_once("sig=").unwrap().1.to_owned();
    let (right, wrong) = (AzureCredential::Sas(text(&sas)), AzureCredential::Sas(text(&expired)));
    holds(&Container::make(right, wrong, &signature).await).await;
}

#[tokio::test]
async fn a_mark_of_a_folder_is_no_file() {
    let container = Container::of_key().await;
    let folder = container.fresh_folder();
    container.put(&format!("{}/app/main.py", folder.as_str()), "x".into()).await;
    // Some tools write an empty blob for a folder, with a slash at the end of its name or without.
    for mark in ["app", "app/", "empty/"] {
        let path = format!("/{ACCOUNT}/{}/{}/{mark}", container.names.run, folder.as_str());
        let status = put_signed(&path, "", &[("x-ms-blob-type", "BlockBlob")], b"").await;
        assert_eq!(status, 201, "{mark}");
    }
    let listed = container.share.list(&folder, &Limits::default()).await.unwrap();
    let names: Vec<&str> = listed.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["app/main.py"]);
}

#[tokio::test]
async fn a_container_that_is_not_there_holds_no_files() {
    let share = open(&settings("nobody-made-it", AzureCredential::Key(text(KEY))));
    let listed = share.list(&Folder::top(), &Limits::default()).await;
    assert!(matches!(listed, Err(Error::NotFound { .. })), "{listed:?}");
}
