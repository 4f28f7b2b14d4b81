//! The containers as last seen, with what the agent knows about them besides: kept in memory only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::name::ContainerName;
use common::port::container::{Container, ContainerState};
use common::port::nodes::EndedIll;

use crate::domain::looks::Looks;
use crate::domain::restart::{Exit, History};
use crate::domain::silence::{Verdict, verdict};

/// One container as last seen.
#[derive(Debug, Clone)]
pub(crate) struct Replica {
    pub(crate) container: Container,
    /// Whether its port answered the last look; none before the first.
    pub(crate) healthy: Option<bool>,
    /// What the agent's own looks at this run found.
    pub(crate) looks: Looks,
    pub(crate) history: History,
    /// The last run of it that was stopped because it was ill.
    pub(crate) ended_ill: Option<EndedIll>,
    /// Its first process, once it was asked for.
    pub(crate) process: Option<u32>,
    /// When the engine was asked for it last, by the agent's clock.
    pub(crate) seen_at: Duration,
}

impl Replica {
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.container.state, ContainerState::Running { .. })
    }

    /// Whether it runs, and its own looks have failed for too long.
    pub(crate) fn is_ill(&self, after: Duration) -> bool {
        self.is_running() && self.looks.are_too_long(after, self.container.slot)
    }
}

