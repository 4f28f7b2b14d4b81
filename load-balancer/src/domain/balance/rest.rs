//! No replicas where nobody asks, and one for who waits.
//!
//! What the edge does not tell is not known: then an app keeps what it has.

use std::time::Duration;

use common::port::edge::Visits;
use common::record::scale::DecisionKind;

use super::course::{Draft, Hold, Verdict};
use super::known::{Known, Way};
use super::words;

/// What the edge told so long ago says nothing any more.
const SILENT_AFTER: Duration = Duration::from_secs(1);

/// What the edge told last of an app, and when.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told(Option<(Visits, Duration)>);

impl Told {
    pub(super) fn push(&mut self, visits: Option<Visits>, now: Duration) {
        self.0 = visits.map(|visits| (visits, now));
    }

    fn at(self, now: Duration) -> Option<Visits> {
        let (visits, heard) = self.0?;
        (now.saturating_sub(heard) <= SILENT_AFTER).then_some(visits)
    }
}

/// Whether an app may have no replicas now.
pub(crate) fn may_rest(known: &Known) -> bool {
    known.scaling.min == 0 && known.scaling.idle_seconds.is_some()
}

/// None where it is to be decided as of any other app. `is_young`: it was decided on, or a replica began to serve, a
/// moment ago.
pub(super) fn next(known: &Known, told: Told, is_young: bool, now: Duration) -> Option<Verdict> {
    let after = known.scaling.idle_seconds.filter(|_| may_rest(known))?;
    let visits = told.at(now);
    if known.wanted == 0 {
        let waits = visits.is_some_and(|visits| visits.waiting > 0);
        let verdict = match known.way {
            Way::Reached if waits => draft(known, 1, DecisionKind::Woken),
            Way::Reached => Verdict::Keep(Hold::AtRest),
            Way::Missing | Way::Moving => Verdict::Keep(Hold::UnderWay),
        };
        return Some(verdict);
    }
    let visits = visits?;
    let is_idle = visits.waiting == 0 && visits.idle_seconds >= after.into();
    let rests = is_idle && known.way == Way::Reached && !is_young;
    rests.then(|| draft(known, 0, DecisionKind::Rested))
}

fn draft(known: &Known, to: u32, kind: DecisionKind) -> Verdict {
    let from = known.wanted;
    let reason = words::reason(kind, (from, to), None, &known.scaling);
    Verdict::Decide(Draft { from, to, kind, reason, load: None, fruitless: 0 })
}

#[cfg(test)]
mod tests {
    use common::record::scale::Scaling;

    use super::super::hours::Because;
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn known(wanted: u32, way: Way) -> Known {
        Known {
            scaling: Scaling { idle_seconds: Some(300), ..Scaling::within(0, 5) },
            because: Because::default(),
            wanted,
            replicas: Vec::new(),
            way,
            newest: None,
            oldest: None,
            decisions: Vec::new(),
        }
    }

    fn told(waiting: u32, idle_seconds: u64) -> Told {
        Told(Some((Visits { waiting, idle_seconds }, NOW)))
    }

    /// The number that is decided on.
    fn decided(known: &Known, told: Told, is_young: bool) -> Option<u32> {
        match next(known, told, is_young, NOW)? {
            Verdict::Decide(draft) => Some(draft.to),
            Verdict::Keep(_) => None,
        }
    }

    #[test]
    fn an_app_that_nobody_asks_for_long_enough_goes_to_rest() {
        let three = known(3, Way::Reached);
        assert_eq!(decided(&three, told(0, 299), false), None);
        assert_eq!(decided(&three, told(0, 300), false), Some(0));
        assert_eq!(decided(&three, told(0, 300), true), None, "a replica is young");
        assert_eq!(decided(&known(3, Way::Moving), told(0, 300), false), None);
        assert_eq!(decided(&known(3, Way::Missing), told(0, 300), false), None);
    }

    #[test]
    fn one_that_rests_is_woken_by_who_waits_and_by_nobody_else() {
        let resting = known(0, Way::Reached);
        assert_eq!(decided(&resting, told(1, 0), false), Some(1));
        assert_eq!(
            decided(&resting, told(1, 0), true),
            Some(1),
            "nobody waits for a rest to be over"
        );
        assert_eq!(decided(&resting, told(0, 9999), false), None);
        // Its last replica leaves yet.
        assert_eq!(decided(&known(0, Way::Moving), told(1, 0), false), None);
    }

    #[test]
    fn what_the_edge_does_not_tell_changes_nothing() {
        for wanted in [0, 2] {
            let app = known(wanted, Way::Reached);
            assert_eq!(decided(&app, Told::default(), false), None);
            let old = Told(Some((Visits { waiting: 1, idle_seconds: 300 }, Duration::ZERO)));
            assert_eq!(decided(&app, old, false), None);
        }
    }

    #[test]
    fn an_app_whose_bounds_ask_for_replicas_now_does_not_rest() {
        let mut app = known(1, Way::Reached);
        app.scaling.min = 1;
        assert_eq!(next(&app, told(0, 300), false, NOW), None);
        app.wanted = 0;
        assert_eq!(next(&app, told(0, 300), false, NOW), None, "its bounds bring it back");
    }
}
