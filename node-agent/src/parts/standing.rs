//! What is known of each part beyond what the engine says: its health and its history.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::name::PartName;
use common::port::container::ContainerState;
use common::port::part::Part;

use crate::domain::restart::{Exit, History};

/// One part as last seen.
#[derive(Debug, Clone)]
pub(super) struct Stood {
    /// As the engine has it.
    pub(super) part: Part,
    /// What the last look at this run of it found; none before the first.
    pub(super) healthy: Option<bool>,
    pub(super) history: History,
}

impl Stood {
    pub(super) fn is_running(&self) -> bool {
        matches!(self.part.state, ContainerState::Running { .. })
    }

    /// As others are told of it.
    pub(super) fn told(&self) -> Part {
        let restarts = self.history.restarts();
        Part { healthy: self.healthy, restarts, ..self.part.clone() }
    }
}

#[derive(Debug, Default)]
pub(super) struct Standing {
    seen: Mutex<BTreeMap<PartName, Stood>>,
}

impl Standing {
    /// Takes in what a look at one name found; gives what is known of it now.
    pub(super) fn see(&self, name: &PartName, found: Option<Part>, now: Duration) -> Option<Stood> {
        let mut seen = self.lock();
        let known = seen.remove(name);
        let stood = merge(known, found?, now);
        seen.insert(name.clone(), stood.clone());
        Some(stood)
    }

    /// Takes in all parts there are; what it knew of others is forgotten.
    pub(super) fn see_all(&self, parts: Vec<Part>, now: Duration) -> Vec<Stood> {
        let mut seen = self.lock();
        let mut before = std::mem::take(&mut *seen);
        for part in parts {
            let known = before.remove(&part.name);
            seen.insert(part.name.clone(), merge(known, part, now));
        }
        seen.values().cloned().collect()
    }

    pub(super) fn running(&self) -> Vec<Stood> {
        self.lock().values().filter(|stood| stood.is_running()).cloned().collect()
    }

    pub(super) fn restarted(&self, name: &PartName) {
        if let Some(stood) = self.lock().get_mut(name) {
            stood.history.restarted();
        }
    }

    /// Notes what a look at a part found, unless it is another run by now.
    pub(super) fn looked(&self, looked_at: &Part, healthy: bool) {
        if let Some(stood) = self.lock().get_mut(&looked_at.name)
            && is_same_run(&stood.part, looked_at)
        {
            stood.healthy = Some(healthy);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PartName, Stood>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_same_run(one: &Part, other: &Part) -> bool {
    one.spec_hash == other.spec_hash && one.state == other.state
}

/// Another specification is another part, with a history of its own.
fn merge(known: Option<Stood>, part: Part, now: Duration) -> Stood {
    let known = known.filter(|known| known.part.spec_hash == part.spec_hash);
    let same_run = known.as_ref().filter(|known| is_same_run(&known.part, &part));
    let healthy = same_run.and_then(|known| known.healthy);
    let mut history = known.map(|known| known.history).unwrap_or_default();
    if let Some(exit) = Exit::of(&part.state) {
        history.ended(exit, now);
    }
    Stood { part, healthy, history }
}

#[cfg(test)]
mod tests {
    use common::id::{Epoch, Generation};
    use jiff::Timestamp;

    use super::*;

    fn part(spec_hash: &str, state: ContainerState) -> Part {
        Part {
            name: "kafka".parse().unwrap(),
            generation: Generation(1),
            epoch: Epoch(1),
            spec_hash: spec_hash.to_owned(),
            state,
            healthy: None,
            restarts: 0,
        }
    }

    fn running(second: i64) -> ContainerState {
        ContainerState::Running { since: Timestamp::from_second(second).unwrap() }
    }

    fn see(standing: &Standing, part: Part) -> Part {
        let name = part.name.clone();
        standing.see(&name, Some(part), Duration::ZERO).unwrap().told()
    }

    #[test]
    fn health_belongs_to_one_run_of_a_part() {
        let standing = Standing::default();
        let first = see(&standing, part("a", running(1)));
        assert_eq!(first.healthy, None);
        standing.looked(&first, true);
        assert_eq!(see(&standing, part("a", running(1))).healthy, Some(true));
        let second = see(&standing, part("a", running(2)));
        assert_eq!(second.healthy, None);
        standing.looked(&first, true);
        assert_eq!(see(&standing, second).healthy, None, "the look was at the run before");
    }

    #[test]
    fn another_specification_has_a_history_of_its_own() {
        let standing = Standing::default();
        let first = see(&standing, part("a", running(1)));
        standing.restarted(&first.name);
        assert_eq!(see(&standing, part("a", running(2))).restarts, 1);
        assert_eq!(see(&standing, part("b", running(3))).restarts, 0);
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let standing = Standing::default();
        let first = see(&standing, part("a", running(1)));
        standing.restarted(&first.name);
        assert!(standing.see_all(Vec::new(), Duration::ZERO).is_empty());
        assert_eq!(see(&standing, part("a", running(2))).restarts, 0);
        assert!(standing.see(&first.name, None, Duration::ZERO).is_none());
        assert!(standing.running().is_empty());
    }
}
