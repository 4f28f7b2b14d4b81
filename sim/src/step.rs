//! The steps of a deploy and of a stop, each recognised by the call that makes its effect.

use common::message::Envelope;
use common::port::bus::Record;
use common::port::store::{Op, Precondition};
use common::record;
use common::record::deployment::{Deployment, State};
use common::record::instance;
use common::record::node::PortLease;
use common::record::route::{Route, RouteGoal};
use common::service::ServiceName;
use common::topic::{Topic, TopicName};

/// One step. The marks are those of `reliability.md` 2.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// D1: the bytes of an upload are staged.
    StageUpload,
    /// D2: the blob is published under its digest.
    PublishBlob,
    /// D3: the app manager makes the release.
    MakeRelease,
    /// D4: the app manager records the wish, with the message it owes.
    RecordDeploy,
    /// D5: the message is published.
    SendDeploy,
    /// D6: the deployment manager accepts it.
    AcceptDeploy,
    /// D7: the node manager is asked.
    AskForNode,
    /// D7: the question is accepted.
    AcceptQuestion,
    /// D7 and D8: the node is chosen and its port leased, in one transaction.
    Lease,
    /// D8: the answer is published.
    AnswerNode,
    /// D8: the deployment manager notes the place.
    NotePlace,
    /// D9: the image is built.
    BuildImage,
    /// D10 to D12: the image is pulled, the container made and started.
    Ensure,
    /// D13: the container is looked at.
    Probe,
    /// D15: the route and the lease of its front port are recorded.
    RecordRoute,
    /// D15: the edge takes the table.
    LoadTable,
    /// D14: the registry says who is served.
    Register,
    /// D16: the deployment runs.
    NoteRunning,
    /// D16: it is told.
    TellRunning,
    /// D16: the app manager hears it.
    HearRunning,
    RecordStop,
    SendStop,
    AcceptStop,
    /// U1: the route is to go.
    RecordUnroute,
    /// U1 and U2: it is out of the table, drained and gone.
    RemoveRoute,
    /// U3: the registry says that nobody is served.
    Unregister,
    /// U4 and U5: the container is stopped and removed.
    Remove,
    /// U6: the port is released.
    ReleasePort,
    /// U7: the deployment is a tombstone.
    Bury,
    /// U8: it is told.
    TellStopped,
    HearStopped,
}

impl Step {
    pub const ALL: [Step; 31] = [
        Step::StageUpload,
        Step::PublishBlob,
        Step::MakeRelease,
        Step::RecordDeploy,
        Step::SendDeploy,
        Step::AcceptDeploy,
        Step::AskForNode,
        Step::AcceptQuestion,
        Step::Lease,
        Step::AnswerNode,
        Step::NotePlace,
        Step::BuildImage,
        Step::Ensure,
        Step::Probe,
        Step::RecordRoute,
        Step::LoadTable,
        Step::Register,
        Step::NoteRunning,
        Step::TellRunning,
        Step::HearRunning,
        Step::RecordStop,
        Step::SendStop,
        Step::AcceptStop,
        Step::RecordUnroute,
        Step::RemoveRoute,
        Step::Unregister,
        Step::Remove,
        Step::ReleasePort,
        Step::Bury,
        Step::TellStopped,
        Step::HearStopped,
    ];
}

/// The step that a transaction is.
pub(crate) fn of_commit(by: ServiceName, ops: &[Op]) -> Option<Step> {
    match by {
        ServiceName::AppManager => of_app_manager(ops),
        ServiceName::DeploymentManager => of_deployment_manager(ops),
        ServiceName::NodeManager => of_node_manager(ops),
        ServiceName::LoadBalancer => of_load_balancer(ops),
        ServiceName::Monitoring
        | ServiceName::LifecycleManager
        | ServiceName::PlatformInitializer
        | ServiceName::NodeAgent => None,
    }
}

/// The first operation on a record whose path holds this.
fn put<'a>(ops: &'a [Op], part: &str) -> Option<&'a Op> {
    let writes = |op: &&Op| matches!(op, Op::Put { .. }) && op.path().as_str().contains(part);
    ops.iter().find(writes)
}

fn makes(ops: &[Op], part: &str) -> bool {
    matches!(put(ops, part), Some(Op::Put { precondition: Precondition::Absent, .. }))
}

fn written<T: serde::de::DeserializeOwned>(ops: &[Op], part: &str) -> Option<T> {
    record::decode(put(ops, part)?.value()?).ok()
}

