//! What Azure Files answers, and what it means that it does not.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use common::port::Cause;
use reqwest::{Response, StatusCode};

use crate::share::Said;

/// More than a page of names or a piece of a file no answer has.
const LONGEST: usize = 8 * 1024 * 1024;

/// An answer that says what was asked for.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The `ETag`, without its quotation marks; empty if there is none.
    pub(super) tag: String,
    /// The length that the header says; to a question about a whole file that of the file.
    pub(super) length: Option<u64>,
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The share, the folder or the file is not there.
    Absent,
    /// With the service's own code.
    Refused(String),
    /// It has too much to do, or failed itself; it may say when to come again.
    Busy { said: String, after: Option<Duration> },
    /// The connection did not come about, or broke.
    Lost(String),
    /// It said what it should not say.
    Strange(String),
}

impl Failure {
    pub(super) fn is_retryable(&self) -> bool {
        match self {
            Failure::Busy { .. } | Failure::Lost(_) => true,
            Failure::Absent | Failure::Refused(_) | Failure::Strange(_) => false,
        }
    }

    pub(super) fn into_cause(self) -> Cause {
        let said = match self {
            Failure::Absent => "it is not there".to_owned(),
            Failure::Refused(said)
            | Failure::Lost(said)
            | Failure::Strange(said)
            | Failure::Busy { said, .. } => said,
        };
        Box::new(Said(said))
    }

    /// What became of a connection, without the URL: a token may be part of it.
    pub(super) fn lost(err: reqwest::Error) -> Self {
        let mut text = err.without_url().to_string();
        if text.contains("://") {
            "the request failed".clone_into(&mut text);
        }
        Failure::Lost(text)
    }
}

/// Reads an answer to its end.
pub(super) async fn read(mut response: Response) -> Result<Answer, Failure> {
    let status = response.status();
    let header = |name: &str| {
        let value = response.headers().get(name).and_then(|value| value.to_str().ok());
        value.map(str::to_owned)
    };
    if !status.is_success() && status != StatusCode::RANGE_NOT_SATISFIABLE {
        let after = header("retry-after").and_then(|seconds| seconds.parse().ok());
        let code = header("x-ms-error-code").filter(|code| is_code(code));
        return Err(failure(status, code, after.map(Duration::from_secs)));
    }
    let tag = header("etag").unwrap_or_default().trim_matches('"').to_owned();
    let length = header("content-length").and_then(|length| length.parse().ok());
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(Failure::lost)? {
        if body.len() + chunk.len() > LONGEST {
            return Err(Failure::Strange("its answer is too long".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, tag, length, body: body.freeze() })
}

fn is_code(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn failure(status: StatusCode, code: Option<String>, after: Option<Duration>) -> Failure {
    let about_credentials = matches!(
        code.as_deref(),
        Some("AuthenticationFailed" | "InvalidAuthenticationInfo" | "NoAuthenticationInformation")
    );
    let said = code.unwrap_or_else(|| format!("status {}", status.as_u16()));
    match status {
        StatusCode::NOT_FOUND => Failure::Absent,
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Failure::Refused(said),
        _ if about_credentials => Failure::Refused(said),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
            Failure::Busy { said, after }
        }
        _ if status.is_server_error() => Failure::Busy { said, after },
        _ => Failure::Strange(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_and_a_code_say_what_to_do() {
        let of = |status: u16, code: &str| {
            failure(StatusCode::from_u16(status).unwrap(), Some(code.to_owned()), None)
        };
        assert!(matches!(of(404, "ShareNotFound"), Failure::Absent));
        assert!(matches!(of(403, "AuthorizationFailure"), Failure::Refused(_)));
        assert!(matches!(of(400, "InvalidAuthenticationInfo"), Failure::Refused(_)));
        assert!(matches!(of(400, "OutOfRangeQueryParameterValue"), Failure::Strange(_)));
        for status in [408, 429, 500, 503] {
            assert!(of(status, "ServerBusy").is_retryable(), "{status}");
        }
    }
}
