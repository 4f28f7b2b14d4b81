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

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        let mut cause = failure.message.clone();
        let mut behind = failure.source();
        // The clause begins with what the first cause says itself.
        while let Some(source) = behind {
            let said = source.to_string();
            if !cause.contains(&said) {
                cause.push_str(&format!(": {said}"));
            }
            behind = source.source();
        }
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
