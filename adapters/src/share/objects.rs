//! [`ObjectShare`]: Azure Blob and S3 as shares. A folder is what the names of objects begin with.

mod failure;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use common::port::Share;
use common::port::share::{ChunkStream, Entry, Error, Folder, Limits, Listing, Version};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::aws::AmazonS3Builder;
use object_store::azure::{MicrosoftAzureBuilder, split_sas};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt as _,
    RetryConfig,
};

use reqwest::Url;

use super::exact::{changed, exactly};
use super::settings::{AzureCredential, AzureSettings, InvalidShare, S3Settings};
use super::{CONNECT_WITHIN, FIRST_PAUSE, LONGEST_PAUSE, PAUSE, RETRIES, RETRY_WITHIN};

/// How many empty objects are looked at again at once.
const LOOKS_AT_ONCE: usize = 8;

/// A container or a bucket. Clones share its connections.
#[derive(Clone)]
pub struct ObjectShare {
    place: String,
    objects: Arc<dyn ObjectStore>,
}

impl fmt::Debug for ObjectShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectShare").field("place", &self.place).finish_non_exhaustive()
    }
}

impl ObjectShare {
    /// A container of Azure Blob Storage.
    pub fn azure_blob(settings: &AzureSettings) -> Result<Self, InvalidShare> {
        let endpoint = settings.endpoint("blob")?;
        let builder = MicrosoftAzureBuilder::new()
            .with_account(&settings.account)
            .with_container_name(&settings.name)
            .with_endpoint(endpoint.as_str().trim_end_matches('/').to_owned())
            .with_retry(retry())
            .with_client_options(client(Some(&endpoint)));
        let unreadable = |what: &str| InvalidShare::Secret(what.to_owned());
        let builder = match &settings.credential {
            AzureCredential::Key(secret) => {
                let key = secret.read()?;
                BASE64.decode(&key).map_err(|_| unreadable("it is not in base64"))?;
                builder.with_access_key(key)
            }
            AzureCredential::Sas(secret) => {
                let pairs = split_sas(&secret.read()?);
                let pairs = pairs.map_err(|_| unreadable("it is not a shared access signature"))?;
                builder.with_sas_authorization(pairs)
            }
        };
        let objects = builder.build().map_err(|_| InvalidShare::Tls)?;
        let place = format!("{}/{}", endpoint.as_str().trim_end_matches('/'), settings.name);
        Ok(ObjectShare { place, objects: Arc::new(objects) })
    }

    /// A bucket of S3.
    pub fn s3(settings: &S3Settings) -> Result<Self, InvalidShare> {
        let endpoint = settings.check()?;
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&settings.bucket)
            .with_region(&settings.region)
            .with_access_key_id(&settings.key_id)
            .with_secret_access_key(settings.key.read()?)
            .with_retry(retry())
            .with_client_options(client(endpoint.as_ref()));
        let mut place = format!("s3://{}", settings.bucket);
        if let Some(endpoint) = endpoint {
            let base = endpoint.as_str().trim_end_matches('/');
            place = format!("{base}/{}", settings.bucket);
            builder = builder.with_endpoint(base);
        }
        let objects = builder.build().map_err(|_| InvalidShare::Tls)?;
        Ok(ObjectShare { place, objects: Arc::new(objects) })
    }

    /// Which of the empty objects are files. Others are marks of folders: they cannot be read by the name that they
    /// have without the slash at their end.
    async fn files_among(
        &self,
        empty: Vec<ObjectMeta>,
        folder: &Folder,
    ) -> Result<Vec<ObjectMeta>, Error> {
        let looks = empty.into_iter().map(|meta| async move {
            match self.objects.head(&meta.location).await {
                Ok(found) => Ok(Some(found)),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(err) => Err(self.failure(&err, folder)),
            }
        });
        let files = stream::iter(looks).buffered(LOOKS_AT_ONCE);
        files.try_filter_map(async |found| Ok(found)).try_collect().await
    }

    /// Why the bytes of a file broke off. The library asks for the rest by itself, and keeps silent about a change.
    async fn broken_off(&self, path: &Path, entry: &Entry, err: &object_store::Error) -> Error {
        let found = self.objects.head(path).await;
        let is_same = match &found {
            Ok(meta) => self.version(meta).is_ok_and(|version| version == entry.version),
            Err(err) => !failure::has_changed(err),
        };
        if is_same { failure::unavailable(&self.place, err) } else { changed(&self.place, entry) }
    }

    fn version(&self, meta: &ObjectMeta) -> Result<Version, Error> {
        let tag = meta.e_tag.as_deref().map(|tag| Version::new(tag.trim_matches('"')));
        tag.ok_or_else(|| self.unavailable("it says no ETag".to_owned()))
    }
}

