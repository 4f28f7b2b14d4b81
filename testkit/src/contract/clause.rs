//! [`Clause`]: one sentence of a contract, by name, so that a test can go through them one by one.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;

/// One sentence of a contract and how it is tried in a world `W`.
pub struct Clause<W: ?Sized + 'static> {
    /// Which function of the suite it is.
    pub name: &'static str,
    pub(super) check: for<'a> fn(&'a W) -> LocalBoxFuture<'a, ()>,
}

/// A clause that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub clause: &'static str,
    /// What the suite had to say.
    pub how: String,
}

impl<W: ?Sized> Clause<W> {
    /// Tries the clause; whatever panics in it breaks it.
    pub async fn holds(&self, world: &W) -> Result<(), Broken> {
        let outcome = AssertUnwindSafe((self.check)(world)).catch_unwind().await;
        outcome.map_err(|panic| Broken { clause: self.name, how: said(panic.as_ref()) })
    }
}

impl<W: ?Sized> fmt::Debug for Clause<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} does not hold: {}", self.clause, self.how)
    }
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// Fails at the first clause that does not hold.
pub(super) async fn all_hold<W: ?Sized>(clauses: &[Clause<W>], world: &W) {
    for clause in clauses {
        if let Err(broken) = clause.holds(world).await {
            panic!("{broken}");
        }
    }
}

/// A list of clauses, each the function of a module of the suite.
macro_rules! clauses {
    ($($module:ident::$name:ident),* $(,)?) => {
        &[$($crate::contract::Clause {
            name: concat!(stringify!($module), "::", stringify!($name)),
            check: |world| Box::pin($module::$name(world)),
        }),*]
    };
}

pub(super) use clauses;
