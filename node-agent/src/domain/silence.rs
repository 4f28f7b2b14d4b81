//! When a part that runs and answers nothing is ended, so that it is started again. Who answers that it is not ready is
//! heard: what it waits for is no business of its machine.

use std::time::Duration;

/// A look says nothing of more time than this: while the machine itself slept, nobody was silent.
const STRIDE: Duration = Duration::from_secs(5);
/// How long one may take that was never heard since its start: a first start of Kafka on a small machine.
pub(crate) const START_WITHIN: Duration = Duration::from_mins(5);
/// How long one that was ended may take until it answers again, as a rule.
pub(crate) const BACK_WITHIN: Duration = Duration::from_mins(3);
/// One that answered for so long without a break is back: by then a ZooKeeper has found the others, or has said nothing.
pub(crate) const STEADY_FOR: Duration = Duration::from_mins(1);
/// One that answered for so long is patiently waited for no longer than any other.
const CALM: Duration = Duration::from_mins(10);
/// After this many doublings, patience grows no more.
const MOST_DOUBLINGS: u32 = 4;
/// So many that are silent at once, and more than half, may as well be the fault of who looks.
const FEW: usize = 3;
/// So many that answer and say that their loops are silent, and more than half of those that could, may as well be the
/// fault of what they have in common: a store, a bus.
const FEW_IDLE: usize = 2;

/// How long a part may be silent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) after: Duration,
    /// From its start on, until it is first heard; where that is longer than for any other.
    pub(crate) start: Duration,
    /// How long it may take to end.
    pub(crate) stop: Duration,
    /// Which of its kind it is, from 0.
    pub(crate) turn: u16,
}

/// What is heard of a part: of its present run, but for how often it was ended for its silence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Silence {
    heard: bool,
    lasting: Duration,
    calm: Duration,
    ended: u32,
}

impl Silence {
    /// It answered, so long after the look before.
    pub(crate) fn broken(&mut self, passed: Duration) {
        (self.heard, self.lasting) = (true, Duration::ZERO);
        self.calm += passed.min(STRIDE);
        if self.calm >= CALM {
            self.ended = 0;
        }
    }

    /// It did not.
    pub(crate) fn goes_on(&mut self, passed: Duration) {
        self.lasting += passed.min(STRIDE);
        self.calm = Duration::ZERO;
    }

    /// It is ended for it.
    pub(crate) fn ends(&mut self) {
        self.ended += 1;
        self.begins_anew();
    }

    /// Another run of it has begun.
    pub(crate) fn begins_anew(&mut self) {
        *self = Silence { ended: self.ended, ..Silence::default() };
    }

    /// Whether it answered for so long without a break.
    pub(crate) fn is_broken_for(&self, long: Duration) -> bool {
        self.calm >= long
    }

    pub(crate) fn lasts(&self) -> bool {
        self.lasting > Duration::ZERO
    }

    /// Whether it has lasted for too long. Each turn begins when the one before it was ended and had its time to come back;
    /// that is added, and never grows: a patience that doubles meets no other turn's first.
    pub(crate) fn is_too_long(&self, patience: Patience) -> bool {
        let Patience { after, start, stop, turn } = patience;
        let once = if self.heard { after } else { after.max(start).max(START_WITHIN) };
        let doubled = once.saturating_mul(1 << self.ended.min(MOST_DOUBLINGS));
        let turns = (after + stop + BACK_WITHIN).saturating_mul(u32::from(turn));
        self.lasting >= doubled.saturating_add(turns)
    }
}

/// What becomes of one that was silent for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ended,
    /// So many are silent that nobody is ended for it.
    Doubted,
    /// Another one was due of late: a machine that is slow all over is not made faster by starting one after another.
    Later,
}

/// `last`: how long ago something became of one.
pub(crate) fn verdict(
    last: Option<Duration>,
    after: Duration,
    silent: usize,
    looked_at: usize,
) -> Verdict {
    match last {
        Some(ago) if ago < after => Verdict::Later,
        _ if silent >= FEW && silent * 2 > looked_at => Verdict::Doubted,
        _ => Verdict::Ended,
    }
}

