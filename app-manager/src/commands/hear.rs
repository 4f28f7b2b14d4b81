//! Hearing on `first_topic` what became of requests: messages 8, 9, 11, 12, and answers to `scale app`.

use async_trait::async_trait;
use chassis::consumer::{Commands, Disposition, Incoming};
use chassis::operations::{self, Acceptance, Request};
use chassis::{records, service};
use common::failure::FailureCode;
use common::id::{Generation, RequestId};
use common::message::{Event, Reject, RejectCode};
use common::name::{AppName, InstanceName, LegacyName};
use common::port::store::Op;
use common::record::instance::{Instance, State};
use common::record::kept::Way;
use common::record::operation::{Outcome, fingerprint};
use common::record::path;
use common::service::ServiceName;
use common::topic::Topic;
use serde_json::Value;

use crate::context::Context;
use crate::domain::settlement::{self, News, Standing};
use crate::records::requests::{self, Asked, Kind};
use crate::records::{apps, deciding, instances};

/// The verb of our own that is answered here.
const SCALE: &str = "scale app";
/// How much of the header `details` is kept, in bytes.
const LARGEST_DETAILS: usize = 16 * 1024;

/// The commands of `first_topic`.
pub(crate) struct Hearing<'a>(pub(crate) &'a Context);

#[async_trait]
impl Commands for Hearing<'_> {
    async fn accept(&self, message: Incoming) -> Result<Disposition, service::Error> {
        let event = match Event::decode(&message.envelope.msg) {
            Ok(event) => event,
            Err(err) => return Ok(Disposition::Refused(err.into())),
        };
        let heard = Heard {
            id: message.envelope.request_id,
            kind: event.kind(),
            fingerprint: fingerprint(Topic::FirstTopic, &message.envelope.msg),
            details: details(message.details.as_deref()),
        };
        let effect = self.hear(&event, &heard).await?;
        if let Some((name, _)) = settlement::news(&event) {
            self.0.due.wake(name.clone());
        }
        self.0.metrics.events.with_label_values(&[event.kind(), effect.label()]).inc();
        Ok(effect.disposition(&heard))
    }
}

/// What every message says besides its text.
struct Heard {
    id: RequestId,
    kind: &'static str,
    fingerprint: String,
    details: Option<Value>,
}

/// What a message did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// An instance changed.
    Applied,
    /// An instance that some other program deployed is known from now on.
    Adopted,
    /// A request of ours has its outcome; no instance changed.
    Concluded,
    /// It was heard before.
    Repeated,
    Nothing,
    /// The same id was used for something else.
    Conflict,
}

impl Effect {
    fn label(self) -> &'static str {
        match self {
            Effect::Applied => "applied",
            Effect::Adopted => "adopted",
            Effect::Concluded => "concluded",
            Effect::Repeated => "repeated",
            Effect::Nothing => "none",
            Effect::Conflict => "conflict",
        }
    }

    fn disposition(self, heard: &Heard) -> Disposition {
        match self {
            Effect::Conflict => {
                let detail = format!("request {} said something else before", heard.id);
                Disposition::Refused(Reject::new(RejectCode::IdConflict, &detail))
            }
            Effect::Applied
            | Effect::Adopted
            | Effect::Concluded
            | Effect::Repeated
            | Effect::Nothing => Disposition::Done,
        }
    }
}

fn details(text: Option<&str>) -> Option<Value> {
    let text = text.filter(|text| text.len() <= LARGEST_DETAILS)?;
    serde_json::from_str(text).ok()
}

