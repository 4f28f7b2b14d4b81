//! The tester is tested: each planted bug is found, within a thousand seeds, by one of the invariants that
//! it breaks. That a run did not settle says nothing.
#![expect(clippy::print_stdout, reason = "whose known seed is old is shown where it is asked for")]

use std::collections::BTreeSet;

use sim::checker::Invariant;
use sim::plant::Plant;
use sim::proof::{Found, known, with_seed, within};

const WITHIN: u64 = 1000;

fn found(plant: Plant) -> Option<Found> {
    let first = known(plant).and_then(|seed| with_seed(plant, seed));
    first.or_else(|| {
        println!("the known seed of {plant} misses it: `sim plants` finds another");
        within(plant, WITHIN)
    })
}

#[test]
fn every_planted_bug_is_found_within_a_thousand_seeds_by_an_invariant_that_it_breaks() {
    assert!(Plant::ALL.len() >= 25);
    let found: Vec<(Plant, Option<Found>)> =
        Plant::ALL.iter().map(|plant| (*plant, found(*plant))).collect();
    let missed: Vec<Plant> =
        found.iter().filter(|(_, found)| found.is_none()).map(|(plant, _)| *plant).collect();
    assert!(missed.is_empty(), "{missed:?}");
    let fired: BTreeSet<Invariant> =
        found.iter().filter_map(|(_, found)| Some(found.as_ref()?.violation.invariant)).collect();
    for rare in [Invariant::I6KeepServing, Invariant::I11BlastRadius, Invariant::I12Bounded] {
        assert!(fired.contains(&rare), "no planted bug shows that {rare} is looked at");
    }
}

#[test]
fn only_the_late_successor_is_found_by_what_every_bug_breaks() {
    for plant in Plant::ALL.iter().filter(|plant| **plant != Plant::StandbysSleep) {
        assert!(!plant.breaks().contains(&Invariant::I7Converge), "{plant}");
    }
}

#[test]
fn the_known_seeds_are_within_the_thousand() {
    let seeds: Vec<Option<u64>> = Plant::ALL.iter().map(|plant| known(*plant)).collect();
    assert!(seeds.iter().flatten().all(|seed| *seed < WITHIN), "{seeds:?}");
}
