//! Where the registry is: `lifecycle/registry`, and how far one that was made anew is filled: `lifecycle/filling`.

use std::collections::{BTreeMap, BTreeSet};

use common::digest::{Digest, ImageRef};
use common::name::NodeName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RegistryPlace {
    pub(crate) schema: u32,
    pub(crate) node: NodeName,
    /// Whether it has what the nodes have: one that was made anew is filled from them.
    pub(crate) filled: bool,
    /// Where it was before, until it is filled here: it goes back there if that one answers first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) former: Option<NodeName>,
    /// Machines that said that they do not have its image, and when.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) without: BTreeMap<NodeName, Timestamp>,
}

/// It stays when the registry is filled: a machine that was away meanwhile is asked when it answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Filling {
    pub(crate) schema: u32,
    /// How often not all that was left could be pushed, and when last.
    pub(crate) attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<Timestamp>,
    /// What is there.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) done: BTreeSet<String>,
    /// What nobody of those that answer can bring there as it was.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) out_of_reach: BTreeSet<String>,
    /// The nodes of which everything is there that they could bring.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) asked: BTreeSet<NodeName>,
}

/// A record has no room for more marks; whatever has none is pushed again after a crash.
const MOST_MARKS: usize = 2_500;

impl Filling {
    /// Whether it needs no push now.
    pub(crate) fn is_done(&self, image: &ImageRef) -> bool {
        let mark = mark(image);
        self.done.contains(&mark) || self.out_of_reach.contains(&mark)
    }

    pub(crate) fn is_there(&mut self, image: &ImageRef) {
        self.mark(|marks| &mut marks.done, image);
    }

    pub(crate) fn is_out_of_reach(&mut self, image: &ImageRef) {
        self.mark(|marks| &mut marks.out_of_reach, image);
    }

    fn mark(&mut self, of: impl Fn(&mut Self) -> &mut BTreeSet<String>, image: &ImageRef) {
        if self.done.len() + self.out_of_reach.len() < MOST_MARKS {
            of(self).insert(mark(image));
        }
    }

    /// All that these could bring is there. What they could not bring, another one may.
    pub(crate) fn were_asked(&mut self, nodes: impl IntoIterator<Item = NodeName>) {
        self.asked.extend(nodes);
        self.out_of_reach.clear();
        self.attempts = 0;
        self.last = None;
    }
}

/// What tells an image from others, in few bytes.
fn mark(image: &ImageRef) -> String {
    Digest::of(image.to_string().as_bytes()).hex().chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use common::port::store::MAX_VALUE;
    use common::record;

    use super::*;

    #[test]
    fn the_marks_of_thousands_of_images_fit_into_a_record() {
        let mut filling = Filling::default();
        let image = |number: usize| {
            let digest = Digest::of(number.to_string().as_bytes());
            ImageRef::new("127.0.0.1:5000/apps/shop", digest).unwrap()
        };
        for number in 0..MOST_MARKS + 10 {
            filling.is_there(&image(number));
        }
        assert!(filling.is_done(&image(7)) && !filling.is_done(&image(MOST_MARKS + 5)));
        assert!(record::encode(&filling).len() < MAX_VALUE);
    }
}
