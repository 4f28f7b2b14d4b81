//! Making releases: of an uploaded bundle, or of an image that exists. Releases are numbered one after
//! another and never changed.

use std::fs::File;
use std::time::Duration;

use chassis::blocking;
use chassis::records::Stored;
use common::digest::{Digest, ImageRef};
use common::id::ReleaseNumber;
use common::name::AppName;
use common::port::store::{self, Op};
use common::record::release::{App, Release, Source};
use tokio::sync::OwnedSemaphorePermit;

use super::Error;
use super::turn::turn;
use crate::bundle::{self, Bundle, archive};
use crate::context::Context;
use crate::domain::access::{Action, Ownership, Person};
use crate::domain::settings::Settings;
use crate::records::apps::{self, StoredRelease};
use crate::records::deciding;
use crate::staging::Staged;

/// How long an upload that has arrived waits for its check.
const TURN_WITHIN: Duration = Duration::from_mins(1);

/// What the caller expects of the app; a newer release made in between is then not built upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Anything,
    /// There is no such app yet.
    NoApp,
    /// This is its newest release.
    Newest(ReleaseNumber),
}

/// A release that was made, or was there already.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) app: App,
    pub(crate) release: StoredRelease,
    pub(crate) is_new: bool,
}

/// An upload that arrived whole.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) staged: Staged,
    pub(crate) digest: Digest,
    /// Its place among the uploads, held for as long as its file is staged.
    pub(crate) turn: OwnedSemaphorePermit,
}

/// An app that this person may see; others are told that there is none.
pub(crate) async fn visible(
    context: &Context,
    person: &Person,
    name: &AppName,
) -> Result<App, Error> {
    let stored = apps::load(context.ports.store.as_ref(), name).await?;
    let app = stored.ok_or(Error::AppUnknown)?.record;
    // Who has an app of others at hand by its name deploys it: users do nothing else.
    let is_visible = person.may(Action::SeeApps, Ownership::of(&app.owner));
    if is_visible { Ok(app) } else { Err(Error::AppUnknown) }
}

/// Checks a bundle, stores it, and makes a release of it. The same bundle as that of the newest
/// release is that release.
pub(crate) async fn from_bundle(
    context: &Context,
    person: &Person,
    name: &AppName,
    upload: Upload,
    expected: Expected,
) -> Result<Made, Error> {
    let Upload { turn: _turn, staged, digest } = upload;
    check_owner(context, person, name, expected).await?;
    let bundle = check(context, &staged).await?;
    context.ports.blobs.put_file(&digest, staged.path()).await.map_err(Error::Blobs)?;
    let Bundle { plan, settings, app_json } = bundle;
    let app_json = app_json.map(|app_json| app_json.value());
    let source = Source::Bundle { bundle: digest, plan };
    make(context, person, name, &Content { source, settings, app_json }, expected).await
}

/// Makes a release of an image that exists.
pub(crate) async fn from_image(
    context: &Context,
    person: &Person,
    name: &AppName,
    image: ImageRef,
    settings: Settings,
) -> Result<Made, Error> {
    let registry = registry_of(image.repository());
    if !context.config.image_registries.iter().any(|allowed| allowed == registry) {
        return Err(Error::ImageNotAllowed(format!(
            "\"{}\" is not among apps.image_registries",
            common::problem::excerpt(registry)
        )));
    }
    let content = Content { source: Source::Image { image }, settings, app_json: None };
    make(context, person, name, &content, Expected::Anything).await
}

/// The registry's `host[:port]`; as Docker tells it, one without dot, colon or `localhost` is a folder.
fn registry_of(repository: &str) -> &str {
    match repository.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        Some(_) | None => "",
    }
}

/// A first look, before the work is done.
async fn check_owner(
    context: &Context,
    person: &Person,
    name: &AppName,
    expected: Expected,
) -> Result<(), Error> {
    match apps::load(context.ports.store.as_ref(), name).await? {
        Some(stored) => check_app(person, &stored.record, expected),
        None => Ok(()),
    }
}

fn check_app(person: &Person, app: &App, expected: Expected) -> Result<(), Error> {
    if !person.may(Action::MakeRelease, Ownership::of(&app.owner)) {
        return Err(Error::NameTaken);
    }
    match expected {
        Expected::NoApp => Err(Error::NameTaken),
        Expected::Newest(number) if number != app.newest => {
            Err(Error::VersionExists { newest: app.newest.0 })
        }
        Expected::Anything | Expected::Newest(_) => Ok(()),
    }
}

async fn check(context: &Context, staged: &Staged) -> Result<Bundle, Error> {
    let _turn = turn(&context.checking, TURN_WITHIN).await?;
    let _timer = context.metrics.check_seconds.start_timer();
    let file = File::open(staged.path()).map_err(Error::File)?;
    let bounds = context.config.bounds;
    let work = move |cancelled: &blocking::Cancelled| {
        let limits = archive::Limits::default();
        bundle::inspect(file, &limits, &bounds, &|| cancelled.is_set())
    };
    match blocking::run(context.config.check_within, work).await {
        Ok(bundle) => Ok(bundle?),
        Err(blocking::Error::DeadlineExceeded) => {
            let late = archive::Error::TooLarge("it takes too long to check".to_owned());
            Err(Error::Bundle(late.into()))
        }
        Err(err @ blocking::Error::BrokeOff) => Err(err.into()),
    }
}

