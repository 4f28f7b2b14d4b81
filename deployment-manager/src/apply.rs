//! Does one step through the ports, and says what it changed. Decides nothing: what an answer means
//! is [`crate::domain::verdict`]'s.

mod build;
mod container;
mod last_words;
mod pack;
mod probe;
mod remove;
mod route;
mod start;
mod watch;

use common::failure::{Failure, FailureCode};
use common::id::{Generation, RequestId};
use common::name::{InstanceName, NodeName};
use common::port::nodes::Agent;
use common::port::store::Version;
use common::record::deployment::{Deployment, Slot};
use common::record::release::Release;
use jiff::Timestamp;

use crate::domain::change::Change;
use crate::domain::spec;
use crate::domain::step::Step;
use crate::observe::Found;
use crate::reconcile::Error;
use crate::shared::Shared;

pub(crate) use self::watch::{Watched, watch};

/// What a step did.
#[derive(Debug, Default)]
pub(crate) struct Effect {
    pub(crate) changes: Vec<Change>,
    /// What kept it from doing all of it for now.
    pub(crate) hindrance: Option<Failure>,
}

impl Effect {
    fn of(change: Change) -> Self {
        Effect { changes: vec![change], hindrance: None }
    }

    fn hindered(failure: Failure) -> Self {
        Effect { changes: Vec::new(), hindrance: Some(failure) }
    }

    fn gathered(parts: impl IntoIterator<Item = Effect>) -> Self {
        let mut all = Effect::default();
        for part in parts {
            all.changes.extend(part.changes);
            all.hindrance = all.hindrance.or(part.hindrance);
        }
        all
    }
}

/// What a step is applied to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) deployment: &'a Deployment,
    /// Of its record, as it was read.
    pub(crate) version: Version,
    pub(crate) found: &'a Found,
}

impl Round<'_> {
    fn now(&self) -> Timestamp {
        self.shared.ports.clock.now()
    }

    /// The name that containers carry. A deployment under another name was never accepted.
    fn instance(&self) -> Result<InstanceName, Failure> {
        let name = self.deployment.instance.as_str().parse();
        name.map_err(|_| Failure::new(FailureCode::Internal, "its name is not an instance's"))
    }

    fn release(&self, slot: &Slot) -> Result<&Release, Failure> {
        self.release_of(slot.generation)
    }

    fn release_of(&self, generation: Generation) -> Result<&Release, Failure> {
        let number = spec::release_of(self.deployment, generation);
        let release = self.found.releases.get(&number);
        release.ok_or_else(|| {
            Failure::new(FailureCode::ReleaseUnknown, format!("release {number} is gone"))
        })
    }

    fn agent(&self, node: &NodeName) -> Result<Agent, Failure> {
        self.shared.fleet.agent(node).ok_or_else(|| {
            Failure::new(FailureCode::NodeUnavailable, format!("{node} is no node any more"))
        })
    }
}

/// Applies a step. Steps that only change the record are their change.
pub(crate) async fn apply(round: &Round<'_>, step: &Step) -> Result<Effect, Error> {
    match step {
        Step::Ask { generation, count } => {
            Ok(Effect::of(Change::Asked { generation: *generation, count: *count }))
        }
        Step::AskAgain { slots } => {
            let again = |slot: RequestId| Change::AskedAgain { slot };
            let changes = placements(slots).into_iter().map(again).collect();
            Ok(Effect { changes, hindrance: None })
        }
        Step::Build { node } => build::build(round, node).await,
        Step::Start { slots, image } => start::start(round, slots, image).await,
        Step::Restore { slots, image } => start::restore(round, slots, image).await,
        Step::Probe { slots } => probe::probe(round, slots).await,
        Step::Examine { slots } => probe::examine(round, slots).await,
        Step::Route { slots, waiting } => route::route(round, slots, waiting).await,
        Step::Unroute { waiting } => route::unroute(round, waiting).await,
        Step::Finish => route::finish(round).await,
        Step::Withdraw { slots } => Ok(Effect::of(Change::Withdrawn { slots: placements(slots) })),
        Step::Remove { slots, lost } => remove::remove(round, slots, lost).await,
        Step::Register => Ok(Effect::of(Change::Registered)),
        Step::GiveUp { failure } => Ok(Effect::of(Change::GivenUp { failure: failure.clone() })),
        Step::BackOut { failure } => Ok(Effect::of(Change::BackedOut { failure: failure.clone() })),
        Step::Leave => Ok(Effect::of(Change::Moved)),
        Step::Stay { reason } => Ok(Effect::of(Change::NotMoved { reason: reason.clone() })),
        Step::Fail => Ok(Effect::of(Change::Failed)),
        Step::Stopped => Ok(Effect::of(Change::Stopped)),
        Step::Bury => Ok(Effect::of(Change::Buried)),
        Step::Forget | Step::Rest { .. } => Ok(Effect::default()),
    }
}

fn placements(slots: &[Slot]) -> Vec<RequestId> {
    slots.iter().map(|slot| slot.placement_request).collect()
}
