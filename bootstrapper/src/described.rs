//! What a platform was described as last. It stands on its first machine, so that whoever applies another file, from
//! whichever computer, sees what differs.

use std::collections::BTreeMap;

use common::digest::Digest;
use common::id::Generation;
use common::name::{NodeName, ShareName};
use common::port::machines::Shape;
use common::port::share;
use rollout::Code;
use rollout::parts::{Configured, Secrets};
use rollout::platform::{PlannedMachine, Platform};
use rollout::seed::Seed;
use serde::{Deserialize, Serialize};

use crate::base::Keeper;
use crate::changes::{Change, azure_moved, changes, shares};
use crate::state::State;
use crate::trouble::Trouble;
use crate::work::Work;

const FILE: &str = "described.json";
pub(crate) const DESCRIPTION_CHANGED: &str = "DESCRIPTION_CHANGED";

/// A description, and how often it was another one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Described {
    /// Of the parts that were made from it.
    generation: Generation,
    platform: Platform,
    /// What opens them is not kept. None where they were not kept yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shares: Option<BTreeMap<ShareName, share::Description>>,
    /// Which settings of services, and receivers of alerts; none where nothing is said of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    configured: Option<Digest>,
}

impl Described {
    /// What the file says now. It is not counted yet.
    pub(crate) fn now(work: &Work<'_>, platform: &Platform, configured: &Configured) -> Self {
        let shares = work.description.shares.iter();
        let shares = shares.map(|(name, known)| (name.clone(), known.share.clone()));
        Described {
            generation: Generation::default(),
            platform: work.described(platform),
            shares: Some(shares.collect()),
            configured: which(configured),
        }
    }

    pub(crate) async fn find(seed: &Seed) -> Result<Option<Self>, Trouble> {
        let Some(text) = seed.find(FILE).await? else { return Ok(None) };
        serde_json::from_slice(&text).map(Some).map_err(|err| {
            let hint = format!(
                "remove {}/{FILE} from the machine, if the file describes the platform as it is",
                rollout::seed::FOLDER
            );
            let step = "read how the platform was described";
            Trouble::here(step, Code::StepFailed.as_str(), err.to_string(), &hint).on(&seed.machine)
        })
    }

    /// What lifecycle managers were given, as the description that it was made from.
    pub(crate) fn of_lifecycle_manager(secrets: &Secrets) -> Option<Self> {
        let platform = serde_json::from_str(&secrets.platform).ok()?;
        let shares = secrets.shares.iter();
        let shares = shares.map(|(name, access)| (name.clone(), access.share.clone()));
        let (generation, shares) = (Generation(1), Some(shares.collect()));
        let configured = which(&secrets.configured);
        Some(Described { generation, platform, shares, configured })
    }

    /// All that differs, in the order of the file.
    fn changes(&self, now: &Described) -> Vec<Change> {
        let mut found = changes(&self.platform, &now.platform);
        if let (Some(before), Some(now)) = (&self.shares, &now.shares) {
            found.extend(shares(before, now));
        }
        found.extend((self.configured != now.configured).then_some(Change::Configured));
        found
    }

    pub(crate) fn name(&self) -> &NodeName {
        &self.platform.name
    }

    pub(crate) async fn keep(&self, seed: &Seed) -> Result<(), Trouble> {
        let text = serde_json::to_vec(self).expect("a platform has text keys only");
        Ok(seed.replace(FILE, text).await?)
    }
}

fn which(configured: &Configured) -> Option<Digest> {
    let text = serde_json::to_vec(configured).expect("settings are text");
    (!configured.is_plain()).then(|| Digest::of(&text))
}

/// The description as it is to be counted from now on.
pub(crate) fn next(before: Option<&Described>, state: &mut State, now: &Described) -> Described {
    let counted = state.count(&now.platform);
    let generation = match before {
        None => counted,
        Some(before) if before.changes(now).is_empty() => before.generation,
        Some(before) => before.generation.next().max(counted),
    };
    state.generation = generation;
    let mut next = Described { generation, ..now.clone() };
    for image in next.platform.images.values_mut() {
        image.named = None;
    }
    next
}

impl Described {
    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }
}

/// What the file says otherwise than before and `apply` cannot carry out, by who keeps the platform.
pub(crate) fn refused(
    before: Option<&Described>,
    state: &State,
    now: &Described,
    keeper: Keeper,
) -> Vec<Trouble> {
    let found = match before {
        Some(before) => before.changes(now),
        None if keeper == Keeper::LifecycleManager && state.is_of_another(&now.platform) => {
            vec![Change::Unknown]
        }
        None => Vec::new(),
    };
    let refused = found.into_iter().filter(|change| !change.can_be_made(keeper));
    refused.map(|change| trouble(&change, keeper)).collect()
}

/// The same as far as it is known before anybody is asked: with another place even the first machine would be looked for,
/// and made, elsewhere.
pub(crate) fn elsewhere(state: &State, now: &Platform) -> Vec<Trouble> {
    let (Some(before), Some(now)) = (&state.azure, &now.azure) else { return Vec::new() };
    let is_there = |machine: &PlannedMachine| {
        matches!(machine.shape, Shape::Azure(_)) && machine.gate.is_some()
    };
    if !state.machines.iter().any(is_there) {
        return Vec::new();
    }
    let found = azure_moved(before, now).into_iter();
    found.map(|change| trouble(&change, Keeper::Bootstrapper)).collect()
}

fn trouble(change: &Change, keeper: Keeper) -> Trouble {
    let step = "compare the file with the platform";
    let trouble =
        Trouble::here(step, DESCRIPTION_CHANGED, change.to_string(), &change.hint(keeper));
    match change.machine() {
        Some(machine) => trouble.on(machine),
        None => trouble,
    }
}
