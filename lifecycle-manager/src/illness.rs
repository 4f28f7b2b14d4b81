//! For how long parts have been ill. In memory only: who has just taken the lead gives each its whole time.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use common::name::{NodeName, PartName};
use common::port::part::Part;
use tokio::time::Instant;

use crate::domain::base::{Illness, is_ill};
use crate::domain::sighting::is_ready;

/// One for the whole service.
#[derive(Debug, Default)]
pub(crate) struct Illnesses {
    courses: Mutex<BTreeMap<(NodeName, PartName), Course>>,
}

/// One run of a part.
#[derive(Debug)]
struct Course {
    /// As it was seen last: another start, or another specification, is another run.
    part: Part,
    was_ready: bool,
    ill_since: Option<Instant>,
}

impl Illnesses {
    /// Takes in how a part is seen now; for how long it has been ill, if it is.
    pub(crate) fn see(&self, node: &NodeName, part: &Part) -> Option<Illness> {
        let mut courses = self.courses.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (node.clone(), part.name.clone());
        let before = courses.remove(&key).filter(|before| before.is_same_run(part));
        let was_ready = before.as_ref().is_some_and(|before| before.was_ready) || is_ready(part);
        let since = before.and_then(|before| before.ill_since).unwrap_or_else(Instant::now);
        let ill_since = is_ill(part).then_some(since);
        courses.insert(key, Course { part: part.clone(), was_ready, ill_since });
        ill_since.map(|since| Illness { lasting: since.elapsed(), was_ready })
    }
}

impl Course {
    fn is_same_run(&self, part: &Part) -> bool {
        self.part.state == part.state && self.part.spec_hash == part.spec_hash
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use common::id::{Epoch, Generation};
    use common::port::container::ContainerState;
    use jiff::Timestamp;
    use tokio::time::sleep;

    use super::*;

    fn part(second: i64, healthy: Option<bool>) -> Part {
        let since = Timestamp::from_second(second).unwrap();
        Part {
            name: "kafka".parse().unwrap(),
            generation: Generation(1),
            epoch: Epoch(1),
            spec_hash: String::new(),
            state: ContainerState::Running { since },
            healthy,
            apart: false,
            restarts: 0,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_illness_begins_with_its_first_sign_and_ends_with_recovery_or_another_run() {
        let (illnesses, node) = (Illnesses::default(), "node-1".parse().unwrap());
        let seconds = |healthy, run| {
            let illness = illnesses.see(&node, &part(run, healthy));
            illness.map(|illness| (illness.lasting.as_secs(), illness.was_ready))
        };
        assert_eq!(seconds(Some(false), 1), Some((0, false)));
        assert_eq!(seconds(Some(true), 1), None);
        sleep(Duration::from_secs(3)).await;
        assert_eq!(seconds(Some(false), 1), Some((0, true)));
        sleep(Duration::from_secs(3)).await;
        assert_eq!(seconds(Some(false), 1), Some((3, true)));
        assert_eq!(seconds(None, 2), None, "nobody has looked yet");
        assert_eq!(seconds(Some(false), 2), Some((0, false)), "it is another run");
    }
}
