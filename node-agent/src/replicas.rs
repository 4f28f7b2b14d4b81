//! The containers as last seen, with what the agent knows about them besides: kept in memory only.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::name::ContainerName;
use common::port::container::{Container, ContainerState};

use crate::domain::restart::{Exit, History};

/// One container as last seen.
#[derive(Debug, Clone)]
pub(crate) struct Replica {
    pub(crate) container: Container,
    /// Whether its port answered the last look; none before the first.
    pub(crate) healthy: Option<bool>,
    pub(crate) history: History,
    /// Its first process, once it was asked for.
    pub(crate) process: Option<u32>,
}

impl Replica {
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.container.state, ContainerState::Running { .. })
    }
}

#[derive(Debug, Default)]
pub(crate) struct Replicas {
    seen: Mutex<BTreeMap<ContainerName, Replica>>,
}

impl Replicas {
    /// Takes in what a look at one name found; gives what is known of it now.
    pub(crate) fn see(
        &self,
        name: &ContainerName,
        found: Option<Container>,
        now: Duration,
    ) -> Option<Replica> {
        let mut seen = self.lock();
        let Some(container) = found else {
            seen.remove(name);
            return None;
        };
        let replica = merge(seen.remove(name), container, now);
        seen.insert(name.clone(), replica.clone());
        Some(replica)
    }

    /// Takes in all containers there are.
    pub(crate) fn see_all(&self, containers: Vec<Container>, now: Duration) {
        let mut seen = self.lock();
        let mut before = std::mem::take(&mut *seen);
        for container in containers {
            let known = before.remove(&container.name);
            seen.insert(container.name.clone(), merge(known, container, now));
        }
    }

    pub(crate) fn all(&self) -> Vec<Replica> {
        self.lock().values().cloned().collect()
    }

    pub(crate) fn restarted(&self, name: &ContainerName) {
        if let Some(replica) = self.lock().get_mut(name) {
            replica.history.restarted();
        }
    }

    /// Notes the process of a run of a container.
    pub(crate) fn runs_as(&self, replica: &Replica, process: Option<u32>) {
        if let Some(known) = self.lock().get_mut(&replica.container.name)
            && known.container.id == replica.container.id
            && known.container.state == replica.container.state
        {
            known.process = process;
        }
    }

    /// Notes whether the port of a container answered, unless it is another container by now.
    pub(crate) fn looked(&self, name: &ContainerName, id: &str, healthy: bool) {
        if let Some(replica) = self.lock().get_mut(name)
            && replica.container.id == id
        {
            replica.healthy = Some(healthy);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ContainerName, Replica>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Another specification is another container, with a history of its own.
fn merge(known: Option<Replica>, container: Container, now: Duration) -> Replica {
    let known = known.filter(|known| known.container.spec_hash == container.spec_hash);
    let same_run = known.as_ref().is_some_and(|known| known.container.state == container.state);
    let healthy = known.as_ref().and_then(|known| known.healthy).filter(|_| same_run);
    let process = known.as_ref().and_then(|known| known.process).filter(|_| same_run);
    let mut history = known.map(|known| known.history).unwrap_or_default();
    if let Some(exit) = Exit::of(&container.state) {
        history.ended(exit, now);
    }
    Replica { container, healthy, history, process }
}

#[cfg(test)]
mod tests {
    use common::digest::{Digest, ImageRef};
    use common::id::{Epoch, Generation, SlotNumber};
    use common::name::InstanceName;
    use jiff::Timestamp;

    use super::*;

    fn container(spec_hash: &str, state: ContainerState) -> Container {
        let instance: InstanceName = "shop".parse().unwrap();
        Container {
            name: ContainerName::new(&instance, SlotNumber(1)),
            id: "1".to_owned(),
            instance,
            slot: SlotNumber(1),
            generation: Generation(1),
            image: ImageRef::new("apps/shop", Digest::of(b"")).unwrap(),
            epoch: Epoch(1),
            host_port: 20000,
            spec_hash: spec_hash.to_owned(),
            state,
        }
    }

    fn running(second: i64) -> ContainerState {
        ContainerState::Running { since: Timestamp::from_second(second).unwrap() }
    }

    fn ended(second: i64) -> ContainerState {
        let at = Timestamp::from_second(second).unwrap();
        ContainerState::Exited { code: 1, out_of_memory: false, at }
    }

    fn see(replicas: &Replicas, container: Container) -> Replica {
        let name = container.name.clone();
        replicas.see(&name, Some(container), Duration::ZERO).unwrap()
    }

    #[test]
    fn health_belongs_to_one_run_of_a_container() {
        let replicas = Replicas::default();
        let first = see(&replicas, container("a", running(1)));
        assert_eq!(first.healthy, None);
        replicas.looked(&first.container.name, "1", true);
        assert_eq!(see(&replicas, container("a", running(1))).healthy, Some(true));
        assert_eq!(see(&replicas, container("a", running(2))).healthy, None);
        replicas.looked(&first.container.name, "other", true);
        assert_eq!(replicas.all()[0].healthy, None);
    }

    #[test]
    fn another_specification_has_a_history_of_its_own() {
        let replicas = Replicas::default();
        see(&replicas, container("a", ended(1)));
        replicas.restarted(&container("a", ended(1)).name);
        assert_eq!(see(&replicas, container("a", running(2))).history.restarts(), 1);
        assert_eq!(see(&replicas, container("b", running(3))).history, History::default());
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let replicas = Replicas::default();
        see(&replicas, container("a", running(1)));
        replicas.see_all(Vec::new(), Duration::ZERO);
        assert!(replicas.all().is_empty());
    }
}
