//! What is to be done about what is known: steps, each of which is written down at once before the next.

use std::collections::BTreeSet;
use std::fmt;

use common::id::RequestId;

use super::Moment;
use super::board::{Board, Watched};
use super::finding::Finding;
use super::target::{Kind, Target};
use super::verdict::Verdict;

/// For so many rounds in a row a target is not there before it is forgotten.
const FORGET_AFTER: u32 = 3;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Write down the verdict, with why.
    Pronounce { target: Target, verdict: Verdict, why: String },
    /// It is down: an incident, and an alert.
    Open { target: Target, why: String },
    /// Ask for the restart of this number.
    Restart { target: Target, number: u32 },
    /// It is up again: the end of its incident.
    Close { target: Target },
    /// It was up for long: the next restart is the first again.
    Calm { target: Target },
    /// It is not there any more.
    Forget { target: Target },
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    Recorded,
    Opened(RequestId),
    /// The restart before this one is still owed.
    PutOff,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Pronounce { target, verdict, why } => {
                write!(f, "say that {target} is {}: {why}", verdict.as_str())
            }
            Step::Open { target, .. } => write!(f, "open an incident of {target}"),
            Step::Restart { target, number } => {
                write!(f, "ask for restart {number} of {target}")
            }
            Step::Close { target } => write!(f, "close the incident of {target}"),
            Step::Calm { target } => write!(f, "count the restarts of {target} from the first"),
            Step::Forget { target } => write!(f, "forget {target}"),
        }
    }
}

impl Board {
    /// What is to be done now; nothing once all of it was done.
    pub(crate) fn plan(&self, now: Moment) -> Vec<Step> {
        let mut steps: Vec<Step> = self
            .targets
            .iter()
            .filter_map(|(target, watched)| self.of_target(target, watched, now))
            .collect();
        steps.extend(self.restarts(now));
        steps
    }

    fn of_target(&self, target: &Target, watched: &Watched, now: Moment) -> Option<Step> {
        let target = target.clone();
        let verdict = watched.history.verdict();
        let is_over = target.kind().is_none() && verdict == Verdict::Up;
        if watched.missing >= FORGET_AFTER || (is_over && watched.incident.is_none()) {
            return Some(Step::Forget { target });
        }
        if verdict != watched.recorded {
            let why = self.why(&target, watched);
            return Some(Step::Pronounce { target, verdict, why });
        }
        match (verdict, watched.incident) {
            (Verdict::Down, None) if !target.kind().is_some_and(|kind| self.is_held(kind)) => {
                let why = self.why(&target, watched);
                Some(Step::Open { target, why })
            }
            (Verdict::Up, Some(_)) => Some(Step::Close { target }),
            (Verdict::Up, None)
                if watched.restarts.number > 0
                    && watched.history.lasting(now) >= self.rules.waits.calm =>
            {
                Some(Step::Calm { target })
            }
            (Verdict::Unknown | Verdict::Up | Verdict::Down, _) => None,
        }
    }

    fn why(&self, target: &Target, watched: &Watched) -> String {
        match (watched.latest, target) {
            (
                Finding::Bad(complaint),
                Target::Service { .. } | Target::App { .. } | Target::Model { .. },
            ) => {
                let (bad, window) = (watched.history.bad(), self.rules.of(target).window);
                format!("{bad} of its last {window} looks failed, the last because {complaint}")
            }
            (Finding::Bad(complaint), Target::Node { .. } | Target::Fleet { .. }) => {
                complaint.to_string()
            }
            (Finding::Well, Target::Fleet { .. }) => "few enough look down".to_owned(),
            (Finding::Well, _) => "it is well".to_owned(),
            (Finding::Unknown, _) => "nothing was learned of it lately".to_owned(),
        }
    }

    /// The restarts that may be asked for, the most important first.
    fn restarts(&self, now: Moment) -> Vec<Step> {
        let mut budget = self.budget.clone();
        let mut waiting = self.under_way(now);
        let mut steps = Vec::new();
        for (target, watched) in &self.targets {
            let (Some(kind), Some(command)) = (target.kind(), target.restart()) else { continue };
            let wanted = self.wants_restart(kind, watched) && watched.restarts.is_due(now);
            // Instances of one service are restarted one after another.
            if wanted && budget.has_room(kind, now) && waiting.insert(command.encode()) {
                budget.spend(now);
                let number = watched.restarts.number.saturating_add(1);
                steps.push(Step::Restart { target: target.clone(), number });
            }
        }
        steps
    }

    fn wants_restart(&self, kind: Kind, watched: &Watched) -> bool {
        let is_down = watched.history.verdict() == Verdict::Down
            && watched.recorded == Verdict::Down
            && watched.incident.is_some();
        let could_help =
            matches!(watched.latest, Finding::Bad(complaint) if complaint.is_its_own());
        is_down && could_help && !self.is_held(kind)
    }

    /// The restarts whose waits are not over.
    fn under_way(&self, now: Moment) -> BTreeSet<String> {
        let waiting = self.targets.iter().filter(|(_, watched)| !watched.restarts.is_due(now));
        waiting.filter_map(|(target, _)| Some(target.restart()?.encode())).collect()
    }

    /// How many restarts the rules would allow but for the budget and the brake.
    pub(crate) fn held_back(&self, now: Moment) -> usize {
        let planned = self.restarts(now).len();
        let wanted = self.targets.iter().filter(|(target, watched)| {
            let down = watched.history.verdict() == Verdict::Down;
            target.kind().is_some() && down && watched.restarts.is_due(now)
        });
        wanted.count().saturating_sub(planned)
    }

    /// The bus took the last request for this target's restart at that moment: it may have waited for long.
    pub(crate) fn sent(&mut self, target: &Target, at: Moment) {
        let waits = self.rules.waits;
        if let Some(watched) = self.targets.get_mut(target) {
            watched.restarts.put_off(&waits, at);
        }
    }

    /// A step was written down.
    pub(crate) fn did(&mut self, step: &Step, done: Done, now: Moment) {
        let waits = self.rules.waits;
        let (Step::Pronounce { target, .. }
        | Step::Open { target, .. }
        | Step::Restart { target, .. }
        | Step::Close { target }
        | Step::Calm { target }
        | Step::Forget { target }) = step;
        let Some(watched) = self.targets.get_mut(target) else { return };
        match (step, done) {
            (Step::Pronounce { verdict, .. }, _) => watched.recorded = *verdict,
            (Step::Open { .. }, Done::Opened(incident)) => watched.incident = Some(incident),
            (Step::Restart { .. }, Done::PutOff) => watched.restarts.put_off(&waits, now),
            (Step::Restart { number, .. }, Done::Recorded | Done::Opened(_)) => {
                watched.restarts.asked(*number, &waits, now);
                self.budget.spend(now);
            }
            (Step::Close { .. }, _) => watched.incident = None,
            (Step::Calm { .. }, _) => watched.restarts.calmed(),
            (Step::Forget { .. }, _) => drop(self.targets.remove(target)),
            (Step::Open { .. }, Done::Recorded | Done::PutOff) => {}
        }
    }
}
