//! The next step of a part of the base on a machine that answers: made where it is absent, restarted where it hangs. What
//! ends is started again by its agent.

use std::time::Duration;

use common::port::container::ContainerState;
use common::port::part::Part;
use jiff::Timestamp;
use rollout::parts::BasePart;

use super::waits::{Waits, elapsed};
use crate::records::BaseHistory;

/// How long one that was never ready since its start may take: a first start of Kafka on a small machine.
const START_WITHIN: Duration = Duration::from_mins(5);

/// When something is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// So long one that was ready may be ill before it is restarted.
    pub(crate) restart_after: Duration,
    pub(crate) waits: Waits,
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
    let Some(Illness { lasting, was_ready }) = facts.illness else { return Step::Rest };
    let patience = if was_ready { facts.rules.restart_after } else { START_WITHIN };
    let BaseHistory { attempts, last, .. } = facts.history;
    let is_due = facts.rules.waits.left(*attempts, *last, facts.now).is_zero();
    let may = only_we_look_at(facts.part) && !facts.another_restarts && !facts.braked;
    if lasting >= patience && is_due && may { Step::Restart } else { Step::Rest }
}

/// Whether one that is not ready was restarted so short a time ago that it may yet become so.
pub(crate) fn is_restarting(history: &BaseHistory, now: Timestamp) -> bool {
    history.last.is_some_and(|last| elapsed(last, now) < START_WITHIN)
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
        | BasePart::LifecycleManager
        | BasePart::PlatformInitializer => Step::Make,
    }
}

/// Services are looked at by monitoring, which asks for their restarts.
fn only_we_look_at(part: BasePart) -> bool {
    match part {
        BasePart::Registry | BasePart::ZooKeeper | BasePart::Kafka | BasePart::Edge => true,
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
        for (seconds, was_ready, step) in [
            (14, true, Step::Rest),
            (15, true, Step::Restart),
            (299, false, Step::Rest),
            (300, false, Step::Restart),
        ] {
            assert_eq!(ill(BasePart::Kafka, seconds, was_ready, |_| {}), step, "{seconds}");
        }
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
            let illness = Some(Illness { lasting: Duration::from_mins(1), was_ready: true });
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
