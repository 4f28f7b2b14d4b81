//! When a machine that is to be taken away may go: not before what is on it stands elsewhere. For a person that is not waited
//! for for ever; what only the platform wants to be gone stays where an app is on it after all.

use std::time::Duration;

use common::record::node::Verdict;

use crate::records::Taker;

/// So long bundles are given to be copied from what they are on besides. An agent that has just begun hears within five minutes
/// which are needed, and a copy is made when it was missing at two looks, a minute apart.
const COPIED_AFTER: Duration = Duration::from_mins(8);
/// Longer no person waits for it to be empty.
const MOST: Duration = Duration::from_mins(15);

/// What is known of a machine that leaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) taker: Taker,
    pub(crate) lasting: Duration,
    /// The node manager's verdict on it and how long it stands; none where it never had one: then it has no apps.
    pub(crate) verdict: Option<(Verdict, Duration)>,
    /// Host ports that apps have on it.
    pub(crate) leases: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Departure {
    Go,
    /// It is needed: it is not to be gone any more.
    Stay,
    Wait(&'static str),
}

/// Whether it may go.
pub(crate) fn departure(facts: Facts) -> Departure {
    if facts.taker == Taker::Platform && facts.leases > 0 {
        return Departure::Stay;
    }
    let Some((verdict, since)) = facts.verdict else { return Departure::Go };
    if facts.taker == Taker::Person && facts.lasting >= MOST {
        return Departure::Go;
    }
    match verdict {
        Verdict::Live | Verdict::Suspect => Departure::Wait("it is waited for to be emptied"),
        Verdict::Draining | Verdict::Dead if facts.leases > 0 => {
            Departure::Wait("its apps are made on other machines")
        }
        Verdict::Draining | Verdict::Dead if since < COPIED_AFTER => {
            Departure::Wait("what it keeps is copied to other machines")
        }
        Verdict::Draining | Verdict::Dead => Departure::Go,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(
        taker: Taker,
        minutes: u64,
        verdict: Option<(Verdict, u64)>,
        leases: usize,
    ) -> Departure {
        let minute = |minutes: u64| Duration::from_secs(60 * minutes);
        let verdict = verdict.map(|(verdict, minutes)| (verdict, minute(minutes)));
        departure(Facts { taker, lasting: minute(minutes), verdict, leases })
    }

    fn after(minutes: u64, verdict: Option<(Verdict, u64)>, leases: usize) -> bool {
        decided(Taker::Person, minutes, verdict, leases) == Departure::Go
    }

    #[test]
    fn a_machine_goes_when_its_apps_are_elsewhere_and_its_bundles_were_copied() {
        use Verdict::{Dead, Draining, Live};
        for (minutes, verdict, leases, goes) in [
            (0, None, 0, true),
            (1, Some((Live, 60)), 0, false),
            (9, Some((Draining, 8)), 1, false),
            (7, Some((Draining, 7)), 0, false),
            (8, Some((Draining, 8)), 0, true),
            (8, Some((Dead, 8)), 0, true),
            (8, Some((Dead, 8)), 2, false),
        ] {
            assert_eq!(after(minutes, verdict, leases), goes, "{minutes} {verdict:?} {leases}");
        }
    }

    #[test]
    fn what_only_the_platform_wants_to_be_gone_stays_if_an_app_is_on_it_and_goes_only_when_empty() {
        use Verdict::{Dead, Draining, Live};
        let decided = |minutes, verdict, leases| decided(Taker::Platform, minutes, verdict, leases);
        for verdict in [None, Some((Live, 60)), Some((Draining, 60)), Some((Dead, 60))] {
            assert_eq!(decided(60, verdict, 1), Departure::Stay, "{verdict:?}");
        }
        assert!(matches!(decided(60, Some((Live, 90)), 0), Departure::Wait(_)));
        assert!(matches!(decided(60, Some((Draining, 7)), 0), Departure::Wait(_)));
        assert_eq!(decided(8, Some((Draining, 8)), 0), Departure::Go);
    }

    #[test]
    fn no_person_waits_for_ever() {
        assert!(!after(14, Some((Verdict::Live, 60)), 1));
        assert!(after(15, Some((Verdict::Live, 60)), 1));
    }
}
