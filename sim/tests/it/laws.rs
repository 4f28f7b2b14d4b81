//! The three laws, of every operation of several steps.

use sim::plant::Plant;
use sim::{
    Errand, Fault, Lawful, Operation, Plan, Report, end_at_every_step, fail_every_step,
    repeat_every_step, run,
};

fn assert_kept(operation: Lawful, reports: &[Report], least: usize) {
    assert!(reports.len() >= least, "{operation:?} has only {} steps", reports.len());
    for report in reports {
        assert_eq!(report.violations, [], "{operation:?} at call {}", report.seed);
    }
}

/// Each step repeated (and so each undo), each step failed.
fn holds_for(operation: impl Into<Lawful>, least: usize) {
    let operation = operation.into();
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

#[test]
fn every_step_of_a_window_of_a_schedule_may_be_repeated_and_may_fail() {
    let of = Operation::Schedule;
    for reports in [repeat_every_step(of), fail_every_step(of)] {
        assert_kept(of.into(), &reports, 30);
        assert!(reports.iter().all(|report| report.windows == 1), "a window did not begin once");
    }
}

/// The same, and whoever makes it ends around it.
fn holds_in_a_fleet(errand: Errand, least: usize) {
    holds_for(errand, least);
    assert_kept(errand.into(), &end_at_every_step(errand), 2 * least);
}

#[test]
fn every_step_of_a_start_and_a_stop_of_the_platform_may_be_repeated_and_may_fail_and_its_caller_may_end()
 {
    holds_in_a_fleet(Errand::StartPlatform, 20);
    holds_in_a_fleet(Errand::StopPlatform, 20);
}

#[test]
fn every_step_of_a_restart_may_be_repeated_and_may_fail_and_its_caller_may_end() {
    holds_in_a_fleet(Errand::RestartService, 10);
    holds_in_a_fleet(Errand::RestartMachine, 10);
}

#[test]
fn every_step_of_a_change_of_a_service_may_be_repeated_and_may_fail_and_its_caller_may_end() {
    holds_in_a_fleet(Errand::MoveService, 10);
    holds_in_a_fleet(Errand::UpgradeService, 10);
}

#[test]
fn a_planted_bug_breaks_the_laws_of_a_fleet() {
    let planted = [
        (Errand::StopPlatform, Plant::PartsRemoveNothing),
        (Errand::MoveService, Plant::PartsRemoveNothing),
        (Errand::RestartService, Plant::PartsHideRestarts),
    ];
    for (errand, plant) in planted {
        let is_seen = (0..22).any(|at| {
            let plan = Lawful::from(errand).plan(at, Fault::AnswerLost);
            let report = run(&Plan { plant: Some(plant), ..plan });
            report.violations.iter().any(|one| plant.is_found_by(one))
        });
        assert!(is_seen, "{errand:?} with {plant}");
    }
}
