//! Many seeds, and those that found a bug once.
#![expect(clippy::print_stdout, reason = "what was visited is shown where it is asked for")]

use std::time::Duration;

use sim::many::{THREADS, run_all};
use sim::{Plan, run};

const SEEDS: u64 = 1000;

#[test]
fn a_thousand_seeds_break_no_invariant() {
    let began = tokio::time::Instant::now();
    let sum = run_all(0..SEEDS, Plan::storm, |_| false);
    let cores = u32::try_from(THREADS).unwrap();
    let each: Duration = began.elapsed() * cores / u32::try_from(SEEDS).unwrap();
    println!("{}\na seed takes {each:?} of a core", sum.coverage);
    let failed: Vec<String> = sum
        .failed
        .iter()
        .map(|report| format!("make sim SEED={}: {:?}", report.seed, report.violations))
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(sum.runs, SEEDS);
    assert!(sum.coverage.effective_percent() >= 60, "{}", sum.coverage);
    assert_eq!(sum.coverage.unvisited_edges().len(), 0, "{}", sum.coverage);
}

#[test]
fn a_storm_is_as_large_as_it_should_be() {
    for seed in 0..10 {
        let report = run(&Plan { story: true, ..Plan::storm(seed) });
        assert!(report.commands >= 100, "{}", report.commands);
        let blows =
            report.story.iter().filter(|line| line.contains(" -- ") && line.contains(") for "));
        assert!(blows.count() >= 3, "seed {seed}");
    }
}

#[test]
fn seeds_that_found_a_bug_find_none_any_more() {
    for line in include_str!("../../seeds.txt").lines().filter(|line| !line.starts_with('#')) {
        let (seed, reason) = line.split_once(' ').unwrap();
        let report = run(&Plan::storm(seed.parse().unwrap()));
        assert_eq!(report.violations, [], "seed {seed}: {reason}");
    }
}
