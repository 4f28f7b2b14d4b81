//! From what is to what should be: look, plan, do, until nothing is left to do.

use async_trait::async_trait;
use common::port::Cause;
use common::port::machines::Shape;

use super::apply::apply;
use super::observe::{Observed, locate, observe, was_made_anew};
use super::plan::plan;
use super::removal::removal;
use super::step::Step;
use super::{Goal, Ports};
use crate::failure::{Code, Failure, Why};
use crate::platform::PlannedMachine;

/// How often a machine is looked at: made, pinned, let in, prepared, and seen to be done.
const ROUNDS: usize = 8;

/// Hears what is done. What it was told survives a crash if it writes it down.
#[async_trait]
pub trait Journal: Send + Sync {
    async fn begins(&self, step: &Step) -> Result<(), Cause>;

    /// Before anything is done about it: a look found the machine to be otherwise than it was known, or gone with all
    /// that was known of it.
    async fn found(&self, _machine: &PlannedMachine) -> Result<(), Cause> {
        Ok(())
    }

    /// `machine` is what is known of it now.
    async fn ends(&self, step: &Step, machine: &PlannedMachine) -> Result<(), Cause>;
}

/// Forgets everything.
#[derive(Debug, Clone, Copy)]
pub struct NoJournal;

#[async_trait]
impl Journal for NoJournal {
    async fn begins(&self, _: &Step) -> Result<(), Cause> {
        Ok(())
    }

    async fn ends(&self, _: &Step, _: &PlannedMachine) -> Result<(), Cause> {
        Ok(())
    }
}

/// Makes a machine a node. May be repeated, and cut off anywhere. Gives what is known of it then.
pub async fn ensure(
    ports: &Ports,
    goal: &Goal,
    journal: &dyn Journal,
) -> Result<PlannedMachine, Failure> {
    let mut goal = goal.clone();
    for _ in 0..ROUNDS {
        let mut seen = match observe(ports, &goal).await {
            Err(failure) if was_made_anew(ports, &goal, &failure).await => continue,
            observed => observed?,
        };
        if seen.machine != goal.machine {
            let found = journal.found(&seen.machine).await;
            found.map_err(|cause| unwritten(&goal, cause))?;
        }
        goal.machine = seen.machine.clone();
        let steps = plan(&goal, &seen)?;
        if steps.is_empty() {
            return Ok(goal.machine);
        }
        for step in steps {
            seen.machine = match tell(ports, &goal, &seen, &step, journal).await {
                Err(failure) if was_made_anew(ports, &goal, &failure).await => break,
                told => told?,
            };
            goal.machine = seen.machine.clone();
            if step.action.reveals() {
                break;
            }
        }
    }
    let name = &goal.machine.name;
    let why = Why::new(
        Code::StepFailed,
        format!("after {ROUNDS} looks there are still steps to do"),
        "see what changes the machine at the same time",
    );
    Err(Failure::of(name, format!("make {name} a node"), why.but_later()))
}

fn unwritten(goal: &Goal, cause: Cause) -> Failure {
    let name = &goal.machine.name;
    Failure::of(name, format!("look at {name}"), Why::journal(cause))
}

/// Makes a machine nothing of the platform's any more.
pub async fn remove(ports: &Ports, goal: &Goal, journal: &dyn Journal) -> Result<(), Failure> {
    let seen = match &goal.machine.shape {
        Shape::Given => observe(ports, goal).await?,
        // A machine that is deleted whole need not let anybody in, nor show the key of the one that was pinned.
        Shape::Local(_) | Shape::Azure(_) => {
            let machine = PlannedMachine { host_key: None, ..goal.machine.clone() };
            locate(ports, &goal.with(&machine)).await?
        }
    };
    let goal = &goal.with(&seen.machine);
    for step in removal(goal, &seen) {
        tell(ports, goal, &seen, &step, journal).await?;
    }
    Ok(())
}

async fn tell(
    ports: &Ports,
    goal: &Goal,
    seen: &Observed,
    step: &Step,
    journal: &dyn Journal,
) -> Result<PlannedMachine, Failure> {
    let unwritten = |cause| Failure::of(&step.machine, step, Why::journal(cause));
    journal.begins(step).await.map_err(unwritten)?;
    let machine = apply(ports, goal, seen, step).await?;
    journal.ends(step, &machine).await.map_err(unwritten)?;
    Ok(machine)
}
