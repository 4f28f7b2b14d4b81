//! Why the agent does not do what was asked.

use common::failure::{Failure, FailureCode};
use common::name::PartName;
use common::port::containers;

use crate::ledger::{self, Conflict};
use crate::parts::CodeError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the specification is not taken: {field}: {rule}")]
    Specification { field: &'static str, rule: &'static str },
    #[error(transparent)]
    Conflict(Conflict),
    #[error("the ledger failed")]
    Ledger(#[source] std::io::Error),
    /// The container was not started.
    #[error(transparent)]
    Start(containers::Error),
    /// The image was not built or not pushed.
    #[error(transparent)]
    Build(containers::Error),
    #[error(transparent)]
    Engine(containers::Error),
    /// The image of a part was not built of its code.
    #[error(transparent)]
    Code(CodeError),
    /// Nobody ever said that it should run.
    #[error("there is no part {0}")]
    UnknownPart(PartName),
}

impl From<ledger::Error> for Error {
    fn from(err: ledger::Error) -> Self {
        match err {
            ledger::Error::Conflict(conflict) => Error::Conflict(conflict),
            ledger::Error::Write(source) => Error::Ledger(source),
        }
    }
}

impl Error {
    /// Whether the engine may have done what was asked, although it did not say so.
    pub(crate) fn is_unclear(&self) -> bool {
        matches!(
            self,
            Error::Engine(containers::Error::Unavailable(_))
                | Error::Code(CodeError::Engine(containers::Error::Unavailable(_)))
        )
    }

    /// The same as a failure of the closed list. What the engine refuses says something about the app.
    pub(crate) fn to_failure(&self) -> Failure {
        match self {
            Error::Specification { .. } => Failure::new(FailureCode::Internal, self.to_string()),
            Error::Conflict(conflict) => Failure::new(code_of(conflict), conflict.to_string()),
            Error::Ledger(source) if source.kind() == std::io::ErrorKind::StorageFull => {
                Failure::new(FailureCode::InsufficientStorage, self.to_string())
            }
            Error::Ledger(_) => Failure::new(FailureCode::NodeUnavailable, self.to_string()),
            Error::Start(err) => about_the_app(err, FailureCode::AppExited),
            Error::Build(err) => about_the_app(err, FailureCode::BuildFailed),
            Error::Engine(err) => err.to_failure(),
            Error::Code(err) => err.to_failure(),
            Error::UnknownPart(_) => Failure::new(FailureCode::UnknownInstance, self.to_string()),
        }
    }
}

fn code_of(conflict: &Conflict) -> FailureCode {
    match conflict {
        Conflict::NewerGeneration { .. } => FailureCode::Superseded,
        Conflict::PortHeld { .. } => FailureCode::PortTaken,
        Conflict::StaleEpoch { .. } | Conflict::OtherContent => FailureCode::Internal,
    }
}

fn about_the_app(err: &containers::Error, code: FailureCode) -> Failure {
    let failure = err.to_failure();
    if matches!(err, containers::Error::Refused(_)) { Failure { code, ..failure } } else { failure }
}
