//! What the messages' texts have in common: a verb, `$`, and what it applies to.

use super::TextError;
use crate::name::LegacyName;
use crate::problem::excerpt;

/// The verb and what follows its `$`; nothing follows where there is no `$`.
pub(super) fn split(text: &str) -> (&str, &str) {
    text.split_once('$').unwrap_or((text, ""))
}

pub(super) fn malformed(why: impl Into<String>) -> TextError {
    TextError::Malformed(why.into())
}

/// An instance, and nothing behind it: no name holds a `$`.
pub(super) fn instance(text: &str) -> Result<LegacyName, TextError> {
    text.parse().map_err(|err| malformed(format!("{:?} is no instance: {err}", Excerpt(text))))
}

/// Input in an explanation: short and harmless.
pub(super) struct Excerpt<'a>(pub(super) &'a str);

impl std::fmt::Debug for Excerpt<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", excerpt(self.0))
    }
}
