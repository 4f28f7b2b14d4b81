//! The same seed is the same run.

use sim::many::run_all;
use sim::{Plan, run};

#[test]
fn a_hundred_of_a_hundred_seeds_replay_to_the_same_hash() {
    let seeds = 5000..5100;
    let first: Vec<u64> = seeds.clone().map(|seed| run(&Plan::storm(seed)).hash).collect();
    let again: Vec<u64> = seeds.map(|seed| run(&Plan::storm(seed)).hash).collect();
    assert_eq!(first, again);
}

#[test]
fn telling_the_story_changes_nothing() {
    let told = run(&Plan { story: true, ..Plan::storm(5) });
    assert_eq!(told.hash, run(&Plan::storm(5)).hash);
    assert!(told.story.len() > 1000);
}

#[test]
fn seeds_differ() {
    let sum = run_all(0..20, Plan::storm, |_| false);
    let calls: Vec<u64> = (0..3).map(|seed| run(&Plan::storm(seed)).hash).collect();
    assert_eq!(sum.runs, 20);
    assert!(calls[0] != calls[1] && calls[1] != calls[2]);
}
