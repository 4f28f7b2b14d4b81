//! Broken stores: a store in memory, and one flaw before it. And one that does all that it may.

mod children;
mod flaw;
mod limits;
mod permitted;
mod records;
mod sequences;
mod sessions;
mod transactions;
mod watches;

use testkit::contract::store::{CLAUSES, World};

use super::{Planted, first_broken, missed, none, untried};
use flaw::{Clients, Flaw};

fn planted<F: Flaw>(
    clause: &'static str,
    saying: &'static str,
    flaw: fn() -> F,
) -> Planted<dyn World> {
    let world = move || Box::new(Clients::with(flaw())) as Box<dyn World>;
    Planted { flaw: format!("{:?}", flaw()), clause, saying, world: Box::new(world) }
}

fn all() -> Vec<Planted<dyn World>> {
    let planted = [
        records::planted(),
        children::planted(),
        sequences::planted(),
        transactions::planted(),
        limits::planted(),
        sessions::planted(),
        watches::planted(),
    ];
    planted.into_iter().flatten().collect()
}

#[tokio::test(start_paused = true)]
async fn every_flaw_of_a_store_is_found_by_its_clause() {
    none(&missed(CLAUSES, &all()).await);
}

#[test]
fn every_clause_about_a_store_has_a_flaw_that_it_finds() {
    none(&untried(CLAUSES, &all()));
}

#[tokio::test(start_paused = true)]
async fn what_the_contract_permits_breaks_no_clause() {
    let world = || Box::new(Clients::with(permitted::Everything)) as Box<dyn World>;
    assert_eq!(first_broken(CLAUSES, &world).await, None);
}
