//! The three laws, of every operation of several steps.

use sim::{Operation, Report, fail_every_step, repeat_every_step};

fn assert_kept(operation: Operation, reports: &[Report], least: usize) {
    assert!(reports.len() >= least, "{operation:?} has only {} steps", reports.len());
    for report in reports {
        assert_eq!(report.violations, [], "{operation:?} at call {}", report.seed);
    }
}

/// Each step repeated (and so each undo), each step failed.
fn holds_for(operation: Operation, least: usize) {
    assert_kept(operation, &repeat_every_step(operation), least);
    assert_kept(operation, &fail_every_step(operation), least);
}

#[test]
fn every_step_of_a_deploy_and_a_stop_may_be_repeated_and_may_fail() {
    holds_for(Operation::DeployAndStop, 30);
}

#[test]
fn every_step_of_a_redeploy_may_be_repeated_and_may_fail() {
    holds_for(Operation::Redeploy, 20);
}

#[test]
fn every_step_of_going_back_may_be_repeated_and_may_fail() {
    holds_for(Operation::Rollback, 20);
}

#[test]
fn every_step_of_a_change_of_scale_may_be_repeated_and_may_fail() {
    holds_for(Operation::ScaleUp, 10);
    holds_for(Operation::ScaleDown, 8);
}

#[test]
fn every_step_of_a_replacement_may_be_repeated_and_may_fail() {
    holds_for(Operation::Replace, 10);
}

#[test]
fn every_step_of_a_canary_may_be_repeated_and_may_fail() {
    holds_for(Operation::Canary, 15);
    holds_for(Operation::Share, 6);
    holds_for(Operation::Promote, 10);
    holds_for(Operation::Abandon, 6);
}

#[test]
fn every_step_of_a_back_out_may_be_repeated_and_may_fail() {
    holds_for(Operation::BackOut, 6);
}

#[test]
fn every_step_of_a_move_may_be_repeated_and_may_fail() {
    holds_for(Operation::Move, 15);
}

#[test]
fn every_undo_may_be_repeated_and_may_fail() {
    for operation in [Operation::UndoPlacing, Operation::UndoBuilding] {
        holds_for(operation, 6);
    }
    for operation in [Operation::UndoStarting, Operation::UndoRouting] {
        holds_for(operation, 20);
    }
}
