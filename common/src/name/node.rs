//! Names of nodes.

use std::str::FromStr;

use super::{Error, text_type};

const RULE: &str = "use 1-63 characters of a-z, 0-9 and -, start with a letter";
/// Where a node's leases of ports would stand, the edge's do.
const RESERVED: &str = "edge";

/// The name of an enrolled machine: one host label.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(String);

text_type!(NodeName);

impl FromStr for NodeName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes = text.as_bytes();
        let allowed =
            |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
        let kept = (1..=63).contains(&bytes.len())
            && bytes.iter().all(allowed)
            && bytes.first().is_some_and(u8::is_ascii_lowercase)
            && bytes.last() != Some(&b'-');
        if !kept {
            return Err(Error::Invalid { rule: RULE });
        }
        if text == RESERVED {
            return Err(Error::Reserved { name: text.to_owned() });
        }
        Ok(NodeName(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::path;

    #[test]
    fn no_node_shares_its_ports_with_the_edge() {
        let reserved = Error::Reserved { name: "edge".to_owned() };
        assert_eq!("edge".parse::<NodeName>(), Err(reserved));
        let node: NodeName = "edge-1".parse().unwrap();
        assert!(!path::node_port(&node, 80).is_within(&path::folder("ports/edge")));
    }
}