/// Who waits for an app to listen looks every few milliseconds: the engine, which is busy starting it, is not asked each
/// time whether it still runs. That it ended is heard anyway.
const JUST_NOW: Duration = Duration::from_millis(100);

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

    /// A container that the engine just said to run.
    pub(crate) fn runs_just_now(&self, name: &ContainerName, now: Duration) -> Option<Replica> {
        let seen = self.lock();
        let is_new = |replica: &&Replica| now.saturating_sub(replica.seen_at) < JUST_NOW;
        seen.get(name).filter(|replica| replica.is_running()).filter(is_new).cloned()
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
        self.note(replica, |known| known.process = process);
    }

    /// Notes whether the port of a container answered somebody who asked.
    pub(crate) fn looked(&self, replica: &Replica, healthy: bool) {
        self.note(replica, |known| {
            known.healthy = Some(healthy);
            if healthy {
                known.looks.found_well();
            }
        });
    }

    /// Notes what one of the looks found that the agent makes of itself: only those are so far apart that they count.
    pub(crate) fn watched(&self, replica: &Replica, healthy: bool, now: Duration) {
        self.looked(replica, healthy);
        if !healthy {
            self.note(replica, |known| known.looks.failed(now));
        }
    }

    /// Notes that a run is stopped because it is ill.
    pub(crate) fn stopped(&self, replica: &Replica, now: Duration) {
        self.note(replica, |known| known.looks.stopped(now));
    }

    /// Notes that a run has ended so: whoever hears the samples says why there is another one.
    pub(crate) fn ended_ill(&self, name: &ContainerName, ended: EndedIll) {
        if let Some(replica) = self.lock().get_mut(name) {
            replica.ended_ill = Some(ended);
        }
    }

    /// What becomes of one that is ill for too long: while another one of its app was stopped here, and may be well again
    /// `within` that time, nothing; and nothing while so many apps are ill that it may be the fault of who looks.
    pub(crate) fn verdict(&self, ill: &Replica, within: Duration, now: Duration) -> Verdict {
        let seen = self.lock();
        let (instance, name) = (&ill.container.instance, &ill.container.name);
        let mut others = seen.values().filter(|one| one.container.name != *name);
        if others
            .any(|one| one.container.instance == *instance && one.looks.is_coming_back(now, within))
        {
            return Verdict::Later;
        }
        let running = seen.values().filter(|one| one.is_running() && one.looks.was_well());
        let failing = running.clone().filter(|one| one.looks.failed_in_a_row() > 0);
        let apps: BTreeSet<_> = running.map(|one| &one.container.instance).collect();
        let ill: BTreeSet<_> = failing.map(|one| &one.container.instance).collect();
        verdict(None, within, ill.len(), apps.len())
    }

    /// Changes what is known of a run, unless it is another one by now.
    fn note(&self, run: &Replica, change: impl FnOnce(&mut Replica)) {
        if let Some(known) = self.lock().get_mut(&run.container.name)
            && known.container.id == run.container.id
            && known.container.state == run.container.state
        {
            change(known);
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
    let looks = known.as_ref().map(|known| known.looks).unwrap_or_default();
    let looks = if same_run { looks } else { looks.of_next_run() };
    let process = known.as_ref().and_then(|known| known.process).filter(|_| same_run);
    let ended_ill = known.as_ref().and_then(|known| known.ended_ill);
    let mut history = known.map(|known| known.history).unwrap_or_default();
    if let Some(exit) = Exit::of(&container.state) {
        history.ended(exit, now);
    }
    Replica { container, healthy, looks, history, ended_ill, process, seen_at: now }
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
        replicas.looked(&first, true);
        assert_eq!(see(&replicas, container("a", running(1))).healthy, Some(true));
        assert_eq!(see(&replicas, container("a", running(2))).healthy, None);
        replicas.looked(&first, true);
        let other = Container { id: "other".to_owned(), ..container("a", running(2)) };
        replicas.looked(&Replica { container: other, ..first }, true);
        assert_eq!(replicas.all()[0].healthy, None);
    }

    #[test]
    fn only_the_agents_own_looks_count_and_each_run_has_its_own() {
        let replicas = Replicas::default();
        let first = see(&replicas, container("a", running(1)));
        let failed = || replicas.all()[0].looks.failed_in_a_row();
        replicas.watched(&first, false, Duration::ZERO);
        replicas.looked(&first, false);
        replicas.watched(&first, false, Duration::ZERO);
        assert_eq!(failed(), 2);
        replicas.looked(&first, true);
        assert_eq!(failed(), 0);
        replicas.watched(&first, false, Duration::ZERO);
        see(&replicas, container("a", running(2)));
        replicas.watched(&first, false, Duration::ZERO);
        assert_eq!(failed(), 0);
    }

    fn numbered(instance: &str, number: u32) -> Container {
        let instance: InstanceName = instance.parse().unwrap();
        let slot = SlotNumber(number);
        let name = ContainerName::new(&instance, slot);
        Container { name, instance, slot, ..container("a", running(1)) }
    }

    #[test]
    fn of_an_apps_ill_replicas_one_is_stopped_at_a_time() {
        let replicas = Replicas::default();
        let [first, second] = [1, 2].map(|number| see(&replicas, numbered("shop", number)));
        let verdict = |now| {
            let within = Duration::from_secs(30);
            replicas.verdict(&second, within, Duration::from_secs(now))
        };
        assert_eq!(verdict(0), Verdict::Ended);
        replicas.stopped(&first, Duration::ZERO);
        assert_eq!(verdict(29), Verdict::Later);
        assert_eq!(verdict(30), Verdict::Ended);
        replicas.stopped(&first, Duration::ZERO);
        replicas.looked(&first, true);
        assert_eq!(verdict(1), Verdict::Ended);
    }

    #[test]
    fn where_most_apps_of_a_machine_are_ill_at_once_none_is_stopped() {
        let replicas = Replicas::default();
        let apps = ["shop", "blog", "wiki", "chat", "mail"];
        let all = apps.map(|name| see(&replicas, numbered(name, 1)));
        let verdict = || replicas.verdict(&all[0], Duration::ZERO, Duration::ZERO);
        for app in &all {
            replicas.looked(app, true);
        }
        for app in &all[..2] {
            replicas.watched(app, false, Duration::ZERO);
        }
        assert_eq!(verdict(), Verdict::Ended);
        replicas.watched(&all[2], false, Duration::ZERO);
        assert_eq!(verdict(), Verdict::Doubted);
    }

    #[test]
    fn only_what_the_engine_just_said_to_run_is_taken_to_run() {
        let replicas = Replicas::default();
        let name = container("a", running(1)).name;
        let runs = |now| replicas.runs_just_now(&name, Duration::from_millis(now)).is_some();
        assert!(!runs(0));
        see(&replicas, container("a", running(1)));
        assert!(runs(99));
        assert!(!runs(100));
        see(&replicas, container("a", ended(2)));
        assert!(!runs(0));
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
