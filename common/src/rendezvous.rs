//! Which nodes keep something, agreed on without asking anybody: rendezvous hashing. A node that comes or goes moves only
//! what it keeps itself.

use sha2::{Digest as _, Sha256};

use crate::name::NodeName;

/// How much a node wants to keep what has this key: the heaviest keep it.
pub fn weight(key: &str, node: &NodeName) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(key.as_bytes());
    // No key and no name contains it, so two pairs never look the same.
    hash.update([0]);
    hash.update(node.as_str().as_bytes());
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;

    use super::*;

    fn keepers(key: &str, nodes: &[NodeName]) -> Vec<NodeName> {
        let mut nodes = nodes.to_vec();
        nodes.sort_by_key(|node| Reverse(weight(key, node)));
        nodes.truncate(2);
        nodes
    }

    #[test]
    fn a_node_that_goes_moves_only_what_it_kept() {
        let nodes: Vec<NodeName> =
            (1..=5).map(|number| format!("node-{number}").parse().unwrap()).collect();
        let mut kept_by_first = 0;
        for number in 0..500 {
            let key = format!("blob-{number}");
            let before = keepers(&key, &nodes);
            let after = keepers(&key, &nodes[1..]);
            if before.contains(&nodes[0]) {
                kept_by_first += 1;
                assert!(before.iter().any(|node| after.contains(node)), "one copy stays");
            } else {
                assert_eq!(before, after);
            }
        }
        assert!((150..250).contains(&kept_by_first), "{kept_by_first} of 500, of 2 in 5");
    }
}
