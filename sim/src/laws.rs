//! The three laws of operations of several steps: repeat every step, fail every step, repeat every undo.

use crate::call::Fault;
use crate::run::{Kind, Plan, Report, Scenario, run};
use crate::script::Operation;

/// One operation of which one call with an effect meets a fault.
pub fn plan(operation: Operation, at: u64, fault: Fault) -> Plan {
    let faults =
        Scenario { forced: Some((at, fault)), operation, replicas: 2, ..Scenario::default() };
    Plan { seed: at, kind: Kind::Single { faults: Box::new(faults) }, plant: None, story: false }
}

/// The operation as often as it makes calls with an effect: each of them meets the fault once. It ends with
/// the first run in which something was wrong.
fn at_every_step(fault: Fault, operation: Operation) -> Vec<Report> {
    let mut reports = Vec::new();
    for at in 0.. {
        let report = run(&plan(operation, at, fault));
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
pub fn repeat_every_step(operation: Operation) -> Vec<Report> {
    at_every_step(Fault::AnswerLost, operation)
}

/// Each call with an effect fails once, with an unknown outcome.
pub fn fail_every_step(operation: Operation) -> Vec<Report> {
    at_every_step(Fault::RequestLost, operation)
}
