//! The next step of a part of the base on a machine that answers: made where it is absent, restarted where it hangs. What
//! ends is started again by its agent.

use std::time::Duration;

use common::port::container::ContainerState;
use common::port::part::Part;
use jiff::Timestamp;
use rollout::parts::BasePart;

use super::waits::{Waits, elapsed};
use crate::records::BaseHistory;

/// How long one that was never ready since its start may take: a first start on a small machine.
const START_WITHIN: Duration = Duration::from_mins(5);
/// A member of an ensemble reads all that it has written first, and may wait for most of the others.
const MEMBER_STARTS_WITHIN: Duration = Duration::from_mins(15);
/// A start that was too long is given twice as long the next time, and so on.
const MOST_DOUBLINGS: u32 = 3;

/// When something is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// So long one that was ready may be ill before it is restarted.
    pub(crate) restart_after: Duration,
    /// One that keeps what others rely on, and whose disk or collector may stall: what stalls all of them is none's fault.
    /// Its own agent ends it earlier, if it is the first of its kind.
    pub(crate) keeper_restart_after: Duration,
    pub(crate) waits: Waits,
}

impl Rules {
    fn patience(&self, facts: &Facts<'_>, illness: Illness) -> Duration {
        if !illness.was_ready {
            return self.start_within(facts.part, facts.history, facts.now);
        }
        match facts.part {
            BasePart::ZooKeeper | BasePart::Kafka | BasePart::Registry => self.keeper_restart_after,
            BasePart::Edge
            | BasePart::Address
            | BasePart::LifecycleManager
            | BasePart::PlatformInitializer => self.restart_after,
        }
    }

    /// The longer, the more often it was restarted of late.
    fn start_within(&self, part: BasePart, history: &BaseHistory, now: Timestamp) -> Duration {
        let once = match part {
            BasePart::ZooKeeper | BasePart::Kafka => MEMBER_STARTS_WITHIN,
            BasePart::Registry
            | BasePart::Edge
            | BasePart::Address
            | BasePart::LifecycleManager
            | BasePart::PlatformInitializer => START_WITHIN,
        };
        let doubled = once.saturating_mul(1 << history.attempts.min(MOST_DOUBLINGS));
        let of_late = |last: Timestamp| elapsed(last, now) < doubled + self.waits.calm;
        if history.last.is_some_and(of_late) { doubled } else { once }
    }

    /// The number of the next restart. To be waited for from its start on is no calm.
    pub(crate) fn attempt(
        &self,
        part: BasePart,
        history: &BaseHistory,
        illness: Option<Illness>,
        now: Timestamp,
    ) -> u32 {
        let came_up = illness.is_none_or(|illness| illness.was_ready);
        let waited = if came_up { Duration::ZERO } else { self.start_within(part, history, now) };
        let waits = Waits { calm: self.waits.calm + waited, ..self.waits };
        waits.next(history.attempts, history.last, now)
    }
}

/// For how long a running part has not been ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Illness {
    pub(crate) lasting: Duration,
    /// Whether it was ready before, since its start.
    pub(crate) was_ready: bool,
}

/// How the others of its kind are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    /// It is the only one.
    None,
    AllReady,
    NotAllReady,
}

/// What a step is planned from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) part: BasePart,
    pub(crate) found: Option<&'a Part>,
    pub(crate) history: &'a BaseHistory,
    pub(crate) illness: Option<Illness>,
    pub(crate) others: Others,
    /// Another one of its kind was restarted of late and has still its time to become ready.
    pub(crate) another_restarts: bool,
    pub(crate) braked: bool,
    pub(crate) rules: &'a Rules,
    pub(crate) now: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Rest,
    Make,
    /// It lost what it had, and the others are not all there to give it back: it must not be counted among them.
    Hold,
    Restart,
}

/// The next step. A restart loses nothing, and where several hang it is the way back: only one at a time.
pub(crate) fn plan(facts: &Facts<'_>) -> Step {
    if facts.found.is_none() {
        return absent(facts);
    }
    let Some(illness) = facts.illness else { return Step::Rest };
    let patience = facts.rules.patience(facts, illness);
    let BaseHistory { attempts, last, .. } = facts.history;
    let is_due = facts.rules.waits.left(*attempts, *last, facts.now).is_zero();
    let may = only_we_look_at(facts.part) && !facts.another_restarts && !facts.braked;
    if illness.lasting >= patience && is_due && may { Step::Restart } else { Step::Rest }
}

