//! Shares: where the code of services is kept outside of the platform.
//!
//! A folder, Azure Files, Azure Blob and S3. Owns how they are reached, who is believed, and what their answers mean;
//! never decides what is built of the files. Secrets come from files of mode 0600 or from the environment, are read
//! once, and go into requests and nowhere else.

mod azure_files;
mod exact;
mod folder;
mod known;
mod objects;
mod settings;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use common::port::{Clock, Share};

pub use azure_files::AzureFiles;
pub use folder::FolderShare;
pub use known::KnownShares;
pub use objects::ObjectShare;
pub use settings::{
    AzureCredential, AzureSettings, InvalidShare, S3Settings, Secret, ShareSettings,
};

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long an answer may pause.
const PAUSE: Duration = Duration::from_secs(20);
/// How often a share is asked again that is busy or cannot be reached, and for how long altogether.
const RETRIES: usize = 4;
const RETRY_WITHIN: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// Opens a share. Nothing is asked of it yet.
pub fn connect(
    settings: &ShareSettings,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Share>, InvalidShare> {
    Ok(match settings {
        ShareSettings::Folder { path } => Arc::new(FolderShare::new(path)?),
        ShareSettings::AzureBlob(settings) => Arc::new(ObjectShare::azure_blob(settings)?),
        ShareSettings::S3(settings) => Arc::new(ObjectShare::s3(settings)?),
        ShareSettings::AzureFiles(settings) => Arc::new(AzureFiles::new(settings, clock)?),
    })
}

/// What a share, or the way to it, said, without anything that a request held.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Said(String);

impl Said {
    fn new(text: impl fmt::Display) -> Self {
        Said(text.to_string())
    }
}
