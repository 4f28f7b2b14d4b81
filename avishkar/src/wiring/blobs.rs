//! Bundles: files below a folder, or on the nodes.

use std::path::Path;
use std::sync::Arc;

use adapters::blobs::StoreHolders;
use adapters::{AgentBlobs, AgentClient, FileBlobs};
use anyhow::Context as _;
use app_manager::config::BundleKeeper;
use chassis::tls::Identity;
use common::port::{Blobs, Store};

pub(crate) fn open(folder: &Path) -> anyhow::Result<Arc<FileBlobs>> {
    let opened = FileBlobs::open(folder);
    Ok(Arc::new(opened.with_context(|| format!("the folder {} cannot be used", folder.display()))?))
}

/// `store` says which nodes there are.
pub(crate) fn connect(
    keeper: BundleKeeper,
    folder: &Path,
    identity: &Identity,
    store: &Arc<dyn Store>,
) -> anyhow::Result<Arc<dyn Blobs>> {
    match keeper {
        BundleKeeper::Folder => Ok(open(folder)?),
        BundleKeeper::Agents => {
            let client = AgentClient::new(&identity.ca, &identity.client_pem());
            let client = client.context("the certificate cannot be used")?;
            Ok(Arc::new(AgentBlobs::new(client, Arc::new(StoreHolders(Arc::clone(store))))))
        }
    }
}
