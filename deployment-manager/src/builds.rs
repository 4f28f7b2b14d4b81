//! What was built: `builds/<app>/<release>`. The same bundle is not built again by the same recipe.

use chassis::records::{Error, load, save};
use common::digest::{Digest, ImageRef};
use common::id::ReleaseNumber;
use common::name::AppName;
use common::port::Store;
use common::port::store::{self, Op, Path};
use common::record::path;
use common::record::release::{Release, Source};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::recipe::{self, Recipe};

/// The image of a release, and what it was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Build {
    pub(crate) schema: u32,
    pub(crate) bundle: Digest,
    /// The hash of the `Dockerfile`, which names the images it starts from.
    pub(crate) recipe: Digest,
    pub(crate) image: ImageRef,
    pub(crate) built_at: Timestamp,
}

fn path_of(app: &AppName, release: ReleaseNumber) -> Path {
    let folder = path::folder("builds").join(app.as_str());
    let path = folder.and_then(|folder| folder.join(&format!("{:010}", release.0)));
    path.expect("names and numbers are printable ASCII without slashes")
}

/// The image of a release, if there is one already.
pub(crate) async fn image_of(
    store: &dyn Store,
    release: &Release,
    config: &Config,
) -> Result<Option<ImageRef>, Error> {
    match &release.source {
        Source::Image { image } => Ok(Some(image.clone())),
        Source::Bundle { bundle, plan } => match recipe::of(plan, release, config) {
            Ok(recipe) => kept(store, release, bundle, &recipe).await,
            Err(_) => Ok(None),
        },
    }
}

/// What was built of this bundle by this recipe.
pub(crate) async fn kept(
    store: &dyn Store,
    release: &Release,
    bundle: &Digest,
    recipe: &Recipe,
) -> Result<Option<ImageRef>, Error> {
    let found = load::<Build>(store, &path_of(&release.app, release.number)).await?;
    let same = |found: &Build| found.bundle == *bundle && found.recipe == recipe.digest();
    Ok(found.map(|found| found.record).filter(same).map(|found| found.image))
}

/// Believes no longer that this image is there, so that the release is built again; false if it was built after
/// `asked_at`, which would only be repeated.
pub(crate) async fn forget(
    store: &dyn Store,
    release: &Release,
    image: &ImageRef,
    asked_at: Timestamp,
) -> Result<bool, Error> {
    let path = path_of(&release.app, release.number);
    let Some(found) = load::<Build>(store, &path).await? else { return Ok(true) };
    if found.record.image != *image {
        return Ok(true);
    }
    if found.record.built_at >= asked_at {
        return Ok(false);
    }
    match store.commit(vec![Op::Delete { path, version: found.version }]).await {
        // Of those that changed it meanwhile none believed it either.
        Ok(_) | Err(store::Error::Conflict { .. }) => Ok(true),
        Err(err) => Err(err.into()),
    }
}

/// Remembers what was built. Of two that built the same at once, the first one is believed.
pub(crate) async fn keep(
    store: &dyn Store,
    release: &Release,
    build: Build,
) -> Result<ImageRef, Error> {
    let path = path_of(&release.app, release.number);
    let same = |found: &Build| (&found.bundle, &found.recipe) == (&build.bundle, &build.recipe);
    loop {
        let before = load::<Build>(store, &path).await?;
        if let Some(before) = before.as_ref().filter(|before| same(&before.record)) {
            return Ok(before.record.image.clone());
        }
        match save(store, &path, &build, before.map(|before| before.version)).await {
            Ok(_) => return Ok(build.image),
            Err(Error::Changed) => store.sync().await?,
            Err(err) => return Err(err),
        }
    }
}
