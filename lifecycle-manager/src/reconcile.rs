//! What makes it so: machines, the base on each, placed services, restarts, and what there is once for the platform.

pub(crate) mod bases;
mod duties;
pub(crate) mod machines;
mod members;
mod pinning;
mod restarts;
pub(crate) mod services;

use std::time::Duration;

use chassis::leading::Refused;
use common::failure::{Failure, FailureCode};
use common::name::NodeName;
use common::port::nodes;

use crate::records::Error;
use crate::shared::Shared;

pub(crate) use bases::Bases;
pub(crate) use duties::Duties;
pub(crate) use machines::Machines;
pub(crate) use restarts::Restarts;
pub(crate) use services::Services;

/// How soon something under way is looked at again.
const SOON: Duration = Duration::from_millis(500);
/// How soon what rests is looked at again by itself.
const LATER: Duration = Duration::from_secs(5);

/// What an agent's refusal means: an end of this leadership, or a failure to be kept.
pub(crate) async fn refusal(
    shared: &Shared,
    node: &NodeName,
    err: nodes::Error,
) -> Result<Failure, Error> {
    match err {
        nodes::Error::StaleEpoch { seen, .. } => match shared.refused(node, seen).await {
            Refused::Deposed => Err(Error::Deposed),
            Refused::Held => {
                let message = format!("node {node} was led from another store, at epoch {seen}");
                Ok(Failure::new(FailureCode::NodeUnavailable, message))
            }
        },
        nodes::Error::Unreachable { .. } => {
            let message = format!("node {node} cannot be reached");
            Ok(Failure::new(FailureCode::NodeUnavailable, message))
        }
        nodes::Error::Failed { failure, .. } => Ok(failure),
    }
}
