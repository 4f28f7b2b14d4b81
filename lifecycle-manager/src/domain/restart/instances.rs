//! Which instances of a service a restart is about. What programs say is believed as far as it can be seen from here: one
//! that looks bad is restarted, one whose machine is away is being replaced already, and one that looks well is touched
//! only where nothing else explains what was said.

use common::name::NodeName;

use super::Asker;

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

#[cfg(test)]
mod tests {
    use super::*;

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
