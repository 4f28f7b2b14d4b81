//! Deploying a release as an instance, anew or over what runs: message 5.

use common::id::{Generation, ReleaseNumber, RequestId};
use common::message::{DeploymentCommand, LoadBalancerCommand};
use common::name::{AppName, InstanceName, LegacyName, UserName};
use common::record::course::Share;
use common::record::instance::{Instance, State};
use common::record::kept::Way;
use common::record::operation::fingerprint;
use common::record::release::App;
use common::topic::Topic;
use jiff::Timestamp;
use serde::Serialize;

use super::accept::{Accepted, Ask, Change, accept, owed};
use super::{Error, canary, release};
use crate::context::Context;
use crate::domain::access::{Action, Ownership, Person};
use crate::domain::scaling::check_replicas;
use crate::records::requests::Kind;
use crate::records::{apps, instances};

/// What should be deployed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Wish {
    pub(crate) app: AppName,
    pub(crate) instance: Name,
    /// The newest one if none is said.
    pub(crate) release: Option<ReleaseNumber>,
    pub(crate) replicas: Option<u32>,
    /// Which share of the requests it gets, beside what is served; without, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) canary: Option<Share>,
    /// Document 001's `app.json`, as this instance gets it.
    pub(crate) app_json: Option<String>,
}

/// How the instance is called.
#[derive(Debug, Clone, Serialize)]
pub(crate) enum Name {
    /// Like the app, for the app's owner; for others with a UUID of its own.
    Usual,
    /// As document 001's paths do: always with a UUID of its own.
    WithUuid,
    Given(InstanceName),
}

/// Records that a release should run as an instance.
pub(crate) async fn deploy(
    context: &Context,
    person: &Person,
    wish: Wish,
    id: RequestId,
) -> Result<Accepted, Error> {
    let store = context.ports.store.as_ref();
    let app = release::visible(context, person, &wish.app).await?;
    let name = instance_name(person, &app, &wish.instance, id)?;
    let text = serde_json::to_string(&(&person.name, &wish)).unwrap_or_default();
    let ask = Ask {
        id,
        kind: Kind::Deploy,
        by: person,
        instance: name.clone(),
        fingerprint: fingerprint(Topic::DeploymentManager, &text),
    };
    let decide = || async {
        let app = apps::load(store, &wish.app).await?.ok_or(Error::AppUnknown)?.record;
        let number = wish.release.unwrap_or(app.newest);
        let release = apps::release(store, &wish.app, number).await?;
        let release = release.ok_or(Error::ReleaseUnknown)?;
        let stored = instances::load(store, &name).await?;
        let (mut instance, version) = match stored {
            Some(stored) => (stored.record, Some(stored.version)),
            None => {
                let mut instance = new_instance(context, person, &app, &name, id);
                instance.replicas = release.replicas.unwrap_or(instance.replicas);
                (instance, None)
            }
        };
        if !person.may(Action::Deploy, Ownership::of(&instance.owner)) || instance.app != wish.app {
            return Err(Error::InstanceUnknown);
        }
        if wish.app_json.is_some() {
            instance.app_json.clone_from(&wish.app_json);
        }
        if let Some(bounds) = &release.release.scaling {
            check_replicas(wish.replicas, bounds).map_err(Error::ReplicasOutOfBounds)?;
        }
        let (by, replicas, canary) = (&person.name, wish.replicas, wish.canary);
        let way = if canary.is_some() { Way::Canary } else { Way::Deployed };
        if canary.is_some() && !canary::runs(store, &instance).await? {
            return Err(Error::NotDeployed);
        }
        let wanted = Start { release: number, replicas, by, way, canary };
        start(&mut instance, wanted, id, context.ports.clock.now());
        Ok::<Change, Error>(Change::of(instance, version))
    };
    accept(context, ask, decide).await
}

/// What an instance is to run, and how that came about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start<'a> {
    pub(crate) release: ReleaseNumber,
    /// As many as before if none is said.
    pub(crate) replicas: Option<u32>,
    pub(crate) by: &'a UserName,
    pub(crate) way: Way,
    pub(crate) canary: Option<Share>,
}

/// Makes an instance run a release from now on, and owe the messages that ask for it.
pub(crate) fn start(instance: &mut Instance, wanted: Start<'_>, id: RequestId, now: Timestamp) {
    let Start { release, replicas, by, way, canary } = wanted;
    let is_new = instance.generation == Generation(0);
    let runs = !is_new && !matches!(instance.state, State::Scheduled | State::Stopped);
    let pinned = instance.replicas;
    instance.release = release;
    instance.way = way;
    instance.canary = canary;
    instance.by = Some(by.clone());
    instance.replicas = replicas.unwrap_or(pinned);
    instance.generation = instance.generation.next();
    instance.state = State::Deploying;
    instance.request = id;
    instance.failure = None;
    instance.updated_at = now;
    let command = DeploymentCommand::Deploy { instance: instance.name.clone() };
    instance.owed.push(owed(&instance.name, command.envelope(Topic::FirstTopic, id)));
    // The load balancer may have another number for what was deployed already, and its number wins. Of what was
    // stopped, a scale that said the number of before may still be on its way: this one comes after it.
    let may_differ = |replicas: &u32| runs || (!is_new && *replicas != pinned);
    if let Some(replicas) = replicas.filter(may_differ) {
        let command = LoadBalancerCommand::Scale { instance: instance.name.clone(), replicas };
        let envelope = command.envelope(Topic::FirstTopic, id.derive("scale"));
        instance.owed.push(owed(&instance.name, envelope));
    }
}

/// The same for the same request, so that a repeat is about the same instance.
pub(super) fn instance_name(
    person: &Person,
    app: &App,
    wished: &Name,
    id: RequestId,
) -> Result<LegacyName, Error> {
    let owns_app = person.may(Action::Deploy, Ownership::of(&app.owner));
    let with_uuid = || InstanceName::with_uuid(&app.name, id.derive("instance").0);
    let name = match wished {
        Name::Usual if owns_app => InstanceName::from(app.name.clone()),
        Name::Usual | Name::WithUuid => with_uuid(),
        Name::Given(name) if name.app_part().to_string() != app.name.as_str() => {
            return Err(Error::NameUnfit);
        }
        Name::Given(name) if name.as_str() == app.name.as_str() && !owns_app => {
            return Err(Error::NameTaken);
        }
        Name::Given(name) => name.clone(),
    };
    Ok(name.into())
}

/// An instance of which nothing was asked yet.
pub(super) fn new_instance(
    context: &Context,
    person: &Person,
    app: &App,
    name: &LegacyName,
    id: RequestId,
) -> Instance {
    let now = context.ports.clock.now();
    Instance {
        schema: 1,
        name: name.clone(),
        app: app.name.clone(),
        release: app.newest,
        way: Way::default(),
        canary: None,
        owner: person.name.clone(),
        replicas: 1,
        created_at: now,
        generation: Generation(0),
        state: State::Deploying,
        request: id,
        by: Some(person.name.clone()),
        url: None,
        failure: None,
        app_json: None,
        updated_at: now,
        owed: Vec::new(),
    }
}
