//! Which instances of a service a restart is about, and how far each is. What programs say is believed as far as it can be
//! seen from here: one that looks bad is restarted, one whose machine is away is being replaced already, and one that looks
//! well is touched only where nothing else explains what was said.

use std::collections::BTreeMap;

use common::name::NodeName;
use common::port::part::Part;
use jiff::Timestamp;

use super::Asker;
use super::machine::ran_since;
use crate::domain::sighting::is_ready;
use crate::records::InstanceRestart;

/// An instance that should be there, or is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) node: NodeName,
    pub(crate) look: Look,
    /// Whether it is this very process.
    pub(crate) is_this: bool,
}

/// How an instance looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    Ready,
    /// Its machine answers, and it does not do what it is for.
    Bad,
    /// It is being made, or is to go: whoever does that needs no help.
    OnItsWay,
    /// Its machine does not answer.
    Away,
}

/// What is restarted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// In this order; those that look well when their turn comes only if `well_too`.
    These { nodes: Vec<NodeName>, well_too: bool },
    /// What was said is explained by these, and something is done about them already.
    Explained(Vec<NodeName>),
    /// There is none.
    Nothing,
}

/// Those that are not ready first, and this very instance last: it cannot tell how its own end was.
pub(crate) fn choose(asker: Asker, mut instances: Vec<Instance>) -> Choice {
    instances.sort_by_key(|one| (one.is_this, one.look == Look::Ready, one.node.clone()));
    let of = |wanted: &[Look]| -> Vec<NodeName> {
        let found = instances.iter().filter(|one| wanted.contains(&one.look));
        found.map(|one| one.node.clone()).collect()
    };
    let all = of(&[Look::Ready, Look::Bad, Look::OnItsWay]);
    let (bad, explained) = (of(&[Look::Bad]), of(&[Look::Away, Look::OnItsWay]));
    match asker {
        Asker::Program if !bad.is_empty() => Choice::These { nodes: bad, well_too: false },
        Asker::Program if !explained.is_empty() => Choice::Explained(explained),
        Asker::Program | Asker::Operator if all.is_empty() => Choice::Nothing,
        Asker::Program | Asker::Operator => Choice::These { nodes: all, well_too: true },
    }
}

/// What a machine says of an instance just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fresh {
    Silent,
    /// It has none, or is nobody's to be asked.
    Gone,
    There(Part),
}

/// Since when each instance ran; none for one that did not.
pub(crate) type Before = BTreeMap<NodeName, Option<Timestamp>>;

/// What becomes of an instance whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Its machine does not answer now: after the others.
    Later,
    Passed,
    Begins {
        /// Since when it runs.
        ran_since: Option<Timestamp>,
    },
}

/// `before`: since when each ran when the restart began. One that was started since by whomever needs no restart. The two are
/// moments of the same clock, its machine's.
pub(crate) fn turn(node: &NodeName, fresh: &Fresh, before: &Before, well_too: bool) -> Turn {
    match fresh {
        Fresh::Silent => Turn::Later,
        Fresh::Gone => Turn::Passed,
        Fresh::There(found) if before.get(node).is_some_and(|ran| *ran != ran_since(found)) => {
            Turn::Passed
        }
        Fresh::There(found) if is_ready(found) && !well_too => Turn::Passed,
        Fresh::There(found) => Turn::Begins { ran_since: ran_since(found) },
    }
}

/// How far an instance is that is being restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Ask,
    Wait,
    /// It runs anew, and is ready.
    Restarted,
    /// It is not there any more: nobody has restarted it.
    Passed,
}

pub(crate) fn progress(current: &InstanceRestart, fresh: &Fresh) -> Progress {
    match fresh {
        Fresh::Gone => Progress::Passed,
        Fresh::There(found) if ran_since(found) == current.ran_since => Progress::Ask,
        Fresh::There(found) if is_ready(found) => Progress::Restarted,
        Fresh::Silent | Fresh::There(_) => Progress::Wait,
    }
}

#[cfg(test)]
mod tests {
    use common::id::{Epoch, Generation};
    use common::port::container::ContainerState;

    use super::*;

