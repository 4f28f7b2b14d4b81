//! What the failures of an object store mean. Their texts go no further: they may hold what a request held.

use std::error::Error as StdError;

use common::port::share::{Entry, Error, Folder, Limits, Listing, Unfit};
use object_store::Error as Theirs;
use object_store::client::HttpError;
use object_store::path;

use super::super::Said;
use super::ObjectShare;
use crate::share::exact::changed;

/// What S3 and Azure say with the status 400 where they mean the credentials.
const ABOUT_CREDENTIALS: [&str; 5] = [
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidToken",
    "InvalidAuthenticationInfo",
    "AuthorizationQueryParametersError",
];

impl ObjectShare {
    pub(super) fn failure(&self, err: &Theirs, folder: &Folder) -> Error {
        let place = self.place.clone();
        if let Theirs::InvalidPath { source } = err {
            let (path, why) = unfit(source);
            return Listing::begin(&place, folder, &Limits::default()).refused(path, why);
        }
        let text = err.to_string();
        // The library tells these apart where one object is read, and not where many are listed.
        let is = |wanted: &[u16]| status(&text).is_some_and(|status| wanted.contains(&status));
        if matches!(err, Theirs::NotFound { .. }) || is(&[404]) {
            return Error::NotFound { place, folder: folder.clone() };
        }
        let said = said(err);
        if is(&[401, 403]) || ABOUT_CREDENTIALS.contains(&said.as_str()) {
            return Error::CredentialsRefused { place, said };
        }
        self.unavailable(said)
    }

    /// As [`ObjectShare::failure`]; what is not there any more, or not the same, has changed.
    pub(super) fn reading_failure(&self, err: &Theirs, folder: &Folder, entry: &Entry) -> Error {
        if has_changed(err) { changed(&self.place, entry) } else { self.failure(err, folder) }
    }

    pub(super) fn unavailable(&self, said: String) -> Error {
        Error::Unavailable { place: self.place.clone(), source: Box::new(Said(said)) }
    }
}

pub(super) fn unavailable(place: &str, err: &Theirs) -> Error {
    Error::Unavailable { place: place.to_owned(), source: Box::new(Said(said(err))) }
}

/// Whether it says that an object is not there any more, or not the same.
pub(super) fn has_changed(err: &Theirs) -> bool {
    matches!(
        err,
        Theirs::NotFound { .. } | Theirs::Precondition { .. } | Theirs::NotModified { .. }
    )
}

fn unfit(err: &path::Error) -> (&str, Unfit) {
    if let path::Error::EmptySegment { path } = err {
        return (path, Unfit::Slashes);
    }
    let path::Error::BadSegment { path, .. } = err else { return ("", Unfit::NotText) };
    let leads_out = path.split('/').any(|segment| matches!(segment, "." | ".."));
    (path, if leads_out { Unfit::LeadsOut } else { Unfit::ControlCharacter })
}

/// The service's own code, or its status, or what became of the connection.
fn said(err: &Theirs) -> String {
    let mut cause: Option<&(dyn StdError + 'static)> = err.source();
    while let Some(source) = cause {
        if let Some(lost) = source.downcast_ref::<HttpError>() {
            return format!("{:?}: {}", lost.kind(), deepest(lost)).to_lowercase();
        }
        cause = source.source();
    }
    // The library keeps the answer to itself, but for its text.
    let text = err.to_string();
    let found = code(&text).map(str::to_owned);
    let found = found.or_else(|| status(&text).map(|status| format!("status {status}")));
    found.unwrap_or_else(|| "it does not speak its protocol".to_owned())
}

/// `status code: 503` of a failure's text.
fn status(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("status code: ")?;
    rest.get(..3)?.parse().ok()
}

/// `<Code>…</Code>` of an answer.
fn code(body: &str) -> Option<&str> {
    let (_, rest) = body.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let plain = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain.then_some(code)
}

/// What the operating system or TLS said: it knows of no request.
fn deepest(err: &(dyn StdError + 'static)) -> String {
    let mut deepest = err;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    let text = deepest.to_string();
    if text.contains("://") { "the request failed".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_a_code_of_one_word_or_a_status() {
        assert_eq!(code("<Error><Code>AccessDenied</Code><Message>x"), Some("AccessDenied"));
        assert_eq!(code("<Code>a b</Code>"), None);
        assert_eq!(code("<Code>x"), None);
        assert_eq!(status("Server returned non-2xx status code: 503 Service"), Some(503));
        assert_eq!(status("status code: x"), None);
    }
}
