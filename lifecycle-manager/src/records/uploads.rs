//! The record of what document 000's callers uploaded to a machine: `lifecycle/uploads/<node>`.

use common::port::share::Code;
use serde::{Deserialize, Serialize};

/// So many are known of a machine; the oldest is forgotten.
const MOST: usize = 64;

/// What a path of theirs means on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Upload {
    pub(crate) destination: String,
    pub(crate) code: Code,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Uploads {
    schema: u32,
    /// The newest last.
    pub(crate) uploads: Vec<Upload>,
}

impl Default for Uploads {
    fn default() -> Self {
        Uploads { schema: 1, uploads: Vec::new() }
    }
}

impl Uploads {
    /// With one more, in place of one of the same destination.
    pub(crate) fn with(mut self, upload: Upload) -> Self {
        self.uploads.retain(|kept| kept.destination != upload.destination);
        self.uploads.push(upload);
        let excess = self.uploads.len().saturating_sub(MOST);
        self.uploads.drain(..excess);
        self
    }
}

#[cfg(test)]
mod tests {
    use common::digest::Digest;

    use super::*;

    #[test]
    fn one_destination_means_one_code_and_the_oldest_are_forgotten() {
        let upload = |number: usize, content: &str| {
            let code = format!("share://code/a@{}", Digest::of(content.as_bytes()));
            Upload { destination: format!("folder-{number}"), code: code.parse().unwrap() }
        };
        let mut uploads = Uploads::default();
        for number in 0..=MOST {
            uploads = uploads.with(upload(number, "old"));
        }
        uploads = uploads.with(upload(1, "new"));
        assert_eq!(uploads.uploads.len(), MOST);
        assert_eq!(uploads.uploads.last(), Some(&upload(1, "new")));
        assert_eq!(uploads.uploads[0], upload(2, "old"));
    }
}
