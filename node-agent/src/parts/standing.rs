//! What is known of each part beyond what the engine says: its health and its history.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::name::PartName;
use common::port::container::ContainerState;
use common::port::part::Part;
use tokio::time::Instant;

use crate::domain::restart::{Exit, History};
use crate::domain::silence::{STEADY_FOR, Silence};
use crate::look::Heard;

/// One part as last seen.
#[derive(Debug, Clone)]
pub(super) struct Stood {
    /// As the engine has it.
    pub(super) part: Part,
    /// What the last look at this run of it found; none before the first.
    heard: Option<Heard>,
    pub(super) history: History,
    pub(super) silence: Silence,
    /// Whether it answered when it was last looked at, and said that it does nothing.
    pub(super) is_idle: bool,
    /// Since when none of its runs was steady; or when the last one that was came to its end.
    away_since: Instant,
    /// Whether its present run was heard for so long without a break that it is back.
    is_back: bool,
}

impl Stood {
    pub(super) fn is_running(&self) -> bool {
        matches!(self.part.state, ContainerState::Running { .. })
    }

    /// As others are told of it.
    pub(super) fn told(&self) -> Part {
        let restarts = self.history.restarts();
        let healthy = self.heard.map(|heard| heard >= Heard::Apart);
        let apart = self.heard == Some(Heard::Apart);
        Part { healthy, apart, restarts, ..self.part.clone() }
    }
}

#[derive(Debug)]
pub(super) struct Standing {
    seen: Mutex<BTreeMap<PartName, Stood>>,
    /// Since when those are missed that were seen before, or were asked for in vain.
    missed: Mutex<BTreeMap<PartName, Instant>>,
    pub(super) steady_for: Duration,
}

impl Default for Standing {
    fn default() -> Self {
        let (seen, missed) = (Mutex::default(), Mutex::default());
        Standing { seen, missed, steady_for: STEADY_FOR }
    }
}

impl Standing {
    /// Takes in what a look at one name found; gives what is known of it now.
    pub(super) fn see(&self, name: &PartName, found: Option<Part>, now: Duration) -> Option<Stood> {
        let mut seen = self.lock();
        let known = seen.remove(name);
        let Some(found) = found else {
            self.missed_since(name);
            return None;
        };
        let stood = merge(known, found, now, self.found(name));
        seen.insert(name.clone(), stood.clone());
        Some(stood)
    }

