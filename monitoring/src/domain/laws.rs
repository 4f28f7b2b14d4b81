//! What holds of all decisions together, whatever is seen in whatever order.

use std::collections::BTreeMap;
use std::time::Duration;

use chassis::brake;
use common::id::RequestId;
use common::port::probes::Ill;
use proptest::prelude::*;
use uuid::Uuid;

use super::Moment;
use super::backoff::Waits;
use super::board::{Board, Round, Rules};
use super::budget::{Budget, Limit};
use super::finding::{Complaint, Finding};
use super::plan::{Done, Step};
use super::target::{Kind, Target};
use super::verdict::{Rule, Verdict};

const EVERY: Duration = Duration::from_secs(2);
const LIMIT: Limit = Limit { restarts: 6, within: Duration::from_mins(10) };
const WAITS: Waits = Waits {
    first: Duration::from_secs(15),
    last: Duration::from_mins(15),
    calm: Duration::from_mins(10),
};

fn rules() -> Rules {
    let grace = Duration::from_secs(6);
    Rules {
        looks: Rule { window: 5, bad: 3, good: 2, grace },
        told: Rule { window: 1, bad: 1, good: 1, grace: Duration::ZERO },
        fleet: Rule { window: 5, bad: 3, good: 1, grace: Duration::ZERO },
        waits: WAITS,
        brake: brake::Rule { percent: 30, rounds: 2 },
    }
}

fn board() -> Board {
    Board::new(rules(), Budget::resumed(LIMIT, std::iter::empty(), Duration::ZERO), BTreeMap::new())
}

/// Seven services, three nodes, five apps.
fn targets() -> Vec<Target> {
    let service = |number: usize| Target::Service {
        name: format!("service_{number}").parse().unwrap(),
        instance: "instance1".parse().unwrap(),
    };
    let node = |number: usize| Target::Node { name: format!("node-{number}").parse().unwrap() };
    let app = |number: usize| Target::App { name: format!("app-{number}").parse().unwrap() };
    (0..7).map(service).chain((0..3).map(node)).chain((0..5).map(app)).collect()
}

const BAD: Finding = Finding::Bad(Complaint::Service(Ill::Silent));

/// A board whose steps are all written down at once.
struct Play {
    board: Board,
    now: Moment,
    asked: Vec<(Moment, Target)>,
    said: Vec<String>,
}

impl Play {
    fn new() -> Self {
        Play { board: board(), now: Duration::ZERO, asked: Vec::new(), said: Vec::new() }
    }

    /// One round; what was done in it.
    fn round(&mut self, finding: impl Fn(&Target) -> Finding) -> Vec<Step> {
        self.now += EVERY;
        let found = targets().into_iter().map(|target| {
            let finding = finding(&target);
            (target, Some(finding))
        });
        let round: Round = found.collect();
        self.board.observe(&round, self.now);
        let mut all = Vec::new();
        for _ in 0..5 {
            let steps = self.board.plan(self.now);
            if steps.is_empty() {
                return all;
            }
            for step in &steps {
                self.carry_out(step);
            }
            all.extend(steps);
        }
        panic!("the plan does not come to an end: {all:?}");
    }

    fn carry_out(&mut self, step: &Step) {
        self.said.push(step.to_string());
        let done = match step {
            Step::Open { .. } => Done::Opened(RequestId(Uuid::from_u128(1))),
            Step::Restart { target, .. } => {
                self.asked.push((self.now, target.clone()));
                Done::Recorded
            }
            Step::Pronounce { .. }
            | Step::Close { .. }
            | Step::Calm { .. }
            | Step::Forget { .. } => Done::Recorded,
        };
        self.board.did(step, done, self.now);
    }

    fn rounds(&mut self, count: usize, finding: impl Fn(&Target) -> Finding) -> Vec<Step> {
        (0..count).flat_map(|_| self.round(&finding)).collect()
    }
}

fn restarts(steps: &[Step]) -> usize {
    steps.iter().filter(|step| matches!(step, Step::Restart { .. })).count()
}

#[test]
fn one_service_that_dies_is_told_and_asked_for_again_and_again() {
    let mut play = Play::new();
    play.rounds(5, |_| Finding::Well);
    play.said.clear();
    let dead = targets().remove(0);
    play.rounds(40, |target| if *target == dead { BAD } else { Finding::Well });
    play.rounds(2, |_| Finding::Well);
    let expected = [
        "say that service service_0 is down: 3 of its last 5 looks failed, the last because nobody answered",
        "open an incident of service service_0",
        "ask for restart 1 of service service_0",
        "ask for restart 2 of service service_0",
        "ask for restart 3 of service service_0",
        "say that service service_0 is up: it is well",
        "close the incident of service service_0",
    ];
    assert_eq!(play.said, expected);
    let at: Vec<u64> = play.asked.iter().map(|(at, _)| at.as_secs()).collect();
    assert_eq!(at, [16, 32, 62]);
}

