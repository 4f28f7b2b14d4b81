//! The three laws of operations of several steps: repeat every step, fail every step, repeat every undo.

use crate::call::Fault;
use crate::fleet::Errand;
use crate::run::{Kind, Plan, Report, Scenario, run};
use crate::script::Operation;

/// What the laws hold for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lawful {
    /// Of one app.
    App(Operation),
    /// Of a fleet.
    Fleet(Errand),
}

impl Lawful {
    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        let apps = Operation::ALL.into_iter().map(Lawful::App);
        let fleets = Errand::ALL.into_iter().map(Lawful::Fleet);
        apps.chain(fleets).find(|one| match one {
            Lawful::App(operation) => format!("{operation:?}") == name,
            Lawful::Fleet(errand) => format!("{errand:?}") == name,
        })
    }

    /// One of which one call with an effect meets a fault.
    pub fn plan(self, at: u64, fault: Fault) -> Plan {
        let forced = Some((at, fault));
        let kind = match self {
            Lawful::App(operation) => {
                let faults = Scenario { forced, operation, replicas: 2, ..Scenario::default() };
                Kind::Single { faults: Box::new(faults) }
            }
            Lawful::Fleet(of) => Kind::Errand { of, forced },
        };
        Plan { seed: at, kind, plant: None, story: false }
    }
}

impl From<Operation> for Lawful {
    fn from(operation: Operation) -> Self {
        Lawful::App(operation)
    }
}

impl From<Errand> for Lawful {
    fn from(errand: Errand) -> Self {
        Lawful::Fleet(errand)
    }
}

/// The operation as often as it makes calls with an effect: each of them meets the fault once. It ends with
/// the first run in which something was wrong.
fn at_every_step(fault: Fault, of: Lawful) -> Vec<Report> {
    let mut reports = Vec::new();
    for at in 0.. {
        let report = run(&of.plan(at, fault));
        let goes_on = report.violations.is_empty();
        if goes_on && !report.forced_met {
            break;
        }
        reports.push(report);
        if !goes_on {
            break;
        }
    }
    reports
}

/// Each call with an effect is done, and its answer lost: who made it has to make it again. Of an
/// operation that fails every undo is repeated too.
pub fn repeat_every_step(of: impl Into<Lawful>) -> Vec<Report> {
    at_every_step(Fault::AnswerLost, of.into())
}

/// The kill matrix of a fleet: whoever makes a call with an effect ends just before it, and just after it.
pub fn end_at_every_step(of: Errand) -> Vec<Report> {
    let before = at_every_step(Fault::CrashBefore, of.into()).into_iter();
    before.chain(at_every_step(Fault::CrashAfter, of.into())).collect()
}

/// Each call with an effect fails once, with an unknown outcome.
pub fn fail_every_step(of: impl Into<Lawful>) -> Vec<Report> {
    at_every_step(Fault::RequestLost, of.into())
}