impl Hearing<'_> {
    async fn hear(&self, event: &Event, heard: &Heard) -> Result<Effect, records::Error> {
        let store = self.0.ports.store.as_ref();
        if let Some((name, news)) = settlement::news(event) {
            return deciding(store, || self.settle(name, &news, heard)).await;
        }
        let outcome = match event {
            Event::Done { verb, .. } if verb == SCALE => {
                Outcome::Succeeded { details: heard.details.clone() }
            }
            Event::NotDone { verb, error, .. } if verb == SCALE => {
                failed(settlement::failure(error), heard)
            }
            Event::Done { .. }
            | Event::NotDone { .. }
            | Event::PlatformStarted(_)
            | Event::PlatformStopped(_)
            | Event::Deployed { .. }
            | Event::NotDeployed { .. }
            | Event::Stopped { .. }
            | Event::NotStopped { .. }
            | Event::Scheduled { .. }
            | Event::ItsTime { .. }
            | Event::ItsEndTime { .. }
            | Event::ScheduledDeployed { .. }
            | Event::Alert { .. }
            | Event::AlertOver { .. } => return Ok(Effect::Nothing),
        };
        deciding(store, || self.conclude_scaling(outcome.clone(), heard)).await
    }

    /// News of an instance: its state, and the outcome of the request of ours that it answers.
    async fn settle(
        &self,
        name: &LegacyName,
        news: &News,
        heard: &Heard,
    ) -> Result<Effect, records::Error> {
        let store = self.0.ports.store.as_ref();
        if let Some(acceptance) = operations::look_up(store, &heard.request()).await? {
            return Ok(before(&acceptance));
        }
        let asked = requests::load(store, heard.id).await?.map(|stored| stored.record);
        let is_foreign = asked.is_none();
        let mut ops = Vec::new();
        let mut effect = Effect::Nothing;
        match instances::load(store, name).await? {
            Some(stored) => {
                let mut instance = stored.record;
                let standing = standing(&instance, asked.as_ref(), heard);
                if settlement::settle(&mut instance, news, standing) {
                    instance.updated_at = self.0.ports.clock.now();
                    ops.push(instances::put(&instance, Some(stored.version)));
                    effect = Effect::Applied;
                }
            }
            None => {
                if let Some(instance) = self.adopted(name, news, heard.id).await? {
                    ops.push(instances::put(&instance, None));
                    effect = Effect::Adopted;
                }
            }
        }
        if let Some(asked) = asked.filter(|asked| asked.instance == *name)
            && is_answered(asked.kind, news)
            && let Some(op) = self.conclusion(asked.kind, outcome(news, heard), heard.id).await?
        {
            ops.push(op);
            effect = if effect == Effect::Nothing { Effect::Concluded } else { effect };
        }
        if ops.is_empty() && !is_foreign {
            return Ok(Effect::Nothing);
        }
        // What some other program's request came to is heard once, also where it changed nothing: told again
        // later, it would be taken for news of what has become of the instance since.
        self.commit(ops, effect, heard).await
    }

    /// An instance that another program deployed, if there is an app of its name.
    async fn adopted(
        &self,
        name: &LegacyName,
        news: &News,
        id: RequestId,
    ) -> Result<Option<Instance>, records::Error> {
        let Ok(instance) = name.as_str().parse::<InstanceName>() else { return Ok(None) };
        let Ok(app) = instance.app_part().to_string().parse::<AppName>() else { return Ok(None) };
        let News::Deployed { url } = news else { return Ok(None) };
        let Some(app) = apps::load(self.0.ports.store.as_ref(), &app).await? else {
            return Ok(None);
        };
        let app = app.record;
        let now = self.0.ports.clock.now();
        Ok(Some(Instance {
            schema: 1,
            name: name.clone(),
            app: app.name,
            release: app.newest,
            way: Way::default(),
            canary: None,
            owner: app.owner,
            replicas: 1,
            created_at: now,
            generation: Generation(1),
            state: State::Deployed,
            request: id,
            by: None,
            url: Some(url.clone()),
            failure: None,
            app_json: None,
            updated_at: now,
            owed: Vec::new(),
        }))
    }

    async fn conclude_scaling(
        &self,
        outcome: Outcome,
        heard: &Heard,
    ) -> Result<Effect, records::Error> {
        let store = self.0.ports.store.as_ref();
        let asked = requests::load(store, heard.id).await?.map(|stored| stored.record);
        if asked.is_none_or(|asked| asked.kind != Kind::Scale) {
            return Ok(Effect::Nothing);
        }
        if let Some(acceptance) = operations::look_up(store, &heard.request()).await? {
            return Ok(before(&acceptance));
        }
        let Some(op) = self.conclusion(Kind::Scale, outcome, heard.id).await? else {
            return Ok(Effect::Nothing);
        };
        self.commit(vec![op], Effect::Concluded, heard).await
    }

    async fn conclusion(
        &self,
        kind: Kind,
        outcome: Outcome,
        id: RequestId,
    ) -> Result<Option<Op>, records::Error> {
        let path = path::operation(id, ServiceName::AppManager, kind.as_str());
        operations::conclude(self.0.ports.store.as_ref(), &path, outcome).await
    }

    async fn commit(
        &self,
        ops: Vec<Op>,
        effect: Effect,
        heard: &Heard,
    ) -> Result<Effect, records::Error> {
        let (store, clock) = (self.0.ports.store.as_ref(), self.0.ports.clock.as_ref());
        match operations::accept(store, clock, &heard.request(), ops).await? {
            Acceptance::Fresh => Ok(effect),
            acceptance @ (Acceptance::Repeat(_) | Acceptance::Conflict) => Ok(before(&acceptance)),
        }
    }
}

impl Heard {
    fn request(&self) -> Request {
        Request {
            id: self.id,
            service: ServiceName::AppManager,
            kind: self.kind,
            fingerprint: self.fingerprint.clone(),
        }
    }

    /// Whether the deployment manager made nothing of the request: no release was to come of it.
    fn is_refusal(&self) -> bool {
        let said = |field| self.details.as_ref().and_then(|details| details.get(field));
        said("release").is_some_and(Value::is_null) && said("failure").is_some_and(Value::is_object)
    }
}

fn before(acceptance: &Acceptance) -> Effect {
    match acceptance {
        Acceptance::Conflict => Effect::Conflict,
        Acceptance::Fresh | Acceptance::Repeat(_) => Effect::Repeated,
    }
}

/// An id that was given out here and is not the current one is older: every newer request takes its place.
fn standing(instance: &Instance, asked: Option<&Asked>, heard: &Heard) -> Standing {
    if instance.request == heard.id {
        Standing::Current
    } else if asked.is_some() {
        Standing::Stale
    } else if heard.is_refusal() {
        Standing::Refused
    } else {
        Standing::Foreign
    }
}

/// Whether a request of this kind ends so.
fn is_answered(kind: Kind, news: &News) -> bool {
    match news {
        News::Deployed { .. } | News::NotDeployed(_) => {
            matches!(kind, Kind::Deploy | Kind::Rollback | Kind::Promote)
        }
        News::Stopped | News::NotStopped(_) => kind == Kind::Stop,
    }
}

fn outcome(news: &News, heard: &Heard) -> Outcome {
    match news {
        News::Deployed { .. } | News::Stopped => {
            Outcome::Succeeded { details: heard.details.clone() }
        }
        News::NotDeployed(failure) | News::NotStopped(failure) => failed(failure.clone(), heard),
    }
}

fn failed(failure: common::failure::Failure, heard: &Heard) -> Outcome {
    if failure.code == FailureCode::Superseded {
        Outcome::Superseded
    } else {
        Outcome::Failed { failure, details: heard.details.clone() }
    }
}