    fn there(second: i64, healthy: bool) -> Fresh {
        let since = Timestamp::from_second(second).unwrap();
        Fresh::There(Part {
            name: "node-manager".parse().unwrap(),
            generation: Generation(1),
            epoch: Epoch(1),
            spec_hash: String::new(),
            state: ContainerState::Running { since },
            healthy: Some(healthy),
            apart: false,
            restarts: 0,
        })
    }

    #[test]
    fn one_that_somebody_has_started_since_or_that_is_gone_has_no_turn() {
        let ran = |second| Some(Timestamp::from_second(second).unwrap());
        let begins = |second| Turn::Begins { ran_since: ran(second) };
        for (fresh, before, well_too, expected) in [
            (Fresh::Silent, Some(ran(5)), true, Turn::Later),
            (Fresh::Gone, Some(ran(5)), true, Turn::Passed),
            (there(5, true), Some(ran(5)), true, begins(5)),
            (there(5, true), Some(ran(5)), false, Turn::Passed),
            (there(5, false), Some(ran(5)), false, begins(5)),
            (there(9, false), Some(ran(5)), true, Turn::Passed),
            (there(9, false), Some(None), true, Turn::Passed),
            (there(9, true), None, true, begins(9)),
        ] {
            let node: NodeName = "a".parse().unwrap();
            let before = before.into_iter().map(|ran| (node.clone(), ran)).collect();
            assert_eq!(turn(&node, &fresh, &before, well_too), expected, "{fresh:?} {before:?}");
        }
    }

    #[test]
    fn only_one_that_runs_anew_and_is_ready_was_restarted() {
        let ran_since = Some(Timestamp::from_second(5).unwrap());
        let node = "a".parse().unwrap();
        let current = InstanceRestart { node, ran_since, attempts: 1, attempted_at: None };
        for (fresh, expected) in [
            (there(5, true), Progress::Ask),
            (there(9, false), Progress::Wait),
            (there(9, true), Progress::Restarted),
            (Fresh::Silent, Progress::Wait),
            (Fresh::Gone, Progress::Passed),
        ] {
            assert_eq!(progress(&current, &fresh), expected, "{fresh:?}");
        }
    }

    fn chosen(asker: Asker, looks: &[(&str, Look)]) -> Choice {
        let instance = |(node, look): &(&str, Look)| {
            let is_this = *node == "self";
            Instance { node: node.parse().unwrap(), look: *look, is_this }
        };
        choose(asker, looks.iter().map(instance).collect())
    }

    fn names(nodes: &[&str]) -> Vec<NodeName> {
        nodes.iter().map(|node| node.parse().unwrap()).collect()
    }

    #[test]
    fn a_program_restarts_what_looks_bad_and_nothing_that_looks_well() {
        let looks = [("a", Look::Ready), ("b", Look::Bad), ("c", Look::Away)];
        let bad = Choice::These { nodes: names(&["b"]), well_too: false };
        assert_eq!(chosen(Asker::Program, &looks), bad);
    }

    #[test]
    fn a_machine_that_is_away_and_what_is_made_in_its_stead_explain_what_a_program_says() {
        for (look, explained) in [(Look::Away, "a"), (Look::OnItsWay, "a")] {
            let looks = [("a", look), ("b", Look::Ready)];
            assert_eq!(
                chosen(Asker::Program, &looks),
                Choice::Explained(names(&[explained])),
                "{look:?}"
            );
        }
    }

    #[test]
    fn where_nothing_explains_it_all_are_restarted_this_very_one_last() {
        let looks = [("self", Look::Ready), ("a", Look::Ready), ("b", Look::Ready)];
        let all = Choice::These { nodes: names(&["a", "b", "self"]), well_too: true };
        assert_eq!(chosen(Asker::Program, &looks), all);
    }

    #[test]
    fn a_person_restarts_all_that_are_seen_the_bad_ones_first() {
        let looks = [("a", Look::Ready), ("b", Look::Bad), ("c", Look::Away)];
        let all = Choice::These { nodes: names(&["b", "a"]), well_too: true };
        assert_eq!(chosen(Asker::Operator, &looks), all);
        assert_eq!(chosen(Asker::Operator, &[("a", Look::Away)]), Choice::Nothing);
    }
}
