//! [`Trouble`]: what went wrong, where, why, and what to do about it.

use std::error::Error;
use std::fmt;

use common::name::NodeName;
use rollout::Failure;
use serde::Serialize;

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// None for this computer.
    pub machine: Option<NodeName>,
    pub step: String,
    /// Each has a page in `docs/errors/`.
    pub code: &'static str,
    /// One clause, with all that is behind it.
    pub cause: String,
    pub hint: String,
}

impl Trouble {
    pub(crate) fn here(step: &str, code: &'static str, cause: String, hint: &str) -> Self {
        let (step, hint) = (step.to_owned(), hint.to_owned());
        Trouble { machine: None, step, code, cause, hint }
    }

    #[must_use]
    pub(crate) fn on(self, machine: &NodeName) -> Self {
        Trouble { machine: Some(machine.clone()), ..self }
    }
}

/// An error and all that is behind it, as one clause.
pub(crate) fn whole(err: &dyn Error) -> String {
    with_sources(err.to_string(), err.source())
}

fn with_sources(said: String, behind: Option<&dyn Error>) -> String {
    let (mut cause, mut behind) = (said, behind);
    while let Some(source) = behind {
        let said = source.to_string();
        if !cause.contains(&said) {
            cause.push_str(&format!(": {said}"));
        }
        behind = source.source();
    }
    cause
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        // The clause begins with what the first cause says itself.
        let cause = with_sources(failure.message.clone(), failure.source());
        Trouble {
            machine: Some(failure.machine),
            step: failure.step,
            code: failure.code.as_str(),
            cause,
            hint: failure.hint,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Trouble { machine, step, code, cause, hint } = self;
        if let Some(machine) = machine {
            write!(f, "{machine}: ")?;
        }
        write!(f, "{code}: {step}: {cause}; {hint}")
    }
}
