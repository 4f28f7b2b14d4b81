//! Everything that is known of all targets: what was seen, what was said, what was asked for.

use std::collections::{BTreeMap, BTreeSet};

use chassis::brake::{self, Brake, Count};
use common::id::RequestId;

use super::Moment;
use super::backoff::{Restarts, Waits};
use super::budget::Budget;
use super::finding::{Complaint, Finding};
use super::target::{Kind, Target};
use super::verdict::{self, History, Verdict};

/// What a round found, by target; none for one that was not looked at this time. What is missing is not
/// there to be looked at any more.
pub(crate) type Round = BTreeMap<Target, Option<Finding>>;

/// The rules of all decisions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Of what is looked at directly.
    pub(crate) looks: verdict::Rule,
    /// Of what somebody else has judged already.
    pub(crate) told: verdict::Rule,
    /// Of all of a kind together: how long the brake must hold before it is an alarm.
    pub(crate) fleet: verdict::Rule,
    pub(crate) waits: Waits,
    pub(crate) brake: brake::Rule,
}

impl Rules {
    pub(super) fn of(&self, target: &Target) -> &verdict::Rule {
        match target {
            Target::Service { .. } | Target::App { .. } | Target::Model { .. } => &self.looks,
            Target::Node { .. } => &self.told,
            Target::Fleet { .. } => &self.fleet,
        }
    }
}

/// What is known of one target.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(super) history: History,
    /// The verdict as its record says it.
    pub(super) recorded: Verdict,
    pub(super) latest: Finding,
    pub(super) restarts: Restarts,
    /// The incident that its being down is.
    pub(super) incident: Option<RequestId>,
    /// For how many rounds in a row it was not there.
    pub(super) missing: u32,
}

impl Watched {
    fn new(now: Moment) -> Self {
        Watched::resumed(Verdict::Unknown, None, Restarts::default(), now)
    }

    /// As its record says.
    pub(crate) fn resumed(
        verdict: Verdict,
        incident: Option<RequestId>,
        restarts: Restarts,
        now: Moment,
    ) -> Self {
        Watched {
            history: History::new(verdict, now),
            recorded: verdict,
            latest: Finding::Unknown,
            restarts,
            incident,
            missing: 0,
        }
    }
}

/// What may be sent: as the last round saw it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sight {
    /// The kinds of which nothing may be restarted.
    pub(crate) held: BTreeSet<Kind>,
    /// The targets that looked bad.
    pub(crate) bad: BTreeSet<Target>,
}

/// All targets.
#[derive(Debug)]
pub(crate) struct Board {
    pub(super) rules: Rules,
    pub(super) targets: BTreeMap<Target, Watched>,
    pub(super) brakes: BTreeMap<Kind, Brake>,
    pub(super) budget: Budget,
}

impl Board {
    /// As the records say.
    pub(crate) fn new(rules: Rules, budget: Budget, targets: BTreeMap<Target, Watched>) -> Self {
        let brake = |kind: Kind| {
            let fleet = targets.get(&Target::Fleet { of: kind });
            let held = fleet.is_some_and(|fleet| fleet.incident.is_some());
            (kind, Brake::resumed(held))
        };
        let brakes = Kind::ALL.map(brake).into();
        Board { rules, targets, brakes, budget }
    }

    /// Takes in a whole round: nothing is decided before every target was looked at.
    pub(crate) fn observe(&mut self, round: &Round, now: Moment) {
        for (target, watched) in &mut self.targets {
            if target.kind().is_some() && !round.contains_key(target) {
                watched.missing += 1;
                watched.latest = Finding::Unknown;
            }
        }
        for (target, finding) in round {
            let watched = self.targets.entry(target.clone()).or_insert_with(|| Watched::new(now));
            watched.missing = 0;
            let Some(finding) = finding else { continue };
            watched.latest = *finding;
            let rule = self.rules.of(target);
            match finding {
                Finding::Well => watched.history.note(true, rule, now),
                Finding::Bad(_) => watched.history.note(false, rule, now),
                Finding::Unknown => {}
            }
        }
        for kind in Kind::ALL {
            let looked = |(target, found): (&Target, &Option<Finding>)| {
                target.kind() == Some(kind) && found.is_some()
            };
            if round.iter().any(looked) {
                self.brake(kind, now);
            }
        }
    }

    fn brake(&mut self, kind: Kind, now: Moment) {
        let count = self.count(kind);
        let Some(brake) = self.brakes.get_mut(&kind) else { return };
        brake.note(count, &self.rules.brake);
        let (holds, count) = (brake.holds(), brake.count());
        let fleet = Target::Fleet { of: kind };
        if holds && !self.targets.contains_key(&fleet) {
            self.targets.insert(fleet.clone(), Watched::new(now));
        }
        if let Some(watched) = self.targets.get_mut(&fleet) {
            let Count { bad, known } = count;
            let many = Finding::Bad(Complaint::Many { bad, known });
            watched.latest = if holds { many } else { Finding::Well };
            watched.history.note(!holds, &self.rules.fleet, now);
        }
    }

    fn count(&self, kind: Kind) -> Count {
        let mut count = Count::default();
        for (target, watched) in &self.targets {
            if target.kind() != Some(kind) {
                continue;
            }
            match watched.latest {
                Finding::Well => count.known += 1,
                Finding::Bad(_) => {
                    count.known += 1;
                    count.bad += 1;
                }
                Finding::Unknown => {}
            }
        }
        count
    }

    /// Whether nothing of this kind may be restarted. Where services or nodes look down all at once, that
    /// holds everything; apps, which anybody deploys, hold only themselves.
    pub(crate) fn is_held(&self, kind: Kind) -> bool {
        let holds = |kind: Kind| self.brakes.get(&kind).is_some_and(Brake::holds);
        holds(Kind::Service) || holds(Kind::Node) || holds(kind)
    }

    /// Whether the brake of this kind itself is on.
    pub(crate) fn brakes(&self, kind: Kind) -> bool {
        self.brakes.get(&kind).is_some_and(Brake::holds)
    }

    pub(crate) fn sight(&self) -> Sight {
        let is_bad = |watched: &Watched| matches!(watched.latest, Finding::Bad(_));
        Sight {
            held: Kind::ALL.into_iter().filter(|kind| self.is_held(*kind)).collect(),
            bad: self
                .targets
                .iter()
                .filter(|(_, watched)| is_bad(watched))
                .map(|(target, _)| target.clone())
                .collect(),
        }
    }

    /// How many targets of each kind have each verdict.
    pub(crate) fn tally(&self) -> BTreeMap<(Kind, &'static str), usize> {
        let mut tally = BTreeMap::new();
        for (target, watched) in &self.targets {
            let Some(kind) = target.kind() else { continue };
            *tally.entry((kind, watched.recorded.as_str())).or_default() += 1;
        }
        tally
    }
}
