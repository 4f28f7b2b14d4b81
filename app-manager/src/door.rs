//! [`Door`]: the app manager's commands for a caller of the same process, without a network between.
//! The same commands as behind `/api/v1`; it only says of an error whether asking again may help.

use std::error::Error as StdError;
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use common::digest::{Digest, ImageRef};
use common::id::{ReleaseNumber, RequestId};
use common::name::{AppName, InstanceName, LegacyName, UserName};
use common::record::course::Share;
use common::record::operation::Outcome;
use jiff::civil::DateTime;

use crate::commands::deploy::{self, Name, Wish};
use crate::commands::release::{Expected, Upload};
use crate::commands::schedule::{self, Message13, Wanted};
use crate::commands::{Error, canary, release, rollback, scale, stop};
use crate::context::Context;
use crate::domain::access::{Person, Role};
use crate::domain::schedule::{Lateness, Schedule, When};
use crate::domain::settings::Settings;
use crate::records::requests;

/// Why nothing was recorded.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Not now: the same request may be made again, under the same id.
    #[error("not now")]
    NotNow(#[source] Box<dyn StdError + Send + Sync>),
    /// Never, as things are.
    #[error("{0}")]
    Never(String),
}

/// The commands, in the name of an admin.
#[derive(Debug, Clone)]
pub struct Door {
    context: Arc<Context>,
    person: Person,
}

impl Door {
    pub(crate) fn new(context: Arc<Context>, admin: UserName) -> Self {
        Door { context, person: Person { name: admin, role: Role::Admin } }
    }

    /// Makes a release of an image that exists; the same image again is the same release.
    pub async fn release(&self, app: &AppName, image: ImageRef) -> Result<ReleaseNumber, Refused> {
        let settings = Settings::new(&self.context.config.bounds);
        let made = release::from_image(&self.context, &self.person, app, image, settings).await;
        made.map(|made| made.release.release.number).map_err(refused)
    }

    /// Makes a release of a zip, as if it had been uploaded; the same zip again is the same release.
    pub async fn release_bundle(
        &self,
        app: &AppName,
        zip: &Bytes,
    ) -> Result<ReleaseNumber, Refused> {
        let made = release::from_bundle(
            &self.context,
            &self.person,
            app,
            self.staged(zip).map_err(refused)?,
            Expected::Anything,
        );
        made.await.map(|made| made.release.release.number).map_err(refused)
    }

    fn staged(&self, zip: &Bytes) -> Result<Upload, Error> {
        let places = Arc::clone(&self.context.uploading);
        let turn = places.try_acquire_owned().map_err(|_| Error::Busy)?;
        let (staged, mut file) = self.context.staging.file().map_err(Error::File)?;
        file.write_all(zip).map_err(Error::File)?;
        Ok(Upload { staged, digest: Digest::of(zip), turn })
    }

    /// Asks for an app's newest release to run; as an instance of the app's own name if none is given.
    pub async fn deploy(
        &self,
        app: AppName,
        instance: Option<InstanceName>,
        replicas: Option<u32>,
        id: RequestId,
    ) -> Result<LegacyName, Refused> {
        let instance = instance.map_or(Name::Usual, Name::Given);
        let wish = Wish { app, instance, release: None, replicas, canary: None, app_json: None };
        let accepted = deploy::deploy(&self.context, &self.person, wish, id).await;
        accepted.map(|accepted| accepted.instance).map_err(refused)
    }

    /// Asks for an app's newest release to get a share of the requests of the instance of the app's own name, beside what
    /// is served.
    pub async fn canary(&self, app: AppName, share: Share, id: RequestId) -> Result<(), Refused> {
        let (instance, canary) = (Name::Usual, Some(share));
        let wish = Wish { app, instance, release: None, replicas: None, canary, app_json: None };
        let accepted = deploy::deploy(&self.context, &self.person, wish, id).await;
        accepted.map(drop).map_err(refused)
    }

