//! The three laws.

use sim::{Operation, Report, fail_every_step, repeat_every_step};

fn assert_kept(reports: &[Report]) {
    assert!(reports.len() >= 30, "only {} steps", reports.len());
    for report in reports {
        assert_eq!(report.violations, [], "at call {}", report.seed);
    }
}

#[test]
fn every_step_may_be_repeated() {
    assert_kept(&repeat_every_step(Operation::DeployAndStop));
}

#[test]
fn every_step_may_fail() {
    assert_kept(&fail_every_step(Operation::DeployAndStop));
}

#[test]
fn every_undo_may_be_repeated_and_may_fail() {
    assert_kept(&repeat_every_step(Operation::Undo));
    assert_kept(&fail_every_step(Operation::Undo));
}
