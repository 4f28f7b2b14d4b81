//! Whether an ensemble can spare a member while its machine is restarted.

use common::name::NodeName;

/// A member, and whether it does what it is for.
pub(crate) type Look = (NodeName, bool);

/// The other members that are not well, where too few are left without the one of this machine. None where most of them are
/// left, where that one does nothing either, and where it is alone: whoever asks knows that it is missed.
pub(crate) fn too_few_without<'a>(node: &NodeName, looks: &'a [Look]) -> Vec<&'a NodeName> {
    let is_well = looks.iter().any(|(member, well)| member == node && *well);
    let others = || looks.iter().filter(|(member, _)| member != node);
    let left = others().filter(|(_, well)| *well).count();
    if !is_well || looks.len() < 2 || left > looks.len() / 2 {
        return Vec::new();
    }
    others().filter(|(_, well)| !well).map(|(member, _)| member).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ill(node: &str, wells: &[bool]) -> Vec<String> {
        let looks = (1..).zip(wells);
        let looks: Vec<Look> = looks
            .map(|(number, well)| (format!("node-{number}").parse().unwrap(), *well))
            .collect();
        let ill = too_few_without(&node.parse().unwrap(), &looks);
        ill.into_iter().map(ToString::to_string).collect()
    }

    #[test]
    fn of_three_one_can_be_spared_while_both_others_are_well() {
        assert!(ill("node-1", &[true, true, true]).is_empty());
        assert_eq!(ill("node-1", &[true, false, true]), ["node-2"]);
        assert_eq!(ill("node-1", &[true, false, false]), ["node-2", "node-3"]);
        assert!(ill("node-1", &[true, false, true, true, true]).is_empty());
    }

    #[test]
    fn one_that_does_nothing_and_one_that_is_alone_can_always_be_restarted() {
        assert!(ill("node-1", &[false, false, true]).is_empty());
        assert!(ill("node-1", &[true]).is_empty());
        assert!(ill("node-4", &[true, false, true]).is_empty(), "it has no member");
    }
}
