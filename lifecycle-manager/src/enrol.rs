//! [`RolloutEnrolment`]: machines become nodes by `rollout`'s steps, as the bootstrapper's do.

use std::path::PathBuf;

use async_trait::async_trait;
use common::failure::{Failure, FailureCode};
use common::name::NodeName;
use rollout::machine::{Goal, NoJournal, Ports, ensure};
use rollout::platform::Platform;

use crate::ports::{Enrolled, Enrolment, NotEnrolled};

/// Enrolment over SSH and backends.
#[derive(Debug, Clone)]
pub struct RolloutEnrolment {
    pub ports: Ports,
    /// Where the platform's own private key is.
    pub key: PathBuf,
}

#[async_trait]
impl Enrolment for RolloutEnrolment {
    /// What is found on the way is found again after a crash: nothing of it has to be written down before the end.
    async fn enrol(&self, platform: &Platform, name: &NodeName) -> Result<Enrolled, NotEnrolled> {
        let goal = Goal::of(platform, name, self.key.clone(), None).map_err(|err| told(&err))?;
        let machine = ensure(&self.ports, &goal, &NoJournal).await.map_err(|err| told(&err))?;
        let nowhere = || {
            let message = "it is not known where other machines reach it";
            NotEnrolled::Failed(Failure::new(FailureCode::NodeUnavailable, message))
        };
        let address = machine.reached_at().ok_or_else(nowhere)?;
        Ok(Enrolled { address, gate: machine.gate, host_key: machine.host_key })
    }
}

fn told(failure: &rollout::Failure) -> NotEnrolled {
    if failure.is_quarantine() {
        NotEnrolled::HostKeyChanged(failure.told())
    } else {
        NotEnrolled::Failed(failure.told())
    }
}
