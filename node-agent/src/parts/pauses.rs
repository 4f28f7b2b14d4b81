//! When code that could not be built may be tried again by itself: a share and a builder are not asked without end. Who
//! orders a part does not wait.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::name::PartName;

const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_mins(5);

#[derive(Debug, Default)]
pub(super) struct Pauses {
    ends: Mutex<BTreeMap<PartName, Pause>>,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    length: Duration,
    ends: Duration,
}

impl Pauses {
    /// How long the part still has to wait; none if it may be made now.
    pub(super) fn left(&self, name: &PartName, now: Duration) -> Option<Duration> {
        let left = self.lock().get(name)?.ends.saturating_sub(now);
        (left > Duration::ZERO).then_some(left)
    }

    /// It failed once more; gives how long it has to wait.
    pub(super) fn failed(&self, name: &PartName, now: Duration) -> Duration {
        let mut pauses = self.lock();
        let length = pauses.get(name).map_or(FIRST, |last| (last.length * 2).min(LONGEST));
        pauses.insert(name.clone(), Pause { length, ends: now + length });
        length
    }

    /// It was made, or is not wanted any more.
    pub(super) fn end(&self, name: &PartName) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PartName, Pause>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_end_with_a_success() {
        let (pauses, name) = (Pauses::default(), "shop".parse().unwrap());
        let mut now = Duration::ZERO;
        let mut lengths = Vec::new();
        for _ in 0..9 {
            assert_eq!(pauses.left(&name, now), None);
            lengths.push(pauses.failed(&name, now).as_secs());
            assert!(pauses.left(&name, now).is_some());
            now += pauses.left(&name, now).unwrap();
        }
        assert_eq!(lengths, [2, 4, 8, 16, 32, 64, 128, 256, 300]);
        pauses.failed(&name, now);
        pauses.end(&name);
        assert_eq!(pauses.left(&name, now), None);
        assert_eq!(pauses.failed(&name, now), FIRST);
    }
}
