//! The three laws of operations of several steps: repeat every step, fail every step, repeat every undo.

use crate::call::Fault;
use crate::run::{Kind, Plan, Report, Scenario, run};

/// Which operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// One app of two replicas is deployed and stopped.
    DeployAndStop,
    /// It never gets healthy: what was made is unmade.
    Undo,
}

fn plan(at: u64, fault: Fault, operation: Operation) -> Plan {
    let sick = operation == Operation::Undo;
    let faults = Scenario { forced: Some((at, fault)), sick, replicas: 2, ..Scenario::default() };
    Plan { seed: at, kind: Kind::Single { faults: Box::new(faults) }, plant: None, story: false }
}

/// The operation as often as it makes calls with an effect: each of them meets the fault once.
fn at_every_step(fault: Fault, operation: Operation) -> Vec<Report> {
    let reports = (0..).map(|at| run(&plan(at, fault, operation)));
    reports.take_while(|report| report.forced_met).collect()
}

/// Each call with an effect is done, and its answer lost: who made it has to make it again. Of an
/// [`Operation::Undo`] every undo is repeated too.
pub fn repeat_every_step(operation: Operation) -> Vec<Report> {
    at_every_step(Fault::AnswerLost, operation)
}

/// Each call with an effect fails once, with an unknown outcome.
pub fn fail_every_step(operation: Operation) -> Vec<Report> {
    at_every_step(Fault::RequestLost, operation)
}
