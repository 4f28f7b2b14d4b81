//! Apps that go on from before an admin accepted another store, and that it knows nothing of.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use adapters::docker::Running;
use common::id::Epoch;
use common::name::LegacyName;
use common::port::container::label;
use serde::{Deserialize, Serialize};

use super::check::Check;

const FILE: &str = "left.json";

/// What was left alone when another store was accepted, as the folder keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Left {
    /// The last epoch of the deployment manager before.
    pub(crate) epoch: Epoch,
    pub(crate) instances: BTreeSet<LegacyName>,
}

impl Left {
    pub(crate) fn keep(&self, data: &Path) -> io::Result<()> {
        fs::write(data.join(FILE), serde_json::to_vec_pretty(self)?)
    }

    pub(super) fn load(data: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(data.join(FILE)).ok()?).ok()
    }

    /// Those that run still, in a container of before.
    fn running<'a>(&'a self, running: &'a [Running]) -> BTreeSet<&'a str> {
        let of_before = |container: &&Running| {
            let epoch = container.labels.get(label::EPOCH).and_then(|text| text.parse().ok());
            epoch.is_some_and(|epoch| Epoch(epoch) <= self.epoch)
        };
        let names = running.iter().filter(of_before).filter_map(|container| {
            let name = container.labels.get(label::INSTANCE)?;
            self.instances.iter().find(|instance| instance.as_str() == name)
        });
        names.map(LegacyName::as_str).collect()
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.instances.iter().map(LegacyName::as_str).collect();
        match names.as_slice() {
            [] => f.write_str("the store is accepted; it knows every app that is here"),
            names => write!(
                f,
                "the store is accepted; it does not know {}, which go on until they are deployed again",
                names.join(", ")
            ),
        }
    }
}

/// Nothing is said where there is none.
pub(super) fn check(left: Option<&Left>, running: &[Running]) -> Option<Check> {
    let names: Vec<&str> = left?.running(running).into_iter().collect();
    if names.is_empty() {
        return None;
    }
    let sentence = format!("the store does not know what runs here as {}", names.join(", "));
    let advice = "deploy it again, and the platform takes over; or remove it: `docker ps --filter label=avishkar.instance=NAME` names its containers";
    Some(Check::warning("apps", sentence, advice))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn running(instance: &str, epoch: u64) -> Running {
        let labels = [(label::INSTANCE, instance.to_owned()), (label::EPOCH, epoch.to_string())];
        let labels: BTreeMap<String, String> =
            labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Running { name: format!("{instance}_instance_1"), labels }
    }

    #[test]
    fn what_goes_on_unknown_to_the_store_is_named_until_it_is_deployed_again() {
        let place = tempfile::tempdir().unwrap();
        let instances = ["blog", "shop"].map(|name| name.parse().unwrap()).into();
        let left = Left { epoch: Epoch(4), instances };
        left.keep(place.path()).unwrap();
        let kept = Left::load(place.path());
        assert_eq!(kept.as_ref(), Some(&left));
        let told = |running: &[Running]| check(kept.as_ref(), running).map(|check| check.sentence);
        let all = [running("shop", 4), running("blog", 2), running("other", 1)];
        assert!(told(&all).unwrap().ends_with("as blog, shop"));
        assert_eq!(told(&[running("shop", 5)]), None, "it was deployed again");
        assert_eq!(check(None, &all), None);
    }
}
