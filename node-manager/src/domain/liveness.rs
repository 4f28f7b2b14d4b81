//! Whether a node lives: a verdict from how long it has been silent, and how often it died.

use std::time::Duration;

use common::record::node::Verdict;

/// When silence means something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Thresholds {
    pub(crate) suspect_after: Duration,
    pub(crate) dead_after: Duration,
    pub(crate) hold_down: Duration,
}

/// What was heard of a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heard {
    /// How long somebody has been listening without a break.
    pub(crate) listening: Duration,
    /// How long ago the last sample came; none if none ever did.
    pub(crate) silent: Option<Duration>,
    /// How long samples had been coming without a gap, at the last one.
    pub(crate) steady: Duration,
    /// How often it was declared dead within the last hold-down.
    pub(crate) deaths: usize,
}

/// A verdict and why, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    pub(crate) reason: String,
}

/// Whether a node is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Future {
    Stays,
    /// Nothing of apps is to be on it, until somebody returns it.
    Drained,
    Leaves,
}

/// The verdict on a node; none as long as it was neither heard nor listened to for long enough.
pub(crate) fn judge(
    thresholds: &Thresholds,
    heard: &Heard,
    before: Option<Verdict>,
    future: Future,
) -> Option<Judgement> {
    let silence = heard.silent.unwrap_or(heard.listening);
    if heard.silent.is_some_and(|silent| silent < thresholds.suspect_after) {
        return Some(match future {
            Future::Stays => heard_from(thresholds, heard, before),
            Future::Drained => draining("it is drained until it is returned"),
            Future::Leaves => draining("it is being emptied"),
        });
    }
    // Who has just begun to listen does not take its own deafness for others' silence.
    if heard.listening < thresholds.dead_after {
        return None;
    }
    let seconds = silence.as_secs();
    if silence >= thresholds.dead_after || before == Some(Verdict::Dead) {
        return Some(Judgement {
            verdict: Verdict::Dead,
            reason: format!("no sample came for {seconds} s"),
        });
    }
    let verdict =
        if before == Some(Verdict::Draining) { Verdict::Draining } else { Verdict::Suspect };
    Some(Judgement { verdict, reason: format!("no sample came for {seconds} s") })
}

fn draining(reason: &str) -> Judgement {
    Judgement { verdict: Verdict::Draining, reason: reason.to_owned() }
}

/// The verdict on a node whose samples come.
fn heard_from(thresholds: &Thresholds, heard: &Heard, before: Option<Verdict>) -> Judgement {
    let needed = match (before, heard.deaths) {
        (None | Some(Verdict::Live), _) | (Some(Verdict::Draining), 0) => Duration::ZERO,
        (Some(Verdict::Suspect | Verdict::Dead), 0) => thresholds.suspect_after,
        // Also of one that was to be emptied meanwhile.
        (Some(_), 1) => thresholds.dead_after,
        (Some(_), _) => thresholds.hold_down,
    };
    if heard.steady >= needed {
        Judgement { verdict: Verdict::Live, reason: "its samples come".to_owned() }
    } else {
        let seconds = needed.as_secs();
        let reason = format!("its samples come again; it is used once they came for {seconds} s");
        Judgement { verdict: Verdict::Suspect, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLDS: Thresholds = Thresholds {
        suspect_after: Duration::from_secs(2),
        dead_after: Duration::from_secs(6),
        hold_down: Duration::from_mins(1),
    };

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn heard(silent_ms: u64) -> Heard {
        Heard {
            listening: Duration::from_hours(1),
            silent: Some(ms(silent_ms)),
            steady: Duration::from_hours(1),
            deaths: 0,
        }
    }

    fn verdict(heard: Heard, before: Option<Verdict>) -> Option<Verdict> {
        judge(&THRESHOLDS, &heard, before, Future::Stays).map(|judgement| judgement.verdict)
    }

    #[test]
    fn silence_makes_suspect_and_then_dead() {
        for (silent_ms, expected) in [
            (0, Verdict::Live),
            (1999, Verdict::Live),
            (2000, Verdict::Suspect),
            (5999, Verdict::Suspect),
            (6000, Verdict::Dead),
            (60_000, Verdict::Dead),
        ] {
            assert_eq!(
                verdict(heard(silent_ms), Some(Verdict::Live)),
                Some(expected),
                "{silent_ms}"
            );
        }
    }

    #[test]
    fn nobody_is_judged_before_a_full_window_of_listening() {
        for listening_ms in [0, 3000, 5999] {
            let never = Heard { listening: ms(listening_ms), silent: None, ..heard(0) };
            assert_eq!(verdict(never, Some(Verdict::Live)), None, "{listening_ms}");
            assert_eq!(verdict(never, None), None, "{listening_ms}");
        }
        let never = Heard { listening: ms(6000), silent: None, ..heard(0) };
        assert_eq!(verdict(never, Some(Verdict::Live)), Some(Verdict::Dead));
        let early = Heard { listening: ms(100), silent: Some(ms(50)), steady: ms(0), ..heard(0) };
        assert_eq!(verdict(early, None), Some(Verdict::Live));
        assert_eq!(verdict(early, Some(Verdict::Live)), Some(Verdict::Live));
    }

    #[test]
    fn a_node_that_comes_back_is_used_once_it_is_steady_and_later_if_it_flaps() {
        for (deaths, steady_ms, expected) in [
            (0, 1999, Verdict::Suspect),
            (0, 2000, Verdict::Live),
            (1, 5999, Verdict::Suspect),
            (1, 6000, Verdict::Live),
            (2, 59_999, Verdict::Suspect),
            (2, 60_000, Verdict::Live),
        ] {
            let back = Heard { steady: ms(steady_ms), deaths, ..heard(100) };
            for before in [Verdict::Dead, Verdict::Suspect] {
                assert_eq!(verdict(back, Some(before)), Some(expected), "{deaths} {steady_ms}");
            }
        }
    }

    #[test]
    fn a_dead_node_stays_dead_until_it_is_heard() {
        assert_eq!(verdict(heard(3000), Some(Verdict::Dead)), Some(Verdict::Dead));
    }

    #[test]
    fn a_node_that_is_emptied_is_so_while_it_lives_and_used_again_if_it_stays() {
        for future in [Future::Leaves, Future::Drained] {
            let judged = |heard: Heard, before| {
                judge(&THRESHOLDS, &heard, before, future).map(|judgement| judgement.verdict)
            };
            for before in
                [None, Some(Verdict::Live), Some(Verdict::Suspect), Some(Verdict::Draining)]
            {
                assert_eq!(judged(heard(100), before), Some(Verdict::Draining), "{before:?}");
            }
            assert_eq!(judged(heard(3000), Some(Verdict::Draining)), Some(Verdict::Draining));
            assert_eq!(judged(heard(7000), Some(Verdict::Draining)), Some(Verdict::Dead));
        }
        assert_eq!(verdict(heard(100), Some(Verdict::Draining)), Some(Verdict::Live));
    }

    #[test]
    fn a_node_that_died_while_it_was_drained_is_used_again_no_sooner_than_another() {
        for (deaths, steady_ms, expected) in [
            (0, 0, Verdict::Live),
            (1, 5999, Verdict::Suspect),
            (1, 6000, Verdict::Live),
            (2, 59_999, Verdict::Suspect),
            (2, 60_000, Verdict::Live),
        ] {
            let returned = Heard { steady: ms(steady_ms), deaths, ..heard(100) };
            let judged = verdict(returned, Some(Verdict::Draining));
            assert_eq!(judged, Some(expected), "{deaths} {steady_ms}");
        }
    }
}
