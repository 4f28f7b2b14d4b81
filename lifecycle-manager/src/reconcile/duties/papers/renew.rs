//! One certificate renewed: a part is ordered anew, an agent gets its own over SSH. That it was tried is written down before
//! anything is touched.

use chassis::records::{self, Stored};
use common::name::{NodeName, PartName};
use common::port::part::Part;
use common::port::store::Op;
use common::record::machine::{MachineRecord, MachineState};
use common::record::path;
use common::record::platform::InstanceState;
use common::service::ServiceName;

use super::super::Duties;
use super::{Today, read};
use crate::domain::note::Sightings;
use crate::domain::papers::Holder;
use crate::draft::Order;
use crate::fleet;
use crate::ports::{Enrolled, NotEnrolled};
use crate::reconcile::bases::ensure;
use crate::reconcile::pinning::Pinning;
use crate::records::{Error, Paper, Rollout, commit, load, papers_path, rollout_path, save};
use crate::watch;

impl Duties<'_> {
    pub(super) async fn renew(
        &self,
        today: Today<'_>,
        seen: &Sightings,
        holder: &Holder,
    ) -> Result<(), Error> {
        match holder {
            Holder::Agent { node } => self.renew_agent(today, node).await,
            Holder::Part { node, part } => {
                let found = seen.get(node).and_then(|sighting| sighting.part(part));
                let (Some(found), Ok(service)) = (found, part.as_str().parse::<ServiceName>())
                else {
                    return Ok(());
                };
                match load::<Rollout>(self.0, &rollout_path(service)).await? {
                    Some(stored) => self.order_anew(today, stored, node, found).await,
                    None => self.ensure_anew(today, node, found).await,
                }
            }
        }
    }

    /// A part of the base is ordered here.
    async fn ensure_anew(
        &self,
        today: Today<'_>,
        node: &NodeName,
        found: &Part,
    ) -> Result<(), Error> {
        commit(self.0, vec![self.attempted(today, node, Some(&found.name)).await?]).await?;
        let (part, generation) = (&found.name, found.generation.next());
        let order = Order { part, node, generation, image: None, settings: None };
        if let Err(failure) = ensure(self.0, &order).await? {
            tracing::warn!(node.id = %node, %part, %failure, "a certificate could not be renewed; trying again");
        }
        Ok(())
    }

    /// A placed instance is ordered by the reconciler of its service, under its next generation.
    async fn order_anew(
        &self,
        today: Today<'_>,
        stored: Stored<Rollout>,
        node: &NodeName,
        found: &Part,
    ) -> Result<(), Error> {
        let Stored { record: mut rollout, version } = stored;
        let service = rollout.service;
        let generation = rollout.generation.max(found.generation).next();
        let instance = rollout.instance_mut(node);
        // It was ready when it was planned.
        let Some(instance) = instance.filter(|one| one.state == InstanceState::Ready) else {
            return Ok(());
        };
        instance.generation = generation;
        instance.state = InstanceState::Starting;
        instance.since = today.now;
        instance.there_since = None;
        instance.attempts = 0;
        instance.attempted_at = None;
        rollout.generation = generation;
        let attempted = self.attempted(today, node, Some(&found.name)).await?;
        let rollout = records::put(rollout_path(service), &rollout, Some(version));
        commit(self.0, vec![rollout, attempted]).await?;
        self.0.services.wake(service);
        Ok(())
    }

    /// A look over SSH gives an agent the certificate of today, and replaces what runs with another one. Whatever came of
    /// it, whether it answers is seen before anybody else has a turn.
    async fn renew_agent(&self, today: Today<'_>, node: &NodeName) -> Result<(), Error> {
        let (Some(current), Some(agent)) = (today.of_agent(node), self.0.sight.agent(node)) else {
            return Ok(());
        };
        let Some(machine) = load::<MachineRecord>(self.0, &path::machine(node)).await? else {
            return Ok(());
        };
        // Whoever looks after the machine already gives it today's certificate, too.
        let Some(_visit) = self.0.visits.begin(node) else { return Ok(()) };
        commit(self.0, vec![self.attempted(today, node, None).await?]).await?;
        let pinning = Pinning::new(self.0, machine);
        let enrolled = self.0.ports.enrolment.enrol(today.platform, node, &pinning).await;
        watch::look(self.0, &agent).await;
        match enrolled {
            Ok(Enrolled { .. }) => {
                let (mut papers, version) = read(self.0, node).await?;
                papers.agent = Some(Paper::new("", Some(current), self.0.ports.clock.now()));
                save(self.0, &papers_path(node), &papers, version).await?;
                Ok(())
            }
            Err(NotEnrolled::Failed(failure)) => {
                tracing::warn!(node.id = %node, %failure, "the certificate of an agent could not be renewed; trying again");
                Ok(())
            }
            Err(NotEnrolled::HostKeyChanged(failure)) => {
                tracing::error!(machine = %node, reason = failure.message, "quarantined: its host key changed");
                self.quarantine(node, failure.message).await
            }
        }
    }

    /// That it is tried now: of a part, or of the agent.
    async fn attempted(
        &self,
        today: Today<'_>,
        node: &NodeName,
        part: Option<&PartName>,
    ) -> Result<Op, Error> {
        let (mut papers, version) = read(self.0, node).await?;
        let paper = match part {
            Some(part) => papers.parts.get_mut(part),
            None => papers.agent.as_mut(),
        };
        if let Some(paper) = paper {
            paper.attempted(today.now);
        }
        Ok(records::put(papers_path(node), &papers, version))
    }

    /// Whatever changed its host key may have changed all of them: the attempt stands, and nobody else has a turn before a
    /// person has looked.
    async fn quarantine(&self, node: &NodeName, reason: String) -> Result<(), Error> {
        let at = path::machine(node);
        let Some(Stored { mut record, version }) = load::<MachineRecord>(self.0, &at).await? else {
            return Ok(());
        };
        record.state = MachineState::Quarantined;
        record.reason = reason;
        record.since = self.0.ports.clock.now();
        commit(self.0, vec![records::put(at, &record, Some(version))]).await?;
        Ok(fleet::refresh(self.0).await?)
    }
}
