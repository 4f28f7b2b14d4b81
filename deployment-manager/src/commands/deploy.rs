//! Message 5, `deploy app$<instance>`: a new generation of an instance is wanted.

use chassis::consumer::Disposition;
use chassis::operations::{Acceptance, Request};
use chassis::records::{self, Stored, load};
use common::failure::{Failure, FailureCode};
use common::id::ReleaseNumber;
use common::name::{AppName, InstanceName, LegacyName};
use common::record::deployment::Goal;
use common::record::instance::Instance;
use common::record::kept::{Origin, Way};
use common::record::path;
use common::record::release::{App, Release, Source};

use super::{Error, answered, decided, record, refuse};
use crate::domain::accept::{self, WantedDeploy};
use crate::domain::releases;
use crate::shared::Shared;
use crate::{builds, observe, records as stored};

/// A known instance gets the release it wants; a known app is deployed as an instance of its own name.
pub(super) async fn accept(
    shared: &Shared,
    request: Request,
    instance: LegacyName,
) -> Result<Disposition, Error> {
    let offered = decided(shared, || offer(shared, &request, &instance)).await?;
    let acceptance = match offered {
        Ok(acceptance) => acceptance,
        Err(failure) => refuse::refused(shared, &request, &instance, &failure).await?,
    };
    answered(shared, &request, &instance, Goal::Running, acceptance).await
}

async fn offer(
    shared: &Shared,
    request: &Request,
    instance: &LegacyName,
) -> Result<Result<Acceptance, Failure>, records::Error> {
    let store = shared.ports.store.as_ref();
    // The bus may be faster than the store: whoever asked has written the release that is wanted.
    store.sync().await?;
    let (known, before, scale) = futures::try_join!(
        observe::instance(store, instance),
        stored::deployment(store, instance),
        observe::scale(store, instance),
    )?;
    let release = match wanted(shared, instance, known.as_ref()).await? {
        Ok(release) => release,
        Err(failure) => return Ok(Err(failure)),
    };
    let goes_on = before.as_ref().map(|before| &before.record).filter(|one| one.is_deployed());
    let scale = scale.filter(|scale| goes_on.is_some_and(|deployment| scale.is_for(deployment)));
    let origin = origin(request, known.as_ref(), &release);
    let ran = before.as_ref().filter(|_| origin.way == Way::RolledBack);
    let image = match ran.and_then(|ran| releases::image_of(&ran.record, release.number)) {
        Some(image) => Some(image.clone()),
        None => builds::image_of(store, &release, &shared.config).await?,
    };
    let wanted = WantedDeploy {
        request: request.id,
        app: release.app.clone(),
        release: release.number,
        origin,
        image,
        replicas: observe::replicas(scale.as_ref(), known.as_ref(), &shared.config),
    };
    let now = shared.ports.clock.now();
    let after = accept::deploy(
        before.as_ref().map(|before| before.record.clone()),
        instance.clone(),
        wanted,
        &shared.config.patience,
        now,
    );
    record(shared, request, before.as_ref(), after).await.map(Ok)
}

/// Where the release comes from. Who asked is known of requests that went through the app manager.
fn origin(request: &Request, known: Option<&Instance>, release: &Release) -> Origin {
    let asked = known.filter(|known| known.request == request.id);
    let bundle = match &release.source {
        Source::Bundle { bundle, .. } => Some(bundle.clone()),
        Source::Image { .. } => None,
    };
    Origin {
        way: known.map(|known| known.way).unwrap_or_default(),
        by: asked.and_then(|asked| asked.by.clone()),
        bundle,
    }
}

/// The release to deploy, or why there is none.
async fn wanted(
    shared: &Shared,
    instance: &LegacyName,
    known: Option<&Instance>,
) -> Result<Result<Release, Failure>, records::Error> {
    let Some(name) = instance.as_str().parse::<InstanceName>().ok() else {
        return Ok(Err(app_unknown()));
    };
    let (app, number) = match known {
        Some(known) => (known.app.clone(), known.release),
        None => match newest(shared, &name).await? {
            Some(newest) => newest,
            None => return Ok(Err(app_unknown())),
        },
    };
    let release = stored::release(shared.ports.store.as_ref(), &app, number).await?;
    let unknown = || {
        let message = format!("the app {app} has no release {number}");
        Failure::new(FailureCode::ReleaseUnknown, message)
    };
    Ok(release.ok_or_else(unknown))
}

async fn newest(
    shared: &Shared,
    instance: &InstanceName,
) -> Result<Option<(AppName, ReleaseNumber)>, records::Error> {
    let Ok(app) = instance.as_str().parse::<AppName>() else { return Ok(None) };
    let stored = load::<App>(shared.ports.store.as_ref(), &path::app(&app)).await?;
    Ok(stored.map(|Stored { record, .. }| (app, record.newest)))
}

fn app_unknown() -> Failure {
    Failure::new(FailureCode::AppUnknown, "there is neither an instance nor an app of this name")
}