fn of_app_manager(ops: &[Op]) -> Option<Step> {
    if makes(ops, "/releases/") {
        return Some(Step::MakeRelease);
    }
    let instance: instance::Instance = written(ops, "/avishkar/instances/")?;
    match instance.state {
        instance::State::Deploying
            if [".app-manager.deploy", ".app-manager.rollback", ".app-manager.promote"]
                .iter()
                .any(|kind| makes(ops, kind)) =>
        {
            Some(Step::RecordDeploy)
        }
        instance::State::Stopping if makes(ops, ".app-manager.stop") => Some(Step::RecordStop),
        instance::State::Deployed if makes(ops, "/avishkar/operations/") => Some(Step::HearRunning),
        instance::State::Stopped if makes(ops, "/avishkar/operations/") => Some(Step::HearStopped),
        instance::State::Scheduled
        | instance::State::Deploying
        | instance::State::Deployed
        | instance::State::DeployFailed
        | instance::State::Stopping
        | instance::State::Stopped
        | instance::State::StopFailed => None,
    }
}

fn of_deployment_manager(ops: &[Op]) -> Option<Step> {
    if makes(ops, ".deployment-manager.deploy-app") {
        return Some(Step::AcceptDeploy);
    }
    if makes(ops, ".deployment-manager.stop-app") {
        return Some(Step::AcceptStop);
    }
    if makes(ops, ".deployment-manager.ans-node") {
        return Some(Step::NotePlace);
    }
    if ops
        .iter()
        .any(|op| matches!(op, Op::Delete { path, .. } if path.as_str().starts_with("/apps/")))
    {
        return Some(Step::Unregister);
    }
    let deployment: Deployment = written(ops, "/avishkar/deployments/")?;
    if makes(ops, "/apps/") {
        return Some(Step::Register);
    }
    match deployment.state {
        State::Running if put(ops, "/avishkar/operations/").is_some() => Some(Step::NoteRunning),
        State::Removed => Some(Step::Bury),
        State::Accepted
        | State::Placing
        | State::Building
        | State::Starting
        | State::Routing
        | State::Running
        | State::Undoing
        | State::Stopping
        | State::Failed
        | State::Stopped => None,
    }
}

fn of_node_manager(ops: &[Op]) -> Option<Step> {
    if makes(ops, ".node-manager.give-best-node") {
        return Some(Step::AcceptQuestion);
    }
    if makes(ops, "/avishkar/ports/") {
        return Some(Step::Lease);
    }
    let lease: PortLease = written(ops, "/avishkar/ports/")?;
    lease.released_at.map(|_| Step::ReleasePort)
}

fn of_load_balancer(ops: &[Op]) -> Option<Step> {
    let removes =
        |op: &Op| matches!(op, Op::Delete { path, .. } if path.as_str().contains("/routes/"));
    if ops.iter().any(removes) {
        return Some(Step::RemoveRoute);
    }
    let route: Route = written(ops, "/avishkar/routes/")?;
    match route.goal {
        RouteGoal::Announced => None,
        RouteGoal::Served => Some(Step::RecordRoute),
        RouteGoal::Removed => Some(Step::RecordUnroute),
    }
}

/// The step that a publication is.
pub(crate) fn of_publish(by: ServiceName, topic: &TopicName, record: &Record) -> Option<Step> {
    let topic: Topic = topic.as_str().parse().ok()?;
    let message = Envelope::decode(&record.payload, topic).ok()?.msg;
    let begins = |verb: &str| message.starts_with(verb);
    match (by, topic) {
        (ServiceName::AppManager, Topic::DeploymentManager) if begins("deploy app") => {
            Some(Step::SendDeploy)
        }
        (ServiceName::AppManager, Topic::DeploymentManager) if begins("stop app") => {
            Some(Step::SendStop)
        }
        (ServiceName::DeploymentManager, Topic::NodeManager) => Some(Step::AskForNode),
        (ServiceName::NodeManager, Topic::DeploymentManager) => Some(Step::AnswerNode),
        (ServiceName::DeploymentManager, Topic::FirstTopic) if begins("done stopped") => {
            Some(Step::TellStopped)
        }
        (ServiceName::DeploymentManager, Topic::FirstTopic) if begins("done ") => {
            Some(Step::TellRunning)
        }
        _ => None,
    }
}
