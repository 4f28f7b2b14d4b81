//! What one check found.

use std::fmt;

use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use crate::failure::{Failure, Obstacle};

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Fine,
    /// The platform runs, and not as well as it could.
    Warning,
    /// The platform does not start, or does not do its work.
    Failure(Obstacle),
}

impl Verdict {
    /// As programs read it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Verdict::Fine => "fine",
            Verdict::Warning => "warning",
            Verdict::Failure(_) => "failure",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) verdict: Verdict,
    /// One clause: how it is.
    pub(crate) sentence: String,
    /// One clause: what to do. Where all is fine there is nothing to do.
    pub(crate) advice: Option<String>,
}

impl Check {
    pub(super) fn fine(name: &'static str, sentence: impl Into<String>) -> Self {
        Check { name, verdict: Verdict::Fine, sentence: sentence.into(), advice: None }
    }

    pub(super) fn warning(
        name: &'static str,
        sentence: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let advice = Some(advice.into());
        Check { name, verdict: Verdict::Warning, sentence: sentence.into(), advice }
    }

    /// A failure as a check. One without an obstacle of its own is none that a check finds.
    pub(super) fn failing(name: &'static str, failure: Failure) -> Self {
        let Failure::Obstacle { obstacle, sentence, advice, source } = failure else {
            let chain = format!("{:#}", anyhow::Error::from(failure));
            return Check::warning(name, chain, "look at the disk, and at what `dmesg` says of it");
        };
        let sentence = match source {
            Some(source) => format!("{sentence}: {source}"),
            None => sentence,
        };
        let verdict = Verdict::Failure(obstacle);
        Check { name, verdict, sentence, advice: Some(advice) }
    }

    /// What stops a command because of it.
    pub(super) fn failure(&self) -> Option<Failure> {
        match self.verdict {
            Verdict::Fine | Verdict::Warning => None,
            Verdict::Failure(obstacle) => {
                Some(obstacle.failure(&self.sentence, self.advice.as_deref().unwrap_or_default()))
            }
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.sentence)?;
        self.advice.iter().try_for_each(|advice| write!(f, "; {advice}"))
    }
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let code = match self.verdict {
            Verdict::Fine | Verdict::Warning => None,
            Verdict::Failure(obstacle) => Some(obstacle.code()),
        };
        let mut fields = serializer.serialize_struct("Check", 5)?;
        fields.serialize_field("name", self.name)?;
        fields.serialize_field("verdict", self.verdict.as_str())?;
        fields.serialize_field("sentence", &self.sentence)?;
        fields.serialize_field("advice", &self.advice)?;
        fields.serialize_field("code", &code)?;
        fields.end()
    }
}