#[test]
fn where_everything_looks_dead_nothing_is_restarted_and_one_alarm_is_raised() {
    let mut play = Play::new();
    play.rounds(5, |_| Finding::Well);
    let steps = play.rounds(300, |target| match target.kind() {
        Some(Kind::Service | Kind::Node) => BAD,
        Some(Kind::App) | None => Finding::Unknown,
    });
    assert_eq!(restarts(&steps), 0);
    let opened: Vec<&Target> = steps
        .iter()
        .filter_map(|step| if let Step::Open { target, .. } = step { Some(target) } else { None })
        .collect();
    let fleets = [Target::Fleet { of: Kind::Service }, Target::Fleet { of: Kind::Node }];
    assert_eq!(opened, [&fleets[0], &fleets[1]]);
    // When it is over all of it is well, and nothing was ever asked for.
    let after = play.rounds(20, |_| Finding::Well);
    assert_eq!(restarts(&after), 0);
    assert!(!play.board.is_held(Kind::Service));
    assert!(play.board.plan(play.now).is_empty());
}

#[test]
fn apps_that_all_fail_hold_apps_and_nothing_else() {
    let mut play = Play::new();
    play.rounds(5, |_| Finding::Well);
    let dead = targets().remove(0);
    let steps = play.rounds(10, |target| match target.kind() {
        Some(Kind::App) => Finding::Bad(Complaint::NoReplica(502)),
        _ if *target == dead => BAD,
        _ => Finding::Well,
    });
    assert!(restarts(&steps) > 0);
    assert!(play.asked.iter().all(|(_, target)| *target == dead), "{:?}", play.asked);
}

#[test]
fn what_is_no_fault_of_an_app_does_not_restart_it() {
    let mut play = Play::new();
    play.rounds(5, |_| Finding::Well);
    let app = targets().pop().unwrap();
    let steps = play.rounds(50, |target| {
        if *target == app { Finding::Bad(Complaint::NoEdge) } else { Finding::Well }
    });
    assert_eq!(restarts(&steps), 0);
    assert!(steps.iter().any(|step| matches!(step, Step::Open { .. })));
}

#[test]
fn a_target_that_is_gone_is_forgotten() {
    let mut play = Play::new();
    play.rounds(5, |_| Finding::Well);
    for _ in 0..4 {
        play.board.observe(&Round::new(), play.now);
    }
    let steps = play.board.plan(play.now);
    assert_eq!(steps.len(), targets().len());
    assert!(steps.iter().all(|step| matches!(step, Step::Forget { .. })));
}

#[test]
fn a_calm_target_begins_at_the_first_wait_again() {
    let mut play = Play::new();
    play.rounds(5, |_| Finding::Well);
    let dead = targets().remove(0);
    play.rounds(20, |target| if *target == dead { BAD } else { Finding::Well });
    let calm = play.rounds(320, |_| Finding::Well);
    assert!(calm.contains(&Step::Calm { target: dead.clone() }));
    let again = play.rounds(3, |target| if *target == dead { BAD } else { Finding::Well });
    assert!(again.contains(&Step::Restart { target: dead, number: 1 }));
}

/// What a round of a story finds: how many of the targets are bad, and which come first.
fn story() -> impl Strategy<Value = Vec<(usize, Vec<Finding>)>> {
    let finding = prop_oneof![
        6 => Just(Finding::Well),
        3 => Just(BAD),
        1 => Just(Finding::Unknown),
    ];
    let round = prop::collection::vec(finding, targets().len());
    prop::collection::vec((1usize..12, round), 1..30)
}

proptest! {
    #[test]
    fn no_rule_is_ever_broken(story in story()) {
        let mut play = Play::new();
        let all = targets();
        for (times, findings) in story {
            let of = |target: &Target| {
                let place = all.iter().position(|other| other == target).unwrap();
                findings[place]
            };
            for _ in 0..times {
                let before = play.asked.len();
                play.round(of);
                for (_, target) in &play.asked[before..] {
                    let kind = target.kind().unwrap();
                    prop_assert!(matches!(of(target), Finding::Bad(_)), "{target} looks well");
                    for braked in [Kind::Service, Kind::Node, kind] {
                        let known = all.iter().filter(|other| {
                            other.kind() == Some(braked) && of(other) != Finding::Unknown
                        });
                        let bad = known.clone().filter(|other| of(other) == BAD).count();
                        let many = bad >= 2 && bad * 100 > known.count() * 30;
                        prop_assert!(!many, "{target} is restarted while {bad} look down");
                    }
                }
            }
        }
        for target in &all {
            let mut asked = play.asked.iter().filter(|(_, other)| other == target);
            let mut last = asked.next();
            for next in asked {
                prop_assert!(next.0 >= last.unwrap().0 + WAITS.first);
                last = Some(next);
            }
        }
        for window in play.asked.windows(LIMIT.restarts + 1) {
            prop_assert!(window[LIMIT.restarts].0 >= window[0].0 + LIMIT.within);
        }
    }

    #[test]
    fn what_is_not_known_is_never_down(rounds in 1usize..200, well in 0usize..6) {
        let mut play = Play::new();
        play.rounds(well, |_| Finding::Well);
        let steps = play.rounds(rounds, |_| Finding::Unknown);
        prop_assert!(steps.is_empty(), "{steps:?}");
        prop_assert!(play.board.tally().keys().all(|(_, verdict)| *verdict != Verdict::Down.as_str()));
    }
}
