//! What there is once for the platform: the alarms, machines that were asked for, the registry,
//! certificates.

mod alarm;
mod filling;
mod giving_back;
mod papers;
mod provision;
mod registry;
mod settled;

use async_trait::async_trait;
use chassis::reconcile::{Outcome, Reconcile};

use super::SOON;
use crate::records::{Error, Subject};
use crate::shared::{Duty, Shared};

/// Their reconciler.
#[derive(Debug)]
pub(crate) struct Duties<'a>(pub(crate) &'a Shared);

#[async_trait]
impl Reconcile for Duties<'_> {
    type Key = Duty;
    type Error = Error;

    async fn keys(&self) -> Result<Vec<Duty>, Error> {
        let alarms = Subject::ALL.into_iter().map(Duty::Alarm);
        Ok(alarms.chain([Duty::Settled, Duty::Provision, Duty::Registry, Duty::Papers]).collect())
    }

    async fn reconcile(&self, duty: &Duty) -> Result<Outcome, Error> {
        match duty {
            Duty::Alarm(subject) => self.alarm(*subject).await,
            Duty::Settled | Duty::Provision | Duty::Registry | Duty::Papers
                if !self.0.is_settled() =>
            {
                Ok(Outcome::Again(SOON))
            }
            Duty::Settled => self.say_settled().await,
            Duty::Provision => self.provision().await,
            Duty::Registry => self.registry().await,
            Duty::Papers => self.papers().await,
        }
    }
}
