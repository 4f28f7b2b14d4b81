//! Broken buses: a bus in memory, and one flaw before it.

mod flaw;
mod positions;
mod reading;
mod records;
mod topics;

use testkit::contract::bus::{CLAUSES, World};

use super::{Planted, missed, none, untried};
use flaw::{Buses, Flaw};

fn planted<F: Flaw>(
    clause: &'static str,
    saying: &'static str,
    flaw: fn() -> F,
) -> Planted<dyn World> {
    let world = move || Box::new(Buses::with(flaw())) as Box<dyn World>;
    Planted { flaw: format!("{:?}", flaw()), clause, saying, world: Box::new(world) }
}

fn all() -> Vec<Planted<dyn World>> {
    [topics::planted(), positions::planted(), records::planted()].into_iter().flatten().collect()
}

/// A bus that does nothing otherwise.
#[derive(Debug)]
struct Sound;

impl Flaw for Sound {}

#[tokio::test(start_paused = true)]
async fn every_flaw_of_a_bus_is_found_by_its_clause() {
    none(&missed(CLAUSES, &all()).await);
}

#[test]
fn every_clause_about_a_bus_has_a_flaw_that_it_finds() {
    none(&untried(CLAUSES, &all()));
}

#[tokio::test(start_paused = true)]
async fn a_flaw_that_the_suite_does_not_find_is_told() {
    let sound = [planted("topics::have_one_partition", "", || Sound)];
    assert_eq!(
        missed(CLAUSES, &sound).await,
        ["Sound should break topics::have_one_partition (): None"]
    );
    let elsewhere = [planted("records::outlive_the_process", "", topics::NumbersPerKey::default)];
    assert_eq!(missed(CLAUSES, &elsewhere).await.len(), 1);
    let for_another_reason =
        [planted("topics::have_one_partition", "it happens", topics::NumbersPerKey::default)];
    assert_eq!(missed(CLAUSES, &for_another_reason).await.len(), 1);
}

#[test]
fn a_clause_without_a_flaw_and_a_flaw_without_a_clause_are_told() {
    assert_eq!(untried(CLAUSES, &[]).len(), CLAUSES.len());
    let mut all = all();
    all.retain(|planted| planted.clause != "topics::have_one_partition");
    all.push(planted("topics::are_round", "", || Sound));
    assert_eq!(untried(CLAUSES, &all), ["topics::are_round", "topics::have_one_partition"]);
}
