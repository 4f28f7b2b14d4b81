//! A command's refusal as messages tell it: a code of the closed list and a sentence.

use common::failure::{Failure, FailureCode};

use super::Error;
use crate::domain::schedule;

/// Why a request over the bus can never be done; none if asking again later may help.
pub(super) fn failure(err: &Error) -> Option<Failure> {
    let code = match err {
        Error::AppUnknown => FailureCode::AppUnknown,
        Error::ReleaseUnknown => FailureCode::ReleaseUnknown,
        Error::InstanceUnknown | Error::NameTaken | Error::NameUnfit => {
            FailureCode::UnknownInstance
        }
        Error::NoCanary => FailureCode::NoCanary,
        Error::ReplicasOutOfBounds(_) => FailureCode::ReplicasOutOfBounds,
        Error::Schedule(schedule::Error::EndBeforeStart { .. }) => {
            FailureCode::ScheduleEndBeforeStart
        }
        Error::Schedule(schedule::Error::InPast(_)) => FailureCode::ScheduleInPast,
        Error::Schedule(
            schedule::Error::ZoneUnknown(_)
            | schedule::Error::CronInvalid(_)
            | schedule::Error::NeverFires(_)
            | schedule::Error::TooOften { .. }
            | schedule::Error::Overlaps { .. },
        )
        | Error::RequestUnknown
        | Error::TopicUnknown
        | Error::ScheduleUnknown
        | Error::ScheduleChanged
        | Error::VersionExists { .. }
        | Error::NotDeployed
        | Error::ReleaseNotKept
        | Error::NothingToRollBackTo
        | Error::Canary(_)
        | Error::ImageNotAllowed(_)
        | Error::IdempotencyMismatch
        | Error::WrongCredentials
        | Error::TooManyAttempts(_)
        | Error::PasswordUnfit
        | Error::TokenWrong
        | Error::Setting { .. }
        | Error::Bundle(_)
        | Error::DigestMismatch => FailureCode::Internal,
        Error::Busy
        | Error::TooMuchOwed
        | Error::Records(_)
        | Error::Blobs(_)
        | Error::Bus(_)
        | Error::File(_)
        | Error::Password(_)
        | Error::Token(_)
        | Error::Blocking(_) => return None,
    };
    Some(Failure::new(code, err.to_string()))
}