    /// Asks for an instance's canary to get all requests.
    pub async fn promote(&self, instance: &LegacyName, id: RequestId) -> Result<(), Refused> {
        let accepted = canary::promote(&self.context, &self.person, instance, id).await;
        accepted.map(drop).map_err(refused)
    }

    /// Asks for an app's newest release to run from the first to the second of these times, in UTC, as an instance of
    /// the app's own name if none is given.
    pub async fn schedule(
        &self,
        app: AppName,
        instance: Option<InstanceName>,
        (start, end): (DateTime, DateTime),
        id: RequestId,
    ) -> Result<LegacyName, Refused> {
        let wanted = Wanted {
            app,
            instance: instance.map_or(Name::Usual, Name::Given),
            schedule: Schedule {
                zone: "UTC".to_owned(),
                when: When::Once { start, end: Some(end) },
            },
            said: format!("{start} {end}"),
            lateness: Lateness::MadeGood,
            release: None,
            replicas: None,
            app_json: None,
            expected: schedule::Expected::Anything,
            message_13: Message13::Unsaid,
        };
        let accepted = schedule::schedule(&self.context, &self.person, wanted, id).await;
        accepted.map(|accepted| accepted.instance).map_err(refused)
    }

    /// Asks for another number of replicas.
    pub async fn scale(
        &self,
        instance: &LegacyName,
        replicas: u32,
        id: RequestId,
    ) -> Result<(), Refused> {
        let accepted = scale::scale(&self.context, &self.person, instance, replicas, id).await;
        accepted.map(drop).map_err(refused)
    }

    /// Asks for a release that was in service before; the last good one if none is named.
    pub async fn rollback(
        &self,
        instance: &LegacyName,
        named: Option<ReleaseNumber>,
        id: RequestId,
    ) -> Result<(), Refused> {
        let accepted = rollback::rollback(&self.context, &self.person, instance, named, id).await;
        accepted.map(drop).map_err(refused)
    }

    /// Asks for nothing to be left of an instance.
    pub async fn stop(&self, instance: &LegacyName, id: RequestId) -> Result<(), Refused> {
        stop::stop(&self.context, &self.person, instance, id).await.map(drop).map_err(refused)
    }

    /// How a request ended, if it has.
    pub async fn outcome(&self, id: RequestId) -> Result<Option<Outcome>, Refused> {
        let store = self.context.ports.store.as_ref();
        let asked = requests::load(store, id).await.map_err(|err| refused(err.into()))?;
        let asked = asked.ok_or_else(|| refused(Error::RequestUnknown))?.record;
        let operation = requests::operation(store, id, asked.kind).await;
        Ok(operation.map_err(|err| refused(err.into()))?.and_then(|operation| operation.outcome))
    }
}

fn refused(err: Error) -> Refused {
    let passes = match &err {
        Error::Records(err) => err.is_retryable(),
        Error::Blobs(err) => err.is_retryable(),
        Error::Busy | Error::TooMuchOwed | Error::Bus(_) | Error::Blocking(_) | Error::File(_) => {
            true
        }
        Error::AppUnknown
        | Error::ReleaseUnknown
        | Error::InstanceUnknown
        | Error::RequestUnknown
        | Error::TopicUnknown
        | Error::NameTaken
        | Error::NameUnfit
        | Error::VersionExists { .. }
        | Error::NotDeployed
        | Error::ReleaseNotKept
        | Error::NothingToRollBackTo
        | Error::NoCanary
        | Error::Canary(_)
        | Error::ScheduleUnknown
        | Error::ScheduleChanged
        | Error::Schedule(_)
        | Error::ImageNotAllowed(_)
        | Error::IdempotencyMismatch
        | Error::WrongCredentials
        | Error::TooManyAttempts(_)
        | Error::PasswordUnfit
        | Error::TokenWrong
        | Error::Setting { .. }
        | Error::ReplicasOutOfBounds(_)
        | Error::Bundle(_)
        | Error::DigestMismatch
        | Error::Password(_)
        | Error::Token(_) => false,
    };
    if passes { Refused::NotNow(err.into()) } else { Refused::Never(err.to_string()) }
}
