//! The newest sample, for readers of the same process and for those who read lines of JSON.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use common::port::nodes::Sample;

/// The newest sample; none before the first. It becomes a line when the first reader wants one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latest(Option<Arc<Taken>>);

#[derive(Debug)]
struct Taken {
    sample: Sample,
    line: OnceLock<Bytes>,
}

impl Latest {
    pub(crate) fn new(sample: Sample) -> Self {
        Latest(Some(Arc::new(Taken { sample, line: OnceLock::new() })))
    }

    pub(crate) fn sample(&self) -> Option<&Sample> {
        self.0.as_ref().map(|taken| &taken.sample)
    }

    /// One JSON object and the end of the line.
    pub(crate) fn line(&self) -> Option<Bytes> {
        let taken = self.0.as_ref()?;
        Some(taken.line.get_or_init(|| line(&taken.sample)).clone())
    }
}

fn line(sample: &Sample) -> Bytes {
    let mut line = serde_json::to_vec(sample).unwrap_or_default();
    line.push(b'\n');
    line.into()
}
