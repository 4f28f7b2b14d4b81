//! Bundles: files below a folder.

use std::path::Path;
use std::sync::Arc;

use adapters::FileBlobs;
use anyhow::Context as _;
use common::port::Blobs;

pub(crate) fn open(folder: &Path) -> anyhow::Result<Arc<dyn Blobs>> {
    let opened = FileBlobs::open(folder);
    Ok(Arc::new(opened.with_context(|| format!("the folder {} cannot be used", folder.display()))?))
}
