//! What a platform was described as last. It stands on its first machine, so that whoever applies another file, from
//! whichever computer, sees what differs.

use common::id::Generation;
use common::name::NodeName;
use rollout::Code;
use rollout::platform::Platform;
use rollout::seed::Seed;
use serde::{Deserialize, Serialize};

use crate::base::Keeper;
use crate::changes::{Change, changes};
use crate::state::State;
use crate::trouble::Trouble;

const FILE: &str = "described.json";
const DESCRIPTION_CHANGED: &str = "DESCRIPTION_CHANGED";

/// A description, and how often it was another one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Described {
    /// Of the parts that were made from it.
    generation: Generation,
    platform: Platform,
}

impl Described {
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
    pub(crate) fn of_lifecycle_manager(text: &str) -> Option<Self> {
        let platform = serde_json::from_str(text).ok()?;
        Some(Described { generation: Generation(1), platform })
    }

    pub(crate) fn name(&self) -> &NodeName {
        &self.platform.name
    }

    pub(crate) async fn keep(&self, seed: &Seed) -> Result<(), Trouble> {
        let text = serde_json::to_vec(self).expect("a platform has text keys only");
        Ok(seed.replace(FILE, text).await?)
    }
}

/// The description as it is to be counted from now on.
pub(crate) fn next(before: Option<&Described>, state: &mut State, now: &Platform) -> Described {
    let counted = state.count(now);
    let generation = match before {
        None => counted,
        Some(before) if changes(&before.platform, now).is_empty() => before.generation,
        Some(before) => before.generation.next().max(counted),
    };
    state.generation = generation;
    let mut platform = now.clone();
    for image in platform.images.values_mut() {
        image.named = None;
    }
    Described { generation, platform }
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
    now: &Platform,
    keeper: Keeper,
) -> Vec<Trouble> {
    let found = match before {
        Some(before) => changes(&before.platform, now),
        None if keeper == Keeper::LifecycleManager && state.is_of_another(now) => {
            vec![Change::Unknown]
        }
        None => Vec::new(),
    };
    let refused = found.into_iter().filter(|change| !change.can_be_made(keeper));
    refused.map(|change| trouble(&change, keeper)).collect()
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
