//! I1: what was accepted is remembered, and ends once.

use common::id::RequestId;
use common::record::operation::Operation;
use common::record::path;
use common::service::ServiceName;
use testkit::store::Committed;

use super::wishes::is_success;
use super::{Checker, Invariant, decoded};
use crate::world::Truth;

/// The kinds of operations that end; the others only say that a message was heard.
const ENDING: [(ServiceName, &str); 15] = [
    (ServiceName::AppManager, "deploy"),
    (ServiceName::AppManager, "stop"),
    (ServiceName::AppManager, "scale"),
    (ServiceName::AppManager, "schedule"),
    (ServiceName::AppManager, "promote"),
    (ServiceName::AppManager, "rollback"),
    (ServiceName::DeploymentManager, "deploy-app"),
    (ServiceName::DeploymentManager, "stop-app"),
    (ServiceName::NodeManager, "give-best-node"),
    (ServiceName::LoadBalancer, "scale-app"),
    (ServiceName::PlatformInitializer, "start-platform"),
    (ServiceName::PlatformInitializer, "stop-platform"),
    (ServiceName::LifecycleManager, "restart-service"),
    (ServiceName::LifecycleManager, "restart-node"),
    (ServiceName::LifecycleManager, "restart-app"),
];

/// Whether an operation of this name has an outcome some time.
fn ends(name: &str) -> bool {
    ENDING.iter().any(|(service, kind)| name.ends_with(&format!(".{service}.{kind}")))
}

impl Checker {
    pub(super) fn check_operation(&mut self, committed: &Committed, now: u64) {
        let path = &committed.path;
        let before: Option<Operation> = decoded(committed.before.as_ref());
        let after: Option<Operation> = decoded(committed.after.as_ref());
        if after.as_ref().is_some_and(|after| after.outcome.is_none()) && ends(path.name()) {
            self.open.insert(path.clone());
        } else {
            self.open.remove(path);
        }
        match (before, after) {
            (Some(_), None) => {
                self.violate(Invariant::I1NoLostCommand, format!("{path} was forgotten"));
            }
            (Some(before), Some(after)) => {
                let is_of_a_user = path.name().contains(".app-manager.");
                if before.outcome.is_none() && is_success(&after) && is_of_a_user {
                    self.note_done(path.name(), now);
                }
                if before.outcome.is_some() && before.outcome != after.outcome {
                    self.violate(Invariant::I1NoLostCommand, format!("{path} ended twice"));
                }
                if before.fingerprint != after.fingerprint {
                    self.violate(Invariant::I1NoLostCommand, format!("{path} became another"));
                }
            }
            (None, Some(_)) => self.note_accepted(path.name(), now),
            (None, None) => {}
        }
    }

    /// A user was told that a request is accepted: it must be on record by now.
    pub(crate) fn check_accepted(&mut self, truth: &Truth, request: RequestId, kind: &str) {
        let path = path::operation(request, ServiceName::AppManager, kind);
        if truth.store.records(&path).is_empty() {
            let what = format!("the {kind} {request} was answered and is not on record");
            self.violate(Invariant::I1NoLostCommand, what);
        }
    }
}