/// Whether one that is not ready was restarted so short a time ago that it may yet become so.
pub(crate) fn is_restarting(history: &BaseHistory, now: Timestamp) -> bool {
    history.last.is_some_and(|last| elapsed(last, now) < START_WITHIN)
}

/// Whether its agent, which may end it for its silence, has started it again as short a time ago.
pub(crate) fn was_started_again(part: &Part, now: Timestamp) -> bool {
    let ContainerState::Running { since } = part.state else { return false };
    part.restarts > 0 && elapsed(since, now) < START_WITHIN
}

/// The registry's place is a matter of its own. A member of an ensemble that stood before has lost its data: with too few
/// of the others it could outvote what they know.
fn absent(facts: &Facts<'_>) -> Step {
    match facts.part {
        BasePart::Registry => Step::Rest,
        BasePart::ZooKeeper | BasePart::Kafka
            if facts.history.stood && facts.others == Others::NotAllReady =>
        {
            Step::Hold
        }
        BasePart::ZooKeeper
        | BasePart::Kafka
        | BasePart::Edge
        | BasePart::Address
        | BasePart::LifecycleManager
        | BasePart::PlatformInitializer => Step::Make,
    }
}

/// A lifecycle manager that hangs is ended by its agent, which needs no leader; so is a platform initializer.
fn only_we_look_at(part: BasePart) -> bool {
    match part {
        BasePart::Registry
        | BasePart::ZooKeeper
        | BasePart::Kafka
        | BasePart::Edge
        | BasePart::Address => true,
        BasePart::LifecycleManager | BasePart::PlatformInitializer => false,
    }
}

/// Whether it runs and does not do what it is for.
pub(crate) fn is_ill(part: &Part) -> bool {
    matches!(part.state, ContainerState::Running { .. }) && part.healthy == Some(false)
}

#[cfg(test)]
mod tests {
    use common::id::{Epoch, Generation};
    use jiff::SignedDuration;

    use super::*;

    const RULES: Rules = Rules {
        restart_after: Duration::from_secs(15),
        keeper_restart_after: Duration::from_secs(90),
        waits: Waits {
            first: Duration::from_secs(15),
            last: Duration::from_mins(15),
            calm: Duration::from_mins(10),
        },
    };