fn retry() -> RetryConfig {
    let backoff =
        BackoffConfig { init_backoff: FIRST_PAUSE, max_backoff: LONGEST_PAUSE, base: 2.0 };
    RetryConfig { backoff, max_retries: RETRIES, retry_timeout: RETRY_WITHIN }
}

fn client(endpoint: Option<&Url>) -> ClientOptions {
    // A large file may take long, as long as something comes.
    ClientOptions::new()
        .with_allow_http(endpoint.is_some_and(|endpoint| endpoint.scheme() == "http"))
        .with_connect_timeout(CONNECT_WITHIN)
        .with_read_timeout(PAUSE)
        .with_timeout_disabled()
}

/// The path of an object below a folder; none for the folder's own mark.
fn below<'a>(location: &'a Path, folder: &Folder) -> Option<&'a str> {
    let path = location.as_ref();
    if folder.as_str().is_empty() {
        return Some(path);
    }
    path.strip_prefix(folder.as_str())?.strip_prefix('/')
}

#[async_trait]
impl Share for ObjectShare {
    fn place(&self) -> &str {
        &self.place
    }

    async fn list(&self, folder: &Folder, limits: &Limits) -> Result<Vec<Entry>, Error> {
        let prefix =
            Path::parse(folder.as_str()).map_err(|err| self.failure(&err.into(), folder))?;
        let prefix = (!folder.as_str().is_empty()).then_some(&prefix);
        let mut listing = Listing::begin(&self.place, folder, limits);
        let mut empty = Vec::new();
        let mut found = self.objects.list(prefix);
        while let Some(meta) = found.try_next().await.map_err(|err| self.failure(&err, folder))? {
            let Some(path) = below(&meta.location, folder) else { continue };
            if meta.size == 0 && !Listing::is_hidden(path) {
                listing.room_for(empty.len())?;
                empty.push(meta);
            } else {
                listing.add(path, meta.size, self.version(&meta)?)?;
            }
        }
        for meta in self.files_among(empty, folder).await? {
            let Some(path) = below(&meta.location, folder) else { continue };
            // Some tools mark folders by an empty object with the folder's own name.
            if !listing.has_folder(path) {
                listing.add(path, meta.size, self.version(&meta)?)?;
            }
        }
        listing.finish()
    }

    async fn read(&self, folder: &Folder, entry: &Entry) -> Result<ChunkStream, Error> {
        let path = folder.path_of(&entry.name);
        let path = Path::parse(path).map_err(|err| self.failure(&err.into(), folder))?;
        let if_match = Some(format!("\"{}\"", entry.version.as_str()));
        let options = GetOptions { if_match, ..GetOptions::default() };
        let found = self.objects.get_opts(&path, options).await;
        let found = found.map_err(|err| self.reading_failure(&err, folder, entry))?;
        // Not everybody who speaks S3 looks at the condition.
        if self.version(&found.meta)? != entry.version || found.meta.size != entry.size {
            return Err(changed(&self.place, entry));
        }
        let reading = (self.clone(), path, entry.clone());
        let source = found.into_stream().or_else(move |err| {
            let (share, path, entry) = reading.clone();
            async move { Err(share.broken_off(&path, &entry, &err).await) }
        });
        Ok(exactly(&self.place, entry, source.boxed()))
    }
}
