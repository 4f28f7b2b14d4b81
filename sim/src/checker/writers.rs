//! I9: each kind of record has one writer, and of its lives only the last one that took the lead.

use common::id::Epoch;
use common::record::deployment::SlotState;
use common::record::epoch::EpochRecord;
use common::service::ServiceName;
use testkit::store::Committed;

use super::{Change, Checker, Invariant, decoded};

/// A client of the store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writer {
    pub(super) service: ServiceName,
    /// The epoch that it took.
    pub(super) epoch: Option<Epoch>,
}

/// Who writes a record, and whether it must lead to do so; none for what everybody or nobody writes.
fn owner(
    committed: &Committed,
    change: Option<&Change<'_>>,
    nodes_by: ServiceName,
) -> Option<(ServiceName, bool)> {
    use ServiceName as S;
    let path = committed.path.as_str();
    let below = |folder: &str| path.starts_with(folder) && path.len() > folder.len();
    let owner = if below("/avishkar/deployments/") {
        (S::DeploymentManager, change.is_some_and(is_reconcilers))
    } else if below("/avishkar/builds/") {
        (S::DeploymentManager, false)
    } else if below("/avishkar/routes/")
        || below("/avishkar/scale/")
        || below("/avishkar/ports/edge/")
    {
        (S::LoadBalancer, true)
    } else if below("/avishkar/nodes/") {
        (nodes_by, true)
    } else if below("/avishkar/ports/")
        || below("/avishkar/alive/")
        || below("/avishkar/drains/")
        || path == "/avishkar/usual-placement"
    {
        (S::NodeManager, true)
    } else if below("/avishkar/machines/")
        || below("/avishkar/running/")
        || below("/avishkar/lifecycle/rollouts/")
    {
        (S::LifecycleManager, true)
    } else if below("/avishkar/platform/services/") {
        (S::PlatformInitializer, true)
    } else if below("/avishkar/placements/") {
        (S::NodeManager, false)
    } else if below("/avishkar/instances/")
        || below("/avishkar/schedules/")
        || below("/avishkar/requests/")
        || (below("/avishkar/apps/") && !path.starts_with("/avishkar/apps/."))
    {
        (S::AppManager, false)
    } else {
        return None;
    };
    Some(owner)
}

/// Whether a change of a deployment cannot be one that a command makes: those are taken from any life, and
/// the answer to a question may change much.
fn is_reconcilers(change: &Change<'_>) -> bool {
    let (Some(before), Some(after)) = (change.before, change.after) else { return false };
    let asked = before.slots.iter().any(|slot| slot.state == SlotState::Asked);
    before.generation == after.generation && !asked
}

impl Checker {
    pub(super) fn check_writer(&mut self, committed: &Committed, change: Option<&Change<'_>>) {
        // What the world began with.
        let Some(writer) = self.writers.get(&committed.by).copied() else { return };
        // Folders are made by whoever needs them.
        if committed.after.as_ref().is_some_and(bytes::Bytes::is_empty) {
            return;
        }
        // Where machines are kept, who keeps them says which nodes there are.
        let is_kept = self.epochs.contains_key(&ServiceName::LifecycleManager);
        let nodes_by =
            if is_kept { ServiceName::LifecycleManager } else { ServiceName::NodeManager };
        let Some((owner, must_lead)) = owner(committed, change, nodes_by) else { return };
        let path = &committed.path;
        if writer.service != owner {
            self.violate(Invariant::I9SingleWriter, format!("{} wrote {path}", writer.service));
        } else if must_lead && writer.epoch != self.epochs.get(&owner).copied() {
            let epoch = writer.epoch.map_or_else(|| "no epoch".to_owned(), |one| one.to_string());
            let leads = self.epochs.get(&owner).copied().unwrap_or_default();
            self.violate(
                Invariant::I9SingleWriter,
                format!("{owner} with {epoch} wrote {path} while {leads} led"),
            );
        }
    }

    pub(super) fn check_epoch(&mut self, committed: &Committed) {
        let Ok(service) = committed.path.name().parse::<ServiceName>() else { return };
        let Some(record) = decoded::<EpochRecord>(committed.after.as_ref()) else { return };
        let before = self.epochs.insert(service, record.epoch).unwrap_or_default();
        if service == ServiceName::LifecycleManager {
            self.forget_doubts();
        }
        if record.epoch <= before {
            let epoch = record.epoch;
            self.violate(Invariant::I8Monotone, format!("{service} went from {before} to {epoch}"));
        }
        if let Some(writer) = self.writers.get_mut(&committed.by) {
            writer.epoch = Some(record.epoch);
        }
    }
}
