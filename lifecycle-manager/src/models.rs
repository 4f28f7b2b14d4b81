//! Which instances are models: document 000's hosted AI models are apps of kind model.

use chassis::records;
use common::id::ReleaseNumber;
use common::name::AppName;
use common::record::deployment::Deployment;
use common::record::path;
use common::record::release::Release;

use crate::records::load;
use crate::shared::Shared;

/// Whether a release of an app is of kind model.
pub(crate) async fn is_model(
    shared: &Shared,
    app: &AppName,
    release: ReleaseNumber,
) -> Result<bool, records::Error> {
    let stored = load::<Release>(shared, &path::release(app, release)).await?;
    Ok(stored.is_some_and(|stored| stored.record.is_model()))
}

/// Whether a deployment serves a model; before it serves anything, whether it is about to.
pub(crate) async fn serves_model(
    shared: &Shared,
    deployment: &Deployment,
) -> Result<bool, records::Error> {
    let served = deployment.serving.as_ref().map_or(deployment.release, |served| served.release);
    is_model(shared, &deployment.app, served).await
}
