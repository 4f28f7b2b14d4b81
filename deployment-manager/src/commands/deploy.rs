//! Message 5, `deploy app$<instance>`: a new generation of an instance is wanted.

use chassis::consumer::Disposition;
use chassis::operations::{Acceptance, Request};
use chassis::records::{self, Stored, load};
use common::digest::Digest;
use common::failure::{Failure, FailureCode};
use common::id::ReleaseNumber;
use common::name::{AppName, InstanceName, LegacyName};
use common::record::deployment::{Deployment, Goal};
use common::record::instance::Instance;
use common::record::kept::{Origin, Way};
use common::record::path;
use common::record::release::{App, Release, Source};

use super::{Error, answered, decided, record, refuse};
use crate::domain::accept::{self, WantedDeploy};
use crate::domain::course::{Asked, Course, course, falls_back};
use crate::domain::releases;
use crate::shared::Shared;
use crate::{builds, hosts, observe, records as stored};

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
    let last = before.as_ref().map(|before| &before.record);
    let meant = match meant(shared, request, instance, known.as_ref(), last).await? {
        Ok(meant) => meant,
        Err(failure) => return Ok(Err(failure)),
    };
    let Meant { release, origin, asked, has_run } = meant;
    if let Some(failure) = hosts::taken(store, instance, &release).await? {
        return Ok(Err(failure));
    }
    let goes_on = last.filter(|one| one.is_deployed());
    let scale = scale.filter(|scale| goes_on.is_some_and(|deployment| scale.is_for(deployment)));
    let course = match course(asked, last) {
        Ok(course) => course,
        Err(failure) => return Ok(Err(failure)),
    };
    let ran = last.filter(|_| has_run).and_then(|ran| releases::image_of(ran, release.number));
    let runs = before.as_ref().filter(|_| matches!(course, Course::Share(_) | Course::Promote));
    let image = match ran.or_else(|| runs.and_then(|runs| runs.record.image.as_ref())) {
        Some(image) => Some(image.clone()),
        None => builds::image_of(store, &release, &shared.config).await?,
    };
    let wanted = WantedDeploy {
        request: request.id,
        app: release.app.clone(),
        release: release.number,
        origin,
        course,
        image,
        replicas: observe::replicas(scale.as_ref(), known.as_ref(), &shared.config),
    };
    let now = shared.ports.clock.now();
    let patience = &shared.config.patience;
    let mut after = accept::deploy(last.cloned(), instance.clone(), wanted, patience, now);
    // What is all ready takes over now, and so is kept.
    releases::keep(&mut after, shared.config.kept_releases);
    record(shared, request, before.as_ref(), after).await.map(Ok)
}

/// What a request means.
struct Meant {
    release: Release,
    origin: Origin,
    asked: Asked,
    /// Whether it is to run as it did when it was in service.
    has_run: bool,
}

async fn meant(
    shared: &Shared,
    request: &Request,
    instance: &LegacyName,
    known: Option<&Instance>,
    last: Option<&Deployment>,
) -> Result<Result<Meant, Failure>, records::Error> {
    let release = match wanted(shared, instance, known).await? {
        Ok(release) => release,
        Err(failure) => return Ok(Err(failure)),
    };
    let origin = origin(request, known, &release);
    let asked = Asked {
        way: origin.way,
        share: known.and_then(|known| known.canary),
        release: release.number,
        is_own: known.is_some_and(|known| known.request == request.id),
    };
    let Some(number) = falls_back(asked, last) else {
        let has_run = origin.way == Way::RolledBack;
        return Ok(Ok(Meant { release, origin, asked, has_run }));
    };
    let served = stored::release(shared.ports.store.as_ref(), &release.app, number).await?;
    let Some(served) = served else {
        return Ok(Err(release_unknown(&release.app, number)));
    };
    let origin = Origin { way: Way::Deployed, bundle: bundle(&served), ..origin };
    let asked = Asked { way: Way::Deployed, release: number, ..asked };
    Ok(Ok(Meant { release: served, origin, asked, has_run: true }))
}

/// Where the release comes from. Who asked is known of requests that went through the app manager.
fn origin(request: &Request, known: Option<&Instance>, release: &Release) -> Origin {
    let asked = known.filter(|known| known.request == request.id);
    Origin {
        way: known.map(|known| known.way).unwrap_or_default(),
        by: asked.and_then(|asked| asked.by.clone()),
        bundle: bundle(release),
    }
}

fn bundle(release: &Release) -> Option<Digest> {
    match &release.source {
        Source::Bundle { bundle, .. } => Some(bundle.clone()),
        Source::Image { .. } => None,
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
    Ok(release.ok_or_else(|| release_unknown(&app, number)))
}

fn release_unknown(app: &AppName, number: ReleaseNumber) -> Failure {
    let message = format!("the app {app} has no release {number}");
    Failure::new(FailureCode::ReleaseUnknown, message)
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
