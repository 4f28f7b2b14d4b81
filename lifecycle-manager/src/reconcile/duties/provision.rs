//! Machines that were asked for: one at a time, within the bounds of the configuration. While nobody waits for one,
//! those that no app is on any more are given back.

use std::time::Duration;

use chassis::reconcile::Outcome;
use chassis::records::{self, Stored};
use chassis::{owed, records::Error as StoredError};
use common::failure::{Failure, FailureCode};
use common::id::Generation;
use common::name::NodeName;
use common::port::machines::{Ability, Shape};
use common::port::store::Version;
use common::record::machine::{MachineGoal, MachineRecord, MachineState};
use common::record::path;
use serde_json::json;

use super::Duties;
use crate::answers::{self, Ending};
use crate::domain::waits::elapsed;
use crate::fleet;
use crate::reconcile::{LATER, SOON};
use crate::records::{
    By, Error, Making, Provision, Wanted, commit, load, provision_path, save, written,
};

impl Duties<'_> {
    pub(super) async fn provision(&self) -> Result<Outcome, Error> {
        let stored = load::<Provision>(self.0, &provision_path()).await?;
        let Some(Stored { record: mut provision, version }) = stored else {
            return Ok(Outcome::Again(LATER));
        };
        let mut version = version;
        if !provision.owed.is_empty() {
            owed::publish(self.0.ports.bus.as_ref(), &provision.owed).await?;
            provision.owed.clear();
            version = save(self.0, &provision_path(), &provision, Some(version)).await?;
        }
        if provision.making.is_some() || !provision.waiting.is_empty() {
            self.0.idle.begin_anew();
        }
        match provision.making.clone() {
            Some(making) => self.made(provision, version, making).await,
            None if provision.waiting.is_empty() => self.give_back(&provision).await,
            None => self.make(provision, version).await,
        }
    }

    /// The machine's own reconciler makes it; here is only looked whether it is done.
    async fn made(
        &self,
        provision: Provision,
        version: Version,
        making: Making,
    ) -> Result<Outcome, Error> {
        let name = &making.machine;
        let machine = load::<MachineRecord>(self.0, &path::machine(name)).await?;
        let lasts = elapsed(making.since, self.0.ports.clock.now());
        let within = self.0.config.provision.within;
        let (state, reason) = match machine {
            Some(Stored { record, .. }) => (Some(record.state), record.reason),
            None => (None, "it is gone".to_owned()),
        };
        match state {
            Some(MachineState::Ready) => {
                self.end(provision, version, &Ok(name.clone()), |wanted| wanted.is_met_by(name))
                    .await
            }
            Some(_) if lasts <= within => Ok(Outcome::Again(SOON)),
            Some(_) | None => {
                let message = format!("machine {name} is no node yet: {reason}");
                let failure = Err(exhausted(message));
                self.end(provision, version, &failure, |wanted| wanted.is_met_by(name)).await
            }
        }
    }

    async fn make(&self, mut provision: Provision, version: Version) -> Result<Outcome, Error> {
        let now = self.0.ports.clock.now();
        let pause = self.0.config.provision.pause;
        let waited = provision.last.map_or(Duration::MAX, |last| elapsed(last, now));
        if waited < pause && !provision.is_a_persons() {
            let left = pause.saturating_sub(waited).as_secs().max(1);
            let message = format!("a machine was added a moment ago; no other for {left} s");
            return self.end(provision, version, &Err(exhausted(message)), |_| true).await;
        }
        let asked = provision.waiting.iter().find_map(|wanted| wanted.name.clone());
        if let Some(name) = &asked
            && fleet::names(self.0).await?.contains(name)
        {
            let failure = Err(exhausted(format!("there is a machine {name} already")));
            let is_that = |wanted: &Wanted| wanted.name.as_ref() == Some(name);
            return self.end(provision, version, &failure, is_that).await;
        }
        let machine = match self.next(asked).await? {
            Ok(machine) => machine,
            Err(failure) => return self.end(provision, version, &Err(failure), |_| true).await,
        };
        tracing::warn!(machine = %machine.name, "a machine is added");
        provision.making = Some(Making { machine: machine.name.clone(), since: now });
        provision.last = Some(now);
        provision.at_need.remove(&machine.name);
        if !provision.is_a_persons() {
            provision.at_need.insert(machine.name.clone());
        }
        let changes = vec![
            records::put(provision_path(), &provision, Some(version)),
            records::put(path::machine(&machine.name), &machine, None),
        ];
        commit(self.0, changes).await?;
        fleet::refresh(self.0).await?;
        self.0.machines.wake(machine.name);
        Ok(Outcome::Again(SOON))
    }

    /// The machine to be made, like the last one of the description that was made, under the name that was asked for; or why
    /// there is none.
    async fn next(&self, asked: Option<NodeName>) -> Result<Result<MachineRecord, Failure>, Error> {
        let machines = fleet::machines(self.0).await?;
        let most = self.0.config.provision.max_machines;
        if machines.len() >= most {
            let message =
                format!("there are {} machines, and there may be no more", machines.len());
            return Ok(Err(exhausted(message)));
        }
        let made = |machine: &&MachineRecord| {
            let backend = self.0.ports.backends.of(&machine.shape);
            let makes = backend.is_some_and(|backend| backend.lacks(Ability::Create).is_none());
            makes && !matches!(machine.shape, Shape::Given)
        };
        let Some(like) = machines.iter().rev().find(made) else {
            return Ok(Err(exhausted("nobody here can make a machine".to_owned())));
        };
        let taken = |name: &NodeName| machines.iter().any(|machine| machine.name == *name);
        let name = match asked {
            Some(name) => name,
            None => {
                let numbered = |number: usize| format!("added-{number}").parse().ok();
                match (1..=most + 1).filter_map(numbered).find(|name| !taken(name)) {
                    Some(name) => name,
                    None => return Ok(Err(exhausted("no name is free".to_owned()))),
                }
            }
        };
        Ok(Ok(MachineRecord {
            schema: 1,
            name,
            shape: without_address(like.shape.clone()),
            goal: MachineGoal::Node,
            generation: Generation(1),
            gate: None,
            user: like.user.clone(),
            credential: like.credential.clone(),
            id: None,
            host_key: None,
            address: None,
            state: MachineState::Preparing,
            reason: "it was asked for".to_owned(),
            since: self.0.ports.clock.now(),
            restarts: Vec::new(),
        }))
    }

    /// Those of the requests that wait to whom the result belongs have the same end; the others go on waiting.
    async fn end(
        &self,
        mut provision: Provision,
        version: Version,
        result: &Result<NodeName, Failure>,
        ends: impl Fn(&Wanted) -> bool,
    ) -> Result<Outcome, Error> {
        let told = match result {
            Ok(_) => Ok(()),
            Err(failure) => Err(failure.clone()),
        };
        let details = result.as_ref().ok().map(|name| json!({ "machine": name }));
        let waiting = std::mem::take(&mut provision.waiting);
        let (ended, others): (Vec<_>, Vec<_>) = waiting.into_iter().partition(ends);
        provision.waiting = others;
        if let Ok(name) = result
            && ended.iter().any(|wanted| wanted.by == By::Operator)
        {
            provision.at_need.remove(name);
        }
        let mut changes = Vec::new();
        for Wanted { request, by, reason, .. } in ended {
            let text = result.as_ref().map_or(reason.as_str(), NodeName::as_str);
            let ending = Ending { request, by, verb: "need node", text, kind: "need-node" };
            let (operation, owed) = answers::end(self.0, &ending, &told, details.as_ref()).await?;
            changes.extend(operation);
            provision.owed.extend(owed);
        }
        provision.making = None;
        changes.insert(0, records::put(provision_path(), &provision, Some(version)));
        let done = commit(self.0, changes).await?;
        done.first().and_then(written).ok_or(StoredError::Changed)?;
        Ok(Outcome::Again(Duration::ZERO))
    }
}

fn exhausted(message: String) -> Failure {
    Failure::new(FailureCode::MachinesExhausted, message)
}

/// The backend chooses a free one.
fn without_address(shape: Shape) -> Shape {
    match shape {
        Shape::Local(mut local) => {
            local.address = None;
            Shape::Local(local)
        }
        Shape::Azure(mut azure) => {
            azure.address = None;
            Shape::Azure(azure)
        }
        Shape::Given => Shape::Given,
    }
}
