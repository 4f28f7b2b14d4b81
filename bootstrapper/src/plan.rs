//! `plan`: every step that `apply` would take, as a sentence. Changes nothing, on no machine and not here.

use std::collections::BTreeMap;

use common::id::Generation;
use common::name::NodeName;
use common::port::machines::Shape;
use futures::future::join_all;
use rollout::machine::{Action, Existence, Trust, locate, observe};
use rollout::order::{PartsSeen, observe_parts, plan_parts};
use rollout::platform::{PlannedMachine, Platform};
use serde::Serialize;

use crate::base::{Keeper, ask};
use crate::described::{self, Described};
use crate::description::Description;
use crate::first::{First, configured, look, trust_of};
use crate::keys::HostKeys;
use crate::managers::{ToBeGiven, alone, to_be_given};
use crate::ports::Ports;
use crate::recovery::{Kept, Novelty, Sought, search, sentence};
use crate::report::Silence;
use crate::state::Book;
use crate::trouble::Trouble;
use crate::upgrade::to_be_replaced;
use crate::work::Work;

/// What is left to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// In the order of the file.
    pub machines: Vec<MachinePlan>,
    /// A lifecycle manager leads: whatever is left, it does.
    pub kept_by_lifecycle_manager: bool,
    /// But for this: on these machines it goes by other credentials for shares and Azure, or other settings of services, than
    /// the file's, as one whose machine was down. `apply` gives it these.
    pub to_be_given: Vec<NodeName>,
    /// Of the lifecycle managers of these machines nobody knows it: why they could not be looked at.
    pub unseen: Vec<Trouble>,
    /// What `apply` would refuse: what the file says otherwise than before, and a platform of which nobody can say
    /// whether it is a new one.
    pub refused: Vec<Trouble>,
}

/// What is left to do on one machine, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MachinePlan {
    pub machine: NodeName,
    pub kind: &'static str,
    pub steps: Vec<String>,
    /// What somebody should know before it is done.
    pub notes: Vec<String>,
    /// What stands in the way.
    pub trouble: Option<Trouble>,
}

impl Plan {
    /// Whether everything stands as it should.
    pub fn is_done(&self) -> bool {
        let done = |plan: &MachinePlan| plan.steps.is_empty() && plan.trouble.is_none();
        let all = self.kept_by_lifecycle_manager || self.machines.iter().all(done);
        let is_given = self.to_be_given.is_empty() && self.unseen.is_empty();
        all && is_given && self.refused.is_empty()
    }

    pub fn troubles(&self) -> Vec<Trouble> {
        let of_machines = self.machines.iter().filter_map(|plan| plan.trouble.clone());
        self.refused.iter().cloned().chain(of_machines).collect()
    }
}

/// Says what `apply` would do.
pub async fn plan(
    ports: &Ports,
    description: &Description,
    book: &dyn Book,
    novelty: Novelty,
) -> Result<Plan, Vec<Trouble>> {
    let one = |trouble: Trouble| vec![trouble];
    let work = Work::begin(ports, description, book, &Silence).map_err(one)?;
    let images = work.images().await.map_err(one)?;
    let elsewhere = described::elsewhere(&work.known(), &description.platform);
    if !elsewhere.is_empty() {
        return Err(elsewhere);
    }
    let mut platform = work.platform(&images);
    let first = first(&work, &platform).await.map_err(one)?;
    if let Some(first) = &first {
        first.is_ours(&platform.name).await.map_err(one)?;
    }
    let Known { trust, kept, refused: unknown } =
        known(&work, &platform, first.as_ref(), novelty).await?;
    let all = platform.machines.iter();
    let planned =
        join_all(all.map(|machine| of_machine(&work, &platform, machine, trust.as_ref())));
    let (mut machines, seen): (Vec<_>, Vec<_>) = planned.await.into_iter().unzip();
    // What backends and machines said of themselves is known here only.
    platform.machines = seen;
    if let (Some(kept), Some(planned)) = (&kept, machines.first_mut()) {
        planned.steps.insert(0, sentence(&planned.machine, kept));
    }
    let keeper = match &trust {
        Some(trust) => ask(&work, &platform, trust).await.keeper,
        None => Keeper::Bootstrapper,
    };
    let before = match (&first, &kept) {
        (_, Some(kept)) => Described::of_lifecycle_manager(&kept.secrets),
        (Some(first), None) => Described::find(&first.seed).await.map_err(one)?,
        (None, None) => None,
    };
    let configured = configured(&work, &platform).map_err(one)?;
    let now = Described::now(&work, &platform, &configured);
    let mut refused = described::refused(before.as_ref(), &work.known(), &now, keeper);
    refused.extend(unknown);
    let generation = described::next(before.as_ref(), &mut work.known(), &now).generation();
    let kept_by_lifecycle_manager = keeper == Keeper::LifecycleManager;
    // Lifecycle managers make what is absent, and nothing anew because the file says something else.
    let generation = if kept_by_lifecycle_manager { Generation::default() } else { generation };
    base_steps(&work, &platform, generation, trust.as_ref(), &mut machines).await?;
    let ToBeGiven { to: to_be_given, upgrades, unseen } = match keeper {
        Keeper::LifecycleManager => to_be_given(&work, &platform).await.map_err(one)?,
        Keeper::Bootstrapper => ToBeGiven::default(),
    };
    if upgrades {
        refused.extend(upgrade_steps(&work, &platform, &mut machines).await);
    }
    Ok(Plan { machines, kept_by_lifecycle_manager, to_be_given, unseen, refused })
}

