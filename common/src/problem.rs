//! Problem documents (RFC 9457): how an HTTP interface of the platform says no.

use serde::{Deserialize, Serialize};

/// The body of an error answer, `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `https://` is never used: the code is the type, `urn:avishkar:<CODE>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Stable, in capitals; each has a page in `docs/errors/`.
    pub code: String,
    pub title: String,
    /// What exactly was wrong this time; never echoes more than 64 characters of input.
    pub detail: String,
    pub status: u16,
    /// Which field of the request was wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Problem {
    pub fn new(status: u16, code: &str, title: &str, detail: impl Into<String>) -> Self {
        Problem {
            kind: format!("urn:avishkar:{code}"),
            code: code.to_owned(),
            title: title.to_owned(),
            detail: detail.into(),
            status,
            field: None,
            hint: None,
            request_id: None,
        }
    }

    #[must_use]
    pub fn field(mut self, field: &str) -> Self {
        self.field = Some(field.to_owned());
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// At most 64 characters of what was sent, control characters escaped: safe to show again.
pub fn excerpt(input: &str) -> String {
    input.chars().take(64).flat_map(char::escape_debug).collect()
}
