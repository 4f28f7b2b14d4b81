//! The tester is tested: each planted bug is found by an invariant, within a thousand seeds.

use sim::many::run_all;
use sim::plant::Plant;
use sim::{Plan, Report, run};

const WITHIN: u64 = 1000;

/// A seed that has found it before.
fn known(plant: Plant) -> Option<u64> {
    let lines = include_str!("../../plants.txt").lines().filter(|line| !line.starts_with('#'));
    let mut found = lines.filter_map(|line| line.split_once(' '));
    let (_, seed) = found.find(|(name, _)| *name == plant.to_string())?;
    seed.parse().ok()
}

fn found(plant: Plant) -> Option<Report> {
    let plan = |seed| Plan { plant: Some(plant), ..Plan::storm(seed) };
    let first = known(plant).map(|seed| run(&plan(seed)));
    let first = first.filter(|report| !report.violations.is_empty());
    first.or_else(|| run_all(0..WITHIN, plan, |sum| !sum.failed.is_empty()).failed.pop())
}

#[test]
fn every_planted_bug_is_found_by_an_invariant_within_a_thousand_seeds() {
    assert!(Plant::ALL.len() >= 25);
    let missed: Vec<&Plant> = Plant::ALL.iter().filter(|plant| found(**plant).is_none()).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn the_known_seeds_are_within_the_thousand() {
    let seeds: Vec<Option<u64>> = Plant::ALL.iter().map(|plant| known(*plant)).collect();
    assert!(seeds.iter().flatten().all(|seed| *seed < WITHIN), "{seeds:?}");
}