/// What lifecycle managers replace once they were given another image of the base. A machine that cannot be looked at is told
/// of already. Gives why `apply` would refuse it.
async fn upgrade_steps(
    work: &Work<'_>,
    platform: &Platform,
    machines: &mut [MachinePlan],
) -> Option<Trouble> {
    if let Some(refused) = alone(platform) {
        return Some(refused);
    }
    for name in &platform.placement.lifecycle_manager {
        let Ok(parts) = to_be_replaced(work, platform, name).await else { continue };
        let planned = machines.iter_mut().filter(|planned| planned.machine == *name);
        for planned in planned {
            let step = |part| format!("have {part} on {name} run from the image of the base");
            planned.steps.extend(parts.iter().map(step));
        }
    }
    None
}

async fn is_first_absent(work: &Work<'_>, platform: &Platform) -> Result<bool, Trouble> {
    let Some(seed) = platform.seed() else { return Ok(false) };
    let goal = work.goal(platform, &seed.name)?;
    let seen = locate(&work.machine_ports(None), &goal).await;
    Ok(seen.is_ok_and(|seen| seen.existence == Existence::Absent))
}

/// Whoever the platform trusts, and where that has to be brought back from.
#[derive(Default)]
struct Known {
    trust: Option<Trust>,
    kept: Option<Kept>,
    /// Nobody can say whether it has an authority. What stands in the way of a machine is told with the machine.
    refused: Option<Trouble>,
}

async fn known(
    work: &Work<'_>,
    platform: &Platform,
    first: Option<&First>,
    novelty: Novelty,
) -> Result<Known, Vec<Trouble>> {
    let one = |trouble: Trouble| vec![trouble];
    if let Some(first) = first
        && let Some(trust) = first.trust(work).await.map_err(one)?
    {
        return Ok(Known { trust: Some(trust), ..Known::default() });
    }
    // One that is off may have it.
    if first.is_none() && !is_first_absent(work, platform).await.map_err(one)? {
        return Ok(Known::default());
    }
    Ok(match search(work, platform, HostKeys::PinnedOnly, novelty).await? {
        Sought::Nothing => Known::default(),
        Sought::Kept(kept) => {
            let trust = trust_of(work, &kept).map_err(one)?;
            Known { trust: Some(trust), kept: Some(*kept), refused: None }
        }
        Sought::Unknown(mut troubles) => Known { refused: troubles.pop(), ..Known::default() },
    })
}

async fn first(work: &Work<'_>, platform: &Platform) -> Result<Option<First>, Trouble> {
    let Some(seed) = platform.seed() else { return Ok(None) };
    let goal = work.goal(platform, &seed.name)?;
    Ok(look(work, &goal).await)
}

async fn of_machine(
    work: &Work<'_>,
    platform: &Platform,
    machine: &PlannedMachine,
    trust: Option<&Trust>,
) -> (MachinePlan, PlannedMachine) {
    let mut planned = MachinePlan {
        machine: machine.name.clone(),
        kind: machine.shape.kind(),
        steps: Vec::new(),
        notes: Vec::new(),
        trouble: None,
    };
    let mut known = machine.clone();
    let looked = async {
        let goal = work.goal(platform, &machine.name)?;
        let seen = observe(&work.machine_ports(trust.cloned().as_ref()), &goal).await?;
        known.clone_from(&seen.machine);
        if known.shape != Shape::Given {
            // As it would be pinned: what stands there is asked through its gate.
            known.host_key = known.host_key.take().or_else(|| seen.shown_key.clone());
        }
        Ok::<_, Trouble>(rollout::machine::plan(&goal, &seen)?)
    };
    match looked.await {
        Err(trouble) => planned.trouble = Some(trouble),
        Ok(steps) => {
            for step in steps {
                if let Action::Pin(key) = &step.action
                    && known.shape.kind() == "given"
                {
                    planned.notes.push(format!(
                        "compare {key} with `ssh-keygen -lf` at its console and write host_key = \"{key}\" into the file; without that, `apply` pins it only with --accept-new-host-keys"
                    ));
                }
                planned.steps.push(step.to_string());
            }
        }
    }
    (planned, known)
}

/// What is left of the base, beside the machine it is on.
async fn base_steps(
    work: &Work<'_>,
    platform: &Platform,
    generation: Generation,
    trust: Option<&Trust>,
    machines: &mut [MachinePlan],
) -> Result<(), Vec<Trouble>> {
    let seen = match trust {
        Some(trust) => {
            let seen = observe_parts(platform, &work.agents(platform, trust)).await;
            seen.map_err(|err| vec![err.into()])?
        }
        None => PartsSeen::new(),
    };
    let mut by_machine: BTreeMap<NodeName, Vec<String>> = BTreeMap::new();
    for step in plan_parts(platform, generation, &seen) {
        by_machine.entry(step.node.clone()).or_default().push(step.to_string());
    }
    for planned in machines {
        planned.steps.extend(by_machine.remove(&planned.machine).unwrap_or_default());
    }
    Ok(())
}