/// What makes a release.
struct Content {
    source: Source,
    settings: Settings,
    app_json: Option<serde_json::Value>,
}

async fn make(
    context: &Context,
    person: &Person,
    name: &AppName,
    content: &Content,
    expected: Expected,
) -> Result<Made, Error> {
    let _turn = context.releasing.lock().await;
    let store = context.ports.store.as_ref();
    let once = || async {
        let stored = apps::load(store, name).await?;
        let (mut app, version, mut ops) = match stored {
            Some(Stored { record, version }) => {
                check_app(person, &record, expected)?;
                if let Some(release) = same_as_newest(context, &record, content).await? {
                    return Ok(Made { app: record, release, is_new: false });
                }
                (record, Some(version), Vec::new())
            }
            None => {
                if let Expected::Newest(_) = expected {
                    return Err(Error::VersionExists { newest: 0 });
                }
                let (number, taken) = apps::next_base_app_id(store).await?;
                (new_app(context, person, name, number), None, vec![taken])
            }
        };
        app.newest = app.newest.next();
        describe(&mut app, content.app_json.as_ref());
        let release = release(context, &app, content);
        ops.insert(0, apps::put(&app, version));
        ops.insert(1, apps::put_release(&release));
        commit(context, ops, &release).await?;
        Ok(Made { app, release, is_new: true })
    };
    deciding(store, once).await
}

/// Writes the release; a lost answer is looked up by the release itself, which nobody else writes.
async fn commit(context: &Context, ops: Vec<Op>, release: &StoredRelease) -> Result<(), Error> {
    let store = context.ports.store.as_ref();
    let changed = || Error::Records(chassis::records::Error::Changed);
    match store.commit(ops).await {
        Ok(_) => Ok(()),
        Err(store::Error::Conflict { .. }) => Err(changed()),
        Err(store::Error::OutcomeUnknown(source)) => {
            store.sync().await?;
            let found = apps::release(store, &release.release.app, release.release.number).await?;
            match found {
                Some(found) if found == *release => Ok(()),
                Some(_) => Err(changed()),
                None => Err(store::Error::Unavailable(source).into()),
            }
        }
        Err(err) => Err(err.into()),
    }
}

async fn same_as_newest(
    context: &Context,
    app: &App,
    content: &Content,
) -> Result<Option<StoredRelease>, Error> {
    let newest = apps::release(context.ports.store.as_ref(), &app.name, app.newest).await?;
    let is_same = |release: &StoredRelease| match (&release.release.source, &content.source) {
        (Source::Bundle { bundle: one, .. }, Source::Bundle { bundle: other, .. }) => one == other,
        // What is said about an image can change without the image.
        (Source::Image { .. }, Source::Image { .. }) => {
            let Settings {
                port,
                health_path,
                environment,
                limits,
                read_only,
                replicas,
                scaling,
                hours,
                placement,
                edge,
            } = &content.settings;
            release.release.source == content.source
                && release.release.scaling == *scaling
                && release.release.hours == *hours
                && release.release.placement == *placement
                && release.release.edge == *edge
                && release.release.port == *port
                && release.release.health_path == *health_path
                && release.release.environment == *environment
                && release.release.limits == *limits
                && release.release.read_only == *read_only
                && release.replicas == *replicas
        }
        (Source::Bundle { .. }, Source::Image { .. })
        | (Source::Image { .. }, Source::Bundle { .. }) => false,
    };
    Ok(newest.filter(is_same))
}

fn new_app(context: &Context, person: &Person, name: &AppName, base_app_id: u64) -> App {
    App {
        schema: 1,
        name: name.clone(),
        owner: person.name.clone(),
        description: String::new(),
        created_at: context.ports.clock.now(),
        newest: ReleaseNumber(0),
        base_app_id,
        manifest: None,
    }
}

/// The app says of itself what its newest bundle says.
fn describe(app: &mut App, app_json: Option<&serde_json::Value>) {
    let text = app_json.and_then(|keys| keys.get("applicationDescription")?.as_str());
    text.unwrap_or_default().clone_into(&mut app.description);
    app.manifest = app_json.cloned();
}

fn release(context: &Context, app: &App, content: &Content) -> StoredRelease {
    let settings = content.settings.clone();
    let release = Release {
        schema: 1,
        app: app.name.clone(),
        number: app.newest,
        created_at: context.ports.clock.now(),
        source: content.source.clone(),
        port: settings.port,
        health_path: settings.health_path,
        environment: settings.environment,
        limits: settings.limits,
        read_only: settings.read_only,
        scaling: settings.scaling,
        hours: settings.hours,
        placement: settings.placement,
        edge: settings.edge,
    };
    StoredRelease { release, replicas: settings.replicas }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_told_from_a_folder_as_docker_does() {
        for (repository, registry) in [
            ("registry:5000/apps/hello", "registry:5000"),
            ("example.org/a", "example.org"),
            ("localhost/a", "localhost"),
            ("library/nginx", ""),
            ("nginx", ""),
        ] {
            assert_eq!(registry_of(repository), registry);
        }
    }
}
