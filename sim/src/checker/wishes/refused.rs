//! Requests of which nothing could be made: what is there stays as an older one wanted it.

use common::record::deployment::Deployment;
use common::record::instance::Instance;
use common::record::operation::Outcome;
use common::record::path;
use common::service::ServiceName;

use super::operation;
use crate::checker::Checker;
use crate::world::Truth;

/// Whether the instance's request was refused after the deployment's was accepted, for the reason that is told.
pub(in crate::checker) fn was_refused(
    checker: &Checker,
    truth: &Truth,
    instance: &Instance,
    deployment: &Deployment,
) -> bool {
    let heard = &checker.wishes.heard;
    let order = heard.get(&deployment.request).zip(heard.get(&instance.request));
    let path = path::operation(instance.request, ServiceName::DeploymentManager, "deploy-app");
    let outcome = operation(truth, &path).and_then(|operation| operation.outcome);
    let Some(Outcome::Failed { failure, .. }) = outcome else { return false };
    let told = instance.failure.as_ref();
    let is_told =
        told.is_some_and(|told| (told.code, &told.message) == (failure.code, &failure.message));
    is_told && order.is_some_and(|(accepted, refused)| accepted < refused)
}
