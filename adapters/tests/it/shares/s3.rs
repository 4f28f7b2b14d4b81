//! S3, by a server that speaks like it and knows names of keys, but does not verify signatures.

use std::sync::Arc;

use adapters::share::{S3Settings, ShareSettings};
use async_trait::async_trait;
use bytes::Bytes;
use common::port::Share;
use common::port::share::{Description, Error, Folder, Limits, S3Place};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectStore as _, ObjectStoreExt as _};
use testkit::contract::shares::{World, holds};

use super::raw::{encoded, put};
use super::{KEY, Names, open, text};

/// The server has one bucket, and one key whose name it gives itself.
const BUCKET: &str = "shares";
const KEY_ID: &str = "S3RVER";

#[expect(clippy::disallowed_methods, reason = "the variable says where the test's server is")]
fn address() -> String {
    std::env::var("AVISHKAR_TEST_S3")
        .expect("run `make test`: it starts a server of S3 and sets AVISHKAR_TEST_S3")
}

fn share(bucket: &str, key_id: &str) -> Arc<dyn Share> {
    open(&ShareSettings::S3(S3Settings {
        bucket: bucket.to_owned(),
        region: "us-east-1".to_owned(),
        endpoint: Some(format!("http://{}", address())),
        key_id: key_id.to_owned(),
        key: text(KEY),
    }))
}

pub(crate) struct Bucket {
    share: Arc<dyn Share>,
    refused: Arc<dyn Share>,
    objects: AmazonS3,
    names: Names,
}

impl Bucket {
    pub(crate) fn new() -> Self {
        let objects = AmazonS3Builder::new()
            .with_bucket_name(BUCKET)
            .with_region("us-east-1")
            .with_access_key_id(KEY_ID)
            .with_secret_access_key(KEY)
            .with_endpoint(format!("http://{}", address()))
            .with_allow_http(true);
        let (share, refused) = (share(BUCKET, KEY_ID), share(BUCKET, "NOBODY"));
        Bucket { share, refused, objects: objects.build().unwrap(), names: Names::new() }
    }
}

/// For others who know of it: it is opened by [`KEY`].
impl Bucket {
    #[expect(clippy::unused_self, reason = "there is but one bucket")]
    pub(crate) fn description(&self) -> Description {
        Description::S3(S3Place {
            bucket: BUCKET.to_owned(),
            region: "us-east-1".to_owned(),
            endpoint: Some(format!("http://{}", address())),
            key_id: KEY_ID.to_owned(),
        })
    }
}

#[async_trait(?Send)]
impl World for Bucket {
    fn share(&self) -> &dyn Share {
        self.share.as_ref()
    }

    fn refused(&self) -> Option<&dyn Share> {
        Some(self.refused.as_ref())
    }

    fn secrets(&self) -> Vec<String> {
        vec![KEY.to_owned()]
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

    /// S3 does; the server of the tests writes into the file.
    fn replaces_whole_files(&self) -> bool {
        false
    }

    async fn plant(&self, folder: &Folder, name: &[u8]) -> bool {
        let target = encoded(&format!("/{BUCKET}/{}", folder.as_str()), name);
        let status = put(&address(), &target, &[("content-length", "1")], b"x").await;
        let shown = String::from_utf8_lossy(name).into_owned();
        let kept = self.objects.list(Some(&Path::parse(folder.as_str()).unwrap()));
        let kept: Vec<_> = futures::StreamExt::collect(kept).await;
        let is_there = kept.iter().any(|kept| match kept {
            Ok(meta) => meta.location.as_ref().ends_with(&shown),
            Err(_) => true,
        });
        status == 200 && is_there
    }
}

#[tokio::test]
async fn the_contract_is_kept() {
    holds(&Bucket::new()).await;
}

#[tokio::test]
async fn a_bucket_that_is_not_there_holds_no_files() {
    let listed = share("nobody-made-it", KEY_ID).list(&Folder::top(), &Limits::default()).await;
    assert!(matches!(listed, Err(Error::NotFound { .. })), "{listed:?}");
}