    /// Takes in all parts there are; what it knew of others is forgotten.
    pub(super) fn see_all(&self, parts: Vec<Part>, now: Duration) -> Vec<Stood> {
        let mut seen = self.lock();
        let mut before = std::mem::take(&mut *seen);
        for part in parts {
            let known = before.remove(&part.name);
            let missed = self.found(&part.name);
            seen.insert(part.name.clone(), merge(known, part, now, missed));
        }
        for name in before.keys() {
            self.missed_since(name);
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

    /// Notes what a look at a part found, so long after the look before, unless it is another run by now.
    pub(super) fn looked(&self, looked_at: &Part, heard: Heard, passed: Duration) {
        if let Some(stood) = self.lock().get_mut(&looked_at.name)
            && is_same_run(&stood.part, looked_at)
        {
            stood.heard = Some(heard);
            stood.is_idle = heard == Heard::Idle;
            match heard {
                Heard::Nothing | Heard::Idle => stood.silence.goes_on(passed),
                Heard::Unwell | Heard::Apart | Heard::Well => stood.silence.broken(passed),
            }
            stood.is_back |= stood.silence.is_broken_for(self.steady_for);
        }
    }

    /// What is known of it by now, if it is still this run of it.
    pub(super) fn still(&self, run: &Part) -> Option<Stood> {
        self.lock().get(&run.name).filter(|stood| is_same_run(&stood.part, run)).cloned()
    }

    /// Whether it was ended, has ended or is gone, and its next run is not back yet, for no longer than a start may take.
    pub(super) fn is_starting(&self, name: &PartName, within: Duration) -> bool {
        let seen = self.lock();
        let since = match seen.get(name) {
            Some(stood) if stood.is_running() && stood.is_back => return false,
            Some(stood) => stood.away_since,
            None => self.missed_since(name),
        };
        since.elapsed() < within
    }

    /// Whether it runs, has been heard for long, and was heard when it was last looked at.
    pub(super) fn is_steady(&self, name: &PartName) -> bool {
        let steady = |stood: &Stood| stood.is_running() && stood.is_back && !stood.silence.lasts();
        self.lock().get(name).is_some_and(steady)
    }

    /// That run was ended for its silence. Somebody may have seen its end before this.
    pub(super) fn silenced(&self, ended: &Part) {
        let mut seen = self.lock();
        let same = seen.get_mut(&ended.name);
        if let Some(stood) = same.filter(|stood| stood.part.spec_hash == ended.spec_hash) {
            stood.silence.ends();
            (stood.is_back, stood.away_since) = (false, Instant::now());
        }
    }

    fn missed_since(&self, name: &PartName) -> Instant {
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        *missed.entry(name.clone()).or_insert_with(Instant::now)
    }

    /// It is missed no more; gives since when it was.
    fn found(&self, name: &PartName) -> Option<Instant> {
        self.missed.lock().unwrap_or_else(PoisonError::into_inner).remove(name)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PartName, Stood>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_same_run(one: &Part, other: &Part) -> bool {
    one.spec_hash == other.spec_hash && one.state == other.state
}

/// Another specification is another part, with a history of its own.
fn merge(known: Option<Stood>, part: Part, now: Duration, missed: Option<Instant>) -> Stood {
    let known = known.filter(|known| known.part.spec_hash == part.spec_hash);
    let same_run = known.as_ref().filter(|known| is_same_run(&known.part, &part));
    let heard = same_run.and_then(|known| known.heard);
    let is_idle = same_run.is_some_and(|known| known.is_idle);
    let is_another_run = same_run.is_none();
    let is_back = same_run.is_some_and(|known| known.is_back);
    // Runs that end before they are back are part of the same absence: it must come to an end.
    let away = known.as_ref().filter(|known| is_back || !known.is_back);
    let away_since = away.map(|known| known.away_since).or(missed).unwrap_or_else(Instant::now);
    let (mut history, mut silence) =
        known.map(|known| (known.history, known.silence)).unwrap_or_default();
    if is_another_run {
        silence.begins_anew();
    }
    if let Some(exit) = Exit::of(&part.state) {
        history.ended(exit, now);
    }
    Stood { part, heard, history, silence, is_idle, away_since, is_back }
}

#[cfg(test)]
mod tests {
    use common::id::{Epoch, Generation};
    use jiff::Timestamp;
    use tokio::time::advance;

    use super::*;
    use crate::domain::silence::Patience;

    fn part(spec_hash: &str, state: ContainerState) -> Part {
        Part {
            name: "kafka".parse().unwrap(),
            generation: Generation(1),
            epoch: Epoch(1),
            spec_hash: spec_hash.to_owned(),
            state,
            healthy: None,
            apart: false,
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
        let look = |part: &Part| standing.looked(part, Heard::Well, Duration::from_secs(1));
        look(&first);
        assert_eq!(see(&standing, part("a", running(1))).healthy, Some(true));
        let second = see(&standing, part("a", running(2)));
        assert_eq!(second.healthy, None);
        look(&first);
        assert_eq!(see(&standing, second).healthy, None, "the look was at the run before");
    }

    #[test]
    fn a_run_is_ended_once_for_its_silence() {
        let (standing, minute) = (Standing::default(), Duration::from_mins(1));
        let patience = Patience { after: minute, start: minute, stop: minute, turn: 0 };
        let first = see(&standing, part("a", running(1)));
        standing.looked(&first, Heard::Well, Duration::ZERO);
        for _ in 0..60 {
            standing.looked(&first, Heard::Nothing, Duration::from_secs(1));
        }
        let is_due = || standing.running()[0].silence.is_too_long(patience);
        assert!(is_due() && standing.still(&first).is_some());
        let second = see(&standing, part("a", running(2)));
        assert!(standing.still(&first).is_none(), "that run is over");
        // Its end was seen before it was noted, and counts all the same.
        standing.silenced(&first);
        standing.looked(&second, Heard::Well, Duration::ZERO);
        for wanted in [false, true] {
            for _ in 0..60 {
                standing.looked(&second, Heard::Nothing, Duration::from_secs(1));
            }
            assert_eq!(is_due(), wanted);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_on_its_way_back_from_its_end_on_until_it_is_heard_for_long() {
        let (standing, quarter) = (Standing::default(), Duration::from_mins(15));
        let starting = |part: &Part| standing.is_starting(&part.name, quarter);
        let looks = async |part: &Part, heard, seconds| {
            for _ in 0..seconds {
                advance(Duration::from_secs(1)).await;
                standing.looked(part, heard, Duration::from_secs(1));
            }
        };
        let first = see(&standing, part("a", running(1)));
        looks(&first, Heard::Well, 59).await;
        assert!(starting(&first), "a first answer says little");
        looks(&first, Heard::Well, 1).await;
        assert!(!starting(&first) && standing.is_steady(&first.name));
        // It is silent for longer than a start takes before it is ended.
        looks(&first, Heard::Nothing, 1_000).await;
        assert!(!starting(&first) && !standing.is_steady(&first.name));
        standing.silenced(&first);
        assert!(starting(&first));
        let second = see(&standing, part("a", running(2)));
        looks(&second, Heard::Well, 50).await;
        looks(&second, Heard::Nothing, 1).await;
        looks(&second, Heard::Well, 59).await;
        assert!(starting(&second) && !standing.is_steady(&second.name));
        looks(&second, Heard::Well, 1).await;
        assert!(!starting(&second) && standing.is_steady(&second.name));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_ends_it_and_while_it_is_missed_it_is_on_its_way_back_but_not_for_ever() {
        let (standing, quarter) = (Standing::default(), Duration::from_mins(15));
        let starting = |part: &Part| standing.is_starting(&part.name, quarter);
        let first = see(&standing, part("a", running(1)));
        for _ in 0..60 {
            standing.looked(&first, Heard::Well, Duration::from_secs(1));
        }
        standing.looked(&first, Heard::Nothing, Duration::from_secs(1));
        advance(quarter).await;
        assert!(!starting(&first));
        let second = see(&standing, part("a", running(2)));
        assert!(starting(&second), "the lifecycle manager ended it");
        advance(quarter / 2).await;
        see(&standing, part("a", running(3)));
        advance(quarter / 2).await;
        assert!(!starting(&second), "one that ends again and again holds up nobody");
        standing.see_all(Vec::new(), Duration::ZERO);
        assert!(starting(&second), "it is gone");
        advance(quarter / 2).await;
        see(&standing, part("a", running(4)));
        assert!(starting(&second));
        advance(quarter / 2).await;
        assert!(!starting(&second));
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
