//! Whether ensembles can spare their members on a machine while it is restarted.

use common::name::NodeName;
use rollout::parts::BasePart;

/// A member, and whether it does what it is for.
pub(crate) type Look = (NodeName, bool);

/// The instances of a part that decide by most of them.
#[derive(Debug, Clone)]
pub(crate) struct Ensemble {
    pub(crate) part: BasePart,
    pub(crate) looks: Vec<Look>,
}

/// Why a machine is not restarted: too few of an ensemble would be left without the member on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Needed<'a> {
    pub(crate) part: BasePart,
    /// The other member that is not well: its machine is to be seen to first.
    pub(crate) ill: &'a NodeName,
    pub(crate) members: usize,
}

/// What keeps a machine from being restarted. Nothing does where a member of its own is ill, and all those that are to be
/// seen to first would have to wait for others themselves: one of them has to be the first.
pub(crate) fn needed<'a>(node: &NodeName, ensembles: &'a [Ensemble]) -> Option<Needed<'a>> {
    let looks = || ensembles.iter().flat_map(|ensemble| &ensemble.looks);
    let has_ill = looks().any(|(member, well)| member == node && !well);
    let waits = |ill: &NodeName| !all_needed(ill, ensembles).is_empty();
    let mut all = all_needed(node, ensembles).into_iter();
    if has_ill { all.find(|needed| !waits(needed.ill)) } else { all.next() }
}

fn all_needed<'a>(node: &NodeName, ensembles: &'a [Ensemble]) -> Vec<Needed<'a>> {
    let of = |Ensemble { part, looks }: &'a Ensemble| {
        let needed = |ill| Needed { part: *part, ill, members: looks.len() };
        too_few_without(node, looks).into_iter().map(needed).collect::<Vec<_>>()
    };
    ensembles.iter().flat_map(of).collect()
}

/// The other members that are not well, where too few are left without the one of this machine. None where most of them are
/// left, where that one does nothing either, and where it is alone: whoever asks knows that it is missed.
fn too_few_without<'a>(node: &NodeName, looks: &'a [Look]) -> Vec<&'a NodeName> {
    let is_well = looks.iter().any(|(member, well)| member == node && *well);
    let others = || looks.iter().filter(|(member, _)| member != node);
    let left = others().filter(|(_, well)| *well).count();
    if !is_well || looks.len() < 2 || left > looks.len() / 2 {
        return Vec::new();
    }
    others().filter(|(_, well)| !well).map(|(member, _)| member).collect()
}

/// The same of a machine whose agent says nothing: whether its members work is not known. One is needed where it would make
/// the difference; where too few are left with it, too, there is nothing to spare.
pub(crate) fn perhaps_needed<'a>(node: &NodeName, ensembles: &'a [Ensemble]) -> Option<Needed<'a>> {
    ensembles.iter().find_map(|Ensemble { part, looks }| {
        if !looks.iter().any(|(member, _)| member == node) {
            return None;
        }
        let others = || looks.iter().filter(|(member, _)| member != node);
        let left = others().filter(|(_, well)| *well).count();
        if left != looks.len() / 2 {
            return None;
        }
        let (ill, _) = others().find(|(_, well)| !well)?;
        Some(Needed { part: *part, ill, members: looks.len() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: usize) -> NodeName {
        format!("node-{number}").parse().unwrap()
    }

    /// Members from this machine on, and which of them are well.
    fn ensemble(part: BasePart, from: usize, wells: &[bool]) -> Ensemble {
        let looks = (from..).map(node).zip(wells.iter().copied()).collect();
        Ensemble { part, looks }
    }

    fn ill(number: usize, wells: &[bool]) -> Vec<String> {
        let one = ensemble(BasePart::Kafka, 1, wells);
        let ill = too_few_without(&node(number), &one.looks);
        ill.into_iter().map(ToString::to_string).collect()
    }

    #[test]
    fn of_three_one_can_be_spared_while_both_others_are_well() {
        assert!(ill(1, &[true, true, true]).is_empty());
        assert_eq!(ill(1, &[true, false, true]), ["node-2"]);
        assert_eq!(ill(1, &[true, false, false]), ["node-2", "node-3"]);
        assert!(ill(1, &[true, false, true, true, true]).is_empty());
    }

    #[test]
    fn one_that_does_nothing_and_one_that_is_alone_can_always_be_restarted() {
        assert!(ill(1, &[false, false, true]).is_empty());
        assert!(ill(1, &[true]).is_empty());
        assert!(ill(4, &[true, false, true]).is_empty(), "it has no member");
    }

    #[test]
    fn one_of_which_nothing_is_known_is_needed_where_it_would_make_the_difference() {
        let ill = |number, wells: &[bool]| {
            let both = [ensemble(BasePart::Edge, 4, &[]), ensemble(BasePart::Kafka, 1, wells)];
            perhaps_needed(&node(number), &both).map(|needed| needed.ill.to_string())
        };
        // What is seen of its own member is nothing, as its agent is silent.
        assert_eq!(ill(1, &[false, true, true]), None);
        assert_eq!(ill(1, &[false, false, true]), Some("node-2".to_owned()));
        assert_eq!(ill(1, &[false, false, false]), None, "there is no quorum to lose");
        assert_eq!(ill(1, &[false]), None, "it is alone");
        assert_eq!(ill(1, &[false, true]), None, "both are needed, and the other is well");
        assert_eq!(ill(1, &[false, true, false, false, true]), Some("node-3".to_owned()));
        assert_eq!(ill(1, &[false, true, true, false, true]), None);
        assert_eq!(ill(4, &[true, false, true]), None, "it has no member");
    }

    #[test]
    fn of_two_that_are_ill_and_would_wait_for_each_other_either_may_be_first() {
        let both = [
            ensemble(BasePart::ZooKeeper, 1, &[true, false, true]),
            ensemble(BasePart::Kafka, 1, &[true, true, false]),
        ];
        let first = needed(&node(1), &both).unwrap();
        assert_eq!((first.part, first.ill, first.members), (BasePart::ZooKeeper, &node(2), 3));
        assert_eq!(needed(&node(2), &both), None);
        assert_eq!(needed(&node(3), &both), None);
    }

    #[test]
    fn who_is_ill_waits_for_one_that_need_not_wait() {
        let both = [
            ensemble(BasePart::ZooKeeper, 1, &[true, false, true]),
            ensemble(BasePart::Kafka, 3, &[false, true, true]),
        ];
        assert_eq!(needed(&node(3), &both).unwrap().ill, &node(2), "it has no Kafka");
        assert_eq!(needed(&node(2), &both), None);
    }

    #[test]
    fn whatever_is_ill_somebody_who_is_may_be_first() {
        for bits in 0..64_usize {
            let wells = |from: usize| [0, 1, 2].map(|member| (bits >> (from + member)) & 1 == 1);
            let both = [
                ensemble(BasePart::ZooKeeper, 1, &wells(0)),
                ensemble(BasePart::Kafka, 2, &wells(3)),
            ];
            let is_ill = |number: &usize| {
                let mut looks = both.iter().flat_map(|one| &one.looks);
                looks.any(|(member, well)| *member == node(*number) && !well)
            };
            let all_ill: Vec<usize> = (1..5).filter(is_ill).collect();
            let may = all_ill.iter().any(|number| needed(&node(*number), &both).is_none());
            assert!(all_ill.is_empty() || may, "{both:?}");
        }
    }
}
