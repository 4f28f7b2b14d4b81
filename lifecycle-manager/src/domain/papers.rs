//! When certificates are renewed: the authority gives another one a year before the one that it gave last ends.

use std::time::Duration;

use common::digest::Digest;
use jiff::Timestamp;

use super::waits::elapsed;
use crate::records::Paper;

const DAY: Duration = Duration::from_hours(24);
/// A certificate that somebody else gave is replaced after so long: it may be a year older than one that is known.
const UNKNOWN_FOR: Duration = Duration::from_hours(24 * 30);
/// So long it may wait until it can be replaced without harm. Then its end would be the greater one.
const PATIENCE: Duration = Duration::from_hours(24 * 90);
/// What was renewed is waited for that long before something else is.
const PROBATION: Duration = DAY;

/// Whether another certificate should be in its place. `current` is what the authority gives now.
pub(crate) fn is_due(paper: &Paper, current: &Digest, now: Timestamp) -> bool {
    match &paper.certificate {
        Some(certificate) => certificate != current,
        None => elapsed(paper.since, now) >= UNKNOWN_FOR,
    }
}

/// Whether it is replaced even where that does harm.
pub(crate) fn is_urgent(paper: &Paper, now: Timestamp) -> bool {
    paper.due.is_some_and(|due| elapsed(due, now) >= PATIENCE)
}

/// Whether it is so new that it may be the cause of what is not ready.
pub(crate) fn is_on_probation(paper: &Paper, now: Timestamp) -> bool {
    elapsed(paper.since, now) < PROBATION
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn day(day: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * day)
    }

    #[test]
    fn one_that_is_known_is_due_when_the_authority_gives_another_and_no_sooner() {
        let (former, current) = (Digest::of(b"former"), Digest::of(b"current"));
        let paper = Paper::new("", Some(former.clone()), day(0));
        assert!(!is_due(&paper, &former, day(500)));
        assert!(is_due(&paper, &current, day(0)));
    }

    #[test]
    fn one_that_is_not_known_is_due_after_a_month() {
        let paper = Paper::new("", None, day(0));
        let current = Digest::of(b"current");
        assert!(!is_due(&paper, &current, day(29)));
        assert!(is_due(&paper, &current, day(30)));
    }

    #[test]
    fn one_that_waits_for_a_quarter_waits_no_more() {
        let paper = Paper { due: Some(day(100)), ..Paper::new("", None, day(0)) };
        assert!(!is_urgent(&paper, day(189)) && is_urgent(&paper, day(190)));
    }
}
