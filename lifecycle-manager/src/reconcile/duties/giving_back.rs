//! Machines that were added for apps, and that none is on any more: given back, one at a time. One that a person asked
//! for stays until a person takes it away, as do those of the description; and one that an app comes to before the node
//! manager knows of it stays as well (`reconcile/machines/leaving.rs`).

use std::collections::BTreeSet;

use chassis::reconcile::Outcome;
use common::record::machine::{MachineGoal, MachineState};

use super::Duties;
use crate::commands::take_away::{self, Answer};
use crate::fleet;
use crate::reconcile::LATER;
use crate::records::{Error, Provision, Taker};

impl Duties<'_> {
    /// Nobody waits for a machine.
    pub(super) async fn give_back(&self, provision: &Provision) -> Result<Outcome, Error> {
        let Some(after) = self.0.config.provision.idle else { return Ok(Outcome::Again(LATER)) };
        let machines = fleet::machines(self.0).await?;
        let mut idle = BTreeSet::new();
        for machine in &machines {
            let stays = machine.state == MachineState::Quarantined;
            if stays || !provision.at_need.contains(&machine.name) {
                continue;
            }
            if fleet::leases(self.0, &machine.name).await? == 0 {
                idle.insert(machine.name.clone());
            }
        }
        let lasting = self.0.idle.note(&idle);
        let one_leaves = machines.iter().any(|machine| machine.goal == MachineGoal::Absent);
        if one_leaves || self.0.brakes().machines {
            return Ok(Outcome::Again(LATER));
        }
        let Some((name, lasts)) = lasting.into_iter().find(|(_, lasts)| *lasts >= after) else {
            return Ok(Outcome::Again(LATER));
        };
        let idle_seconds = lasts.as_secs();
        match take_away::accept(self.0, &name, Taker::Platform).await? {
            Answer::Going => {
                tracing::warn!(machine = %name, idle_seconds, "an added machine is given back: no app was on it");
            }
            Answer::InUse(why) => {
                tracing::info!(machine = %name, idle_seconds, why, "an added machine without apps is kept");
                self.0.idle.forget(&name);
            }
            Answer::Unknown => {}
        }
        Ok(Outcome::Again(LATER))
    }
}
