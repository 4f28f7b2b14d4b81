//! A machine that is to be gone: it goes when nothing is left on it that is nowhere else. One that only the platform wants
//! to be gone, as no app was on it, stays if one has come to it since.

use chassis::reconcile::Outcome;
use chassis::records::{self, Stored};
use common::record::machine::{MachineGoal, MachineRecord, MachineState};
use common::record::node::Alive;
use common::record::path;

use super::{Known, Machines};
use crate::domain::leaving::{Departure, Facts, departure};
use crate::domain::waits::elapsed;
use crate::fleet;
use crate::reconcile::{LATER, SOON};
use crate::records::{Departures, Error, Taker, commit, departures_path, load, save};

impl Machines<'_> {
    pub(super) async fn leave(&self, known: Known) -> Result<Outcome, Error> {
        let why = match departure(self.leaving(&known.machine.record).await?) {
            Departure::Wait(why) => why,
            Departure::Go => {
                self.delete(known).await?;
                return Ok(Outcome::Again(SOON));
            }
            Departure::Stay => {
                self.keep(known.machine).await?;
                return Ok(Outcome::Again(SOON));
            }
        };
        let Stored { mut record, version } = known.machine;
        if record.reason != why {
            why.clone_into(&mut record.reason);
            save(self.0, &path::machine(&record.name), &record, Some(version)).await?;
        }
        Ok(Outcome::Again(LATER))
    }

    async fn leaving(&self, machine: &MachineRecord) -> Result<Facts, Error> {
        let now = self.0.ports.clock.now();
        let departures = load::<Departures>(self.0, &departures_path()).await?;
        let taker = departures.map_or(Taker::Person, |stored| stored.record.taker(&machine.name));
        let alive = load::<Alive>(self.0, &path::alive(&machine.name)).await?;
        let verdict =
            alive.map(|Stored { record, .. }| (record.verdict, elapsed(record.since, now)));
        let leases = fleet::leases(self.0, &machine.name).await?;
        Ok(Facts { taker, lasting: elapsed(machine.since, now), verdict, leases })
    }

    /// It is a node again. A person who takes it away meanwhile has written its record.
    async fn keep(&self, machine: Stored<MachineRecord>) -> Result<(), Error> {
        let Stored { mut record, version } = machine;
        record.goal = MachineGoal::Node;
        record.generation = record.generation.next();
        record.state = MachineState::Preparing;
        "an app has come to it: it is not given back".clone_into(&mut record.reason);
        record.since = self.0.ports.clock.now();
        let mut changes = vec![records::put(path::machine(&record.name), &record, Some(version))];
        changes.extend(fleet::node_change(self.0, &record).await?);
        commit(self.0, changes).await?;
        tracing::warn!(machine = %record.name, "an added machine is not given back: an app has come to it");
        Ok(fleet::refresh(self.0).await?)
    }
}