/// Whether those that are idle are left, of all that are asked by a path: no other can be.
pub(crate) fn is_idleness_shared(idle: usize, asked_by_path: usize) -> bool {
    idle >= FEW_IDLE && idle * 2 > asked_by_path
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    /// As Kafka's: of three, each takes a minute to end.
    const KAFKA: Patience = Patience {
        after: Duration::from_mins(1),
        start: Duration::from_mins(15),
        stop: Duration::from_mins(1),
        turn: 0,
    };
    const ANY: Patience = Patience { start: Duration::ZERO, ..KAFKA };

    /// After how many seconds it is ended, if each look takes one.
    fn seconds(silence: &mut Silence, patience: Patience) -> u32 {
        let mut seconds = 0;
        while !silence.is_too_long(patience) {
            silence.goes_on(SECOND);
            seconds += 1;
        }
        seconds
    }

    fn heard() -> Silence {
        let mut silence = Silence::default();
        silence.broken(SECOND);
        silence
    }

    #[test]
    fn those_of_one_kind_have_their_turns_and_a_start_has_its_time() {
        let turn = |turn| Patience { turn, ..KAFKA };
        let turns = [0, 1, 2].map(|number| seconds(&mut heard(), turn(number)));
        assert_eq!(turns, [60, 360, 660]);
        assert_eq!(seconds(&mut Silence::default(), ANY), 300);
        assert_eq!(seconds(&mut Silence::default(), KAFKA), 900);
        assert_eq!(seconds(&mut Silence::default(), turn(1)), 1200);
    }

    #[test]
    fn one_that_was_ended_before_is_not_ended_while_the_next_turn_comes_back() {
        let turn = |turn| Patience { turn, ..KAFKA };
        let never = [1, 2].map(|number| seconds(&mut heard(), turn(number)));
        for ended in 0..8 {
            let mut silence = Silence { ended, ..heard() };
            let at = seconds(&mut silence, turn(0));
            let away = KAFKA.stop.as_secs() + 60;
            for other in never {
                assert!(u64::from(at.abs_diff(other)) >= away, "{at} and {other}");
            }
        }
    }

    #[test]
    fn an_answer_ends_a_silence_and_long_calm_what_was_before() {
        let mut silence = heard();
        let mut waits = Vec::new();
        for _ in 0..6 {
            waits.push(seconds(&mut silence, ANY));
            silence.ends();
            silence.broken(SECOND);
        }
        assert_eq!(waits, [60, 120, 240, 480, 960, 960]);
        silence.goes_on(SECOND);
        silence.broken(SECOND);
        assert!(!silence.lasts());
        for _ in 0..600 {
            silence.broken(SECOND);
        }
        assert_eq!(seconds(&mut silence, ANY), 60);
    }

    #[test]
    fn a_machine_that_slept_says_nothing_of_its_parts() {
        let mut silence = heard();
        silence.goes_on(Duration::from_hours(1));
        assert!(!silence.is_too_long(ANY));
    }

    #[test]
    fn where_most_are_silent_who_looks_is_doubted() {
        for (silent, looked_at, is) in
            [(1, 1, false), (2, 2, false), (3, 3, true), (3, 5, true), (3, 6, false), (4, 7, true)]
        {
            let wanted = if is { Verdict::Doubted } else { Verdict::Ended };
            let told = verdict(None, ANY.after, silent, looked_at);
            assert_eq!(told, wanted, "{silent} of {looked_at}");
        }
    }

    #[test]
    fn where_most_services_are_idle_what_they_share_is_doubted() {
        for (idle, asked_by_path, wanted) in
            [(1, 1, false), (2, 2, true), (2, 3, true), (2, 4, false), (3, 5, true)]
        {
            let told = is_idleness_shared(idle, asked_by_path);
            assert_eq!(told, wanted, "{idle} of {asked_by_path}");
        }
    }

    #[test]
    fn nothing_becomes_of_two_within_a_minute() {
        for (ago, silent, wanted) in [
            (0, 2, Verdict::Later),
            (59, 2, Verdict::Later),
            (59, 9, Verdict::Later),
            (60, 2, Verdict::Ended),
            (60, 9, Verdict::Doubted),
        ] {
            let last = Some(Duration::from_secs(ago));
            assert_eq!(verdict(last, ANY.after, silent, 9), wanted, "{silent} after {ago}");
        }
    }
}
