//! The tester is tested: within some seeds each planted bug is found by an invariant that it breaks.

use std::sync::Mutex;

use crate::blast::blast_radius;
use crate::checker::{Invariant, Violation};
use crate::many::{Sum, run_all};
use crate::plant::Plant;
use crate::run::{Plan, run};
use crate::takeover::take_over;

/// A planted bug that was found, and by what.
#[derive(Debug, Clone)]
pub struct Found {
    pub seed: u64,
    pub violation: Violation,
}

/// The run of a seed that may meet it.
pub fn planted(plant: Plant, seed: u64) -> Plan {
    let plan = if plant.is_of_a_fleet() { Plan::fleet(seed) } else { Plan::storm(seed) };
    Plan { plant: Some(plant), ..plan }
}

/// The seed that is written down for it.
pub fn known(plant: Plant) -> Option<u64> {
    let lines = include_str!("../plants.txt").lines().filter(|line| !line.starts_with('#'));
    let mut found = lines.filter_map(|line| line.split_once(' '));
    let (_, seed) = found.find(|(name, _)| *name == plant.to_string())?;
    seed.parse().ok()
}

/// What a seed finds of a planted bug.
pub fn with_seed(plant: Plant, seed: u64) -> Option<Found> {
    let violations = if plant == Plant::StandbysSleep {
        take_over(seed, Some(plant))
    } else if plant.breaks() == [Invariant::I11BlastRadius] {
        blast_radius(seed, Some(plant))
    } else {
        run(&planted(plant, seed)).violations
    };
    let violation = violations.into_iter().find(|one| plant.is_found_by(one))?;
    Some(Found { seed, violation })
}

/// Whether it is looked for in storms; else a law of its own finds it.
fn is_found_by_storms(plant: Plant) -> bool {
    plant != Plant::StandbysSleep && plant.breaks() != [Invariant::I11BlastRadius]
}

/// What the first seeds find of it, one of them at least.
pub fn within(plant: Plant, seeds: u64) -> Option<Found> {
    let found = Mutex::new(None);
    let plan = |seed| planted(plant, seed);
    if !is_found_by_storms(plant) {
        return (0..seeds).find_map(|seed| with_seed(plant, seed));
    }
    let enough = |sum: &Sum| {
        let mut reports = sum.failed.iter();
        let named = reports.find_map(|report| {
            let violation = report.violations.iter().find(|one| plant.is_found_by(one))?;
            Some(Found { seed: report.seed, violation: violation.clone() })
        });
        let is_found = named.is_some();
        if let Some(named) = named {
            found.lock().expect("no run panics").get_or_insert(named);
        }
        is_found
    };
    run_all(0..seeds, plan, enough);
    found.into_inner().expect("no run panics")
}
