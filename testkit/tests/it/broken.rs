//! The suites of the two contracts, tried on fakes that are broken on purpose: for every clause at
//! least one fake that breaks it, and that the suite finds at that clause and says why.

mod bus;
mod hosts;
mod machines;
mod quiet;
mod shares;
mod store;

use std::collections::BTreeSet;

use testkit::contract::{Broken, Clause};

/// One way to break a contract, and where the suite must notice it.
struct Planted<W: ?Sized + 'static> {
    flaw: String,
    clause: &'static str,
    /// Part of what the suite says then.
    saying: &'static str,
    /// Another world with this flaw.
    world: Box<dyn Fn() -> Box<W>>,
}

/// The first clause that does not hold; each gets a world of its own.
async fn first_broken<W: ?Sized>(
    clauses: &[Clause<W>],
    world: &dyn Fn() -> Box<W>,
) -> Option<Broken> {
    let _quiet = quiet::panics();
    for clause in clauses {
        if let Err(broken) = clause.holds(world().as_ref()).await {
            return Some(broken);
        }
    }
    None
}

/// The flaws at whose clause the suite does not stop, or for another reason.
async fn missed<W: ?Sized>(clauses: &[Clause<W>], planted: &[Planted<W>]) -> Vec<String> {
    let mut missed = Vec::new();
    for Planted { flaw, clause, saying, world } in planted {
        match first_broken(clauses, world).await {
            Some(broken) if broken.clause == *clause && broken.how.contains(saying) => {}
            found => missed.push(format!("{flaw} should break {clause} ({saying}): {found:?}")),
        }
    }
    missed
}

/// The clauses that no flaw breaks, and what flaws call clauses that are none.
fn untried<W: ?Sized>(clauses: &[Clause<W>], planted: &[Planted<W>]) -> Vec<&'static str> {
    let clauses: BTreeSet<&str> = clauses.iter().map(|clause| clause.name).collect();
    let broken: BTreeSet<&str> = planted.iter().map(|planted| planted.clause).collect();
    clauses.symmetric_difference(&broken).copied().collect()
}

/// Fails with every offence, one a line.
fn none<T: AsRef<str>>(offences: &[T]) {
    let shown: Vec<&str> = offences.iter().map(AsRef::as_ref).collect();
    assert!(offences.is_empty(), "{} offences:\n  {}", offences.len(), shown.join("\n  "));
}
