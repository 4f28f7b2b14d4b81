//! What can be asked of the app manager, one file per request: check, record what is wanted, return.
//!
//! HTTP calls and messages are two doors to the same commands. None of them waits for another service;
//! what they owe the bus is in the record, and the publisher sends it.

pub(crate) mod canary;
pub(crate) mod deploy;
pub(crate) mod hear;
pub(crate) mod hear_schedule;
pub(crate) mod release;
pub(crate) mod rollback;
pub(crate) mod scale;
pub(crate) mod schedule;
pub(crate) mod send;
pub(crate) mod sign_in;
pub(crate) mod stop;
pub(crate) mod unschedule;
pub(crate) mod users;

mod accept;
mod changeable;
mod failing;
mod turn;

use std::io;
use std::time::Duration;

use chassis::{blocking, records};
use common::port::{blobs, bus, store};
use common::record::course::NoShare;

pub(crate) use self::accept::{Accepted, MOST_OWED, also_owed};
use crate::bundle;
use crate::domain::{schedule as schedules, settings};
use crate::people::{password, token};
use crate::records::IsChanged;

/// Why a command is refused, or could not be done now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("there is no such app")]
    AppUnknown,
    #[error("there is no such release")]
    ReleaseUnknown,
    #[error("the release was not in service here, or too many were since")]
    ReleaseNotKept,
    #[error("no older release was in service here that was not gone back from")]
    NothingToRollBackTo,
    #[error("the instance has no canary")]
    NoCanary,
    #[error("there is no such instance")]
    InstanceUnknown,
    #[error("there is no such request")]
    RequestUnknown,
    #[error("there is no such topic")]
    TopicUnknown,
    #[error("the name is taken")]
    NameTaken,
    #[error("an instance of an app is called like the app, or like it with _ and a UUID")]
    NameUnfit,
    #[error("the app has changed since: its newest release is {newest}")]
    VersionExists { newest: u32 },
    #[error("the instance is not deployed")]
    NotDeployed,
    #[error("the instance has no schedule")]
    ScheduleUnknown,
    #[error("the schedule has changed since")]
    ScheduleChanged,
    #[error(transparent)]
    Schedule(#[from] schedules::Error),
    #[error("the image is not allowed: {0}")]
    ImageNotAllowed(String),
    #[error("the id was used before for another request")]
    IdempotencyMismatch,
    #[error("the account or the password is wrong")]
    WrongCredentials,
    #[error("too many attempts")]
    TooManyAttempts(Duration),
    #[error("the password is too short or too long")]
    PasswordUnfit,
    #[error("the one-time token is wrong, or was used already")]
    TokenWrong,
    #[error("the field {field} is refused")]
    Setting {
        field: &'static str,
        #[source]
        source: settings::Error,
    },
    #[error(transparent)]
    Canary(#[from] NoShare),
    /// The app's own bounds, not the platform's.
    #[error(transparent)]
    ReplicasOutOfBounds(settings::Error),
    #[error(transparent)]
    Bundle(#[from] bundle::Error),
    #[error("the bytes that arrived are not the ones that were sent")]
    DigestMismatch,
    /// Too much is asked at once.
    #[error("the service is busy")]
    Busy,
    /// Too many messages of this instance wait for the bus.
    #[error("the bus has been away for too long")]
    TooMuchOwed,
    #[error(transparent)]
    Records(#[from] records::Error),
    #[error("the bundle cannot be stored")]
    Blobs(#[source] blobs::Error),
    #[error("the message was not sent")]
    Bus(#[source] bus::Error),
    #[error("a file of the service cannot be used")]
    File(#[source] io::Error),
    #[error(transparent)]
    Password(#[from] password::Error),
    #[error("a token cannot be made")]
    Token(#[source] token::Error),
    #[error("work beside the async threads has no result")]
    Blocking(#[from] blocking::Error),
}

impl IsChanged for Error {
    fn is_changed(&self) -> bool {
        matches!(self, Error::Records(records::Error::Changed))
    }
}

impl From<store::Error> for Error {
    fn from(err: store::Error) -> Self {
        Error::Records(err.into())
    }
}