    fn now() -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(9)
    }

    fn found() -> Part {
        Part {
            name: "kafka".parse().unwrap(),
            generation: Generation(1),
            epoch: Epoch(1),
            spec_hash: String::new(),
            state: ContainerState::Running { since: Timestamp::UNIX_EPOCH },
            healthy: Some(false),
            apart: false,
            restarts: 0,
        }
    }

    fn ill(part: BasePart, seconds: u64, was_ready: bool, change: fn(&mut Facts<'_>)) -> Step {
        let (found, history) = (found(), BaseHistory { stood: true, ..BaseHistory::default() });
        let lasting = Duration::from_secs(seconds);
        let mut facts = Facts {
            part,
            found: Some(&found),
            history: &history,
            illness: Some(Illness { lasting, was_ready }),
            others: Others::AllReady,
            another_restarts: false,
            braked: false,
            rules: &RULES,
            now: now(),
        };
        change(&mut facts);
        plan(&facts)
    }

    #[test]
    fn what_hangs_is_restarted_once_it_has_had_its_time() {
        for (part, seconds, was_ready) in [
            (BasePart::Edge, 15, true),
            (BasePart::Edge, 300, false),
            (BasePart::Registry, 90, true),
            (BasePart::Registry, 300, false),
            (BasePart::Kafka, 90, true),
            (BasePart::Kafka, 900, false),
            (BasePart::ZooKeeper, 90, true),
            (BasePart::ZooKeeper, 900, false),
        ] {
            let step = |seconds| ill(part, seconds, was_ready, |_| {});
            assert_eq!(step(seconds - 1), Step::Rest, "{part} after {seconds}");
            assert_eq!(step(seconds), Step::Restart, "{part} after {seconds}");
        }
    }

    #[test]
    fn one_that_does_not_come_up_has_twice_as_long_each_time_until_it_was_calm() {
        let (mut history, mut now) = (BaseHistory { stood: true, ..BaseHistory::default() }, now());
        let mut starts = Vec::new();
        for _ in 0..6 {
            let within = RULES.start_within(BasePart::Kafka, &history, now);
            starts.push(within.as_secs() / 60);
            now += SignedDuration::try_from(within).unwrap();
            let illness = Some(Illness { lasting: within, was_ready: false });
            // It took some time to end, and to be seen.
            now += SignedDuration::from_mins(2);
            history.attempts = RULES.attempt(BasePart::Kafka, &history, illness, now);
            history.last = Some(now);
        }
        assert_eq!(starts, [15, 30, 60, 120, 120, 120]);
        now += SignedDuration::from_hours(9);
        assert_eq!(RULES.start_within(BasePart::Kafka, &history, now), MEMBER_STARTS_WITHIN);
        assert_eq!(RULES.attempt(BasePart::Kafka, &history, None, now), 1);
    }

    #[test]
    fn nothing_is_restarted_while_another_one_is_on_its_way_or_under_the_brake() {
        let kafka = |change| ill(BasePart::Kafka, 900, true, change);
        assert_eq!(kafka(|facts| facts.another_restarts = true), Step::Rest);
        assert_eq!(kafka(|facts| facts.others = Others::NotAllReady), Step::Restart);
        assert_eq!(ill(BasePart::Edge, 900, true, |facts| facts.braked = true), Step::Rest);
        assert_eq!(
            ill(BasePart::Registry, 900, true, |facts| facts.others = Others::None),
            Step::Restart
        );
        assert_eq!(ill(BasePart::LifecycleManager, 900, true, |_| {}), Step::Rest);
    }

    #[test]
    fn the_next_restart_waits_for_its_turn() {
        const TWICE: BaseHistory =
            BaseHistory { stood: true, attempts: 2, last: None, held_since: None };
        for (ago, step) in [(29, Step::Rest), (30, Step::Restart)] {
            let last = Some(now() - SignedDuration::from_secs(ago));
            let (found, history) = (found(), BaseHistory { last, ..TWICE });
            let illness = Some(Illness { lasting: Duration::from_mins(2), was_ready: true });
            let facts = Facts {
                part: BasePart::Kafka,
                found: Some(&found),
                history: &history,
                illness,
                others: Others::AllReady,
                another_restarts: false,
                braked: false,
                rules: &RULES,
                now: now(),
            };
            assert_eq!(plan(&facts), step, "{ago}");
        }
    }

    #[test]
    fn one_that_was_restarted_has_its_time_to_become_ready() {
        for (ago, is) in [(299, true), (300, false)] {
            let last = Some(now() - SignedDuration::from_secs(ago));
            let history = BaseHistory { last, ..BaseHistory::default() };
            assert_eq!(is_restarting(&history, now()), is, "{ago}");
        }
        assert!(!is_restarting(&BaseHistory::default(), now()));
    }

    #[test]
    fn one_that_its_agent_started_again_has_it_too() {
        let since = now() - SignedDuration::from_secs(299);
        let again = Part { state: ContainerState::Running { since }, restarts: 1, ..found() };
        assert!(was_started_again(&again, now()));
        assert!(!was_started_again(&again, now() + SignedDuration::from_secs(1)));
        assert!(!was_started_again(&Part { restarts: 0, ..again }, now()));
    }

    #[test]
    fn a_member_that_lost_its_data_waits_for_all_others_and_one_that_never_stood_for_nobody() {
        for (part, stood, others, step) in [
            (BasePart::ZooKeeper, true, Others::NotAllReady, Step::Hold),
            (BasePart::Kafka, true, Others::NotAllReady, Step::Hold),
            (BasePart::Kafka, true, Others::AllReady, Step::Make),
            (BasePart::Kafka, true, Others::None, Step::Make),
            (BasePart::ZooKeeper, false, Others::NotAllReady, Step::Make),
            (BasePart::LifecycleManager, true, Others::NotAllReady, Step::Make),
            (BasePart::Registry, true, Others::None, Step::Rest),
        ] {
            let history = BaseHistory { stood, ..BaseHistory::default() };
            let facts = Facts {
                part,
                found: None,
                history: &history,
                illness: None,
                others,
                another_restarts: true,
                braked: true,
                rules: &RULES,
                now: now(),
            };
            assert_eq!(plan(&facts), step, "{part} {others:?}");
        }
    }
}
