//! The servers of one platform, and which of them is asked.

use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::header::HeaderName;
use reqwest::{Error, Method, Request, Url};

/// With it, the platform takes the same request once.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Doors of the same platform, in the order in which they are tried. There is at least one.
#[derive(Debug)]
pub(super) struct Doors {
    first: String,
    others: Vec<String>,
    /// Counts on from the first.
    now: AtomicUsize,
}

impl Doors {
    pub(super) fn new(first: String, others: Vec<String>) -> Self {
        Doors { first, others, now: AtomicUsize::new(0) }
    }

    pub(super) fn count(&self) -> usize {
        self.others.len() + 1
    }

    /// The one that is asked until it does not answer.
    pub(super) fn now(&self) -> &str {
        let now = self.now.load(Ordering::Relaxed) % self.count();
        let other = now.checked_sub(1).and_then(|other| self.others.get(other));
        other.map_or(&self.first, String::as_str)
    }

    pub(super) fn next(&self) {
        self.now.fetch_add(1, Ordering::Relaxed);
    }

    /// The one that is asked now before all others.
    pub(super) fn in_order(&self) -> Vec<String> {
        let all = [&self.first].into_iter().chain(&self.others);
        let others = all.filter(|door| *door != self.now()).cloned();
        [self.now().to_owned()].into_iter().chain(others).collect()
    }
}

/// Whether a request that failed may be sent to another door: it was not sent at all, or may be done twice.
pub(super) fn may_repeat(err: &Error, request: &Request) -> bool {
    let is_idempotent = match *request.method() {
        Method::GET | Method::HEAD | Method::PUT | Method::DELETE => true,
        _ => request.headers().contains_key(IDEMPOTENCY_KEY),
    };
    err.is_connect() || (is_idempotent && (err.is_request() || err.is_timeout()))
}

/// The URL of a request to one door, at another.
pub(super) fn at(url: &Url, from: &str, to: &str) -> Option<Url> {
    let base = Url::parse(from).ok()?;
    let path = url.path().strip_prefix(base.path().trim_end_matches('/'))?;
    let mut moved = Url::parse(&format!("{to}{path}")).ok()?;
    moved.set_query(url.query());
    Some(moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doors_are_tried_in_turn_and_noted_in_the_order_of_the_last_answer() {
        let doors = Doors::new("a".to_owned(), vec!["b".to_owned(), "c".to_owned()]);
        let mut tried = Vec::new();
        for _ in 0..4 {
            tried.push(doors.now().to_owned());
            doors.next();
        }
        assert_eq!(tried, ["a", "b", "c", "a"]);
        assert_eq!(doors.in_order(), ["b", "a", "c"]);
    }

    #[test]
    fn a_request_keeps_path_and_query_at_another_door() {
        let url = Url::parse("http://192.0.2.1:80/x/y%20z?a=b").unwrap();
        let moved = at(&url, "http://192.0.2.1:80", "http://192.0.2.2:8010").unwrap();
        assert_eq!(moved.as_str(), "http://192.0.2.2:8010/x/y%20z?a=b");
        let below = Url::parse("https://example.org/platform/x").unwrap();
        let moved = at(&below, "https://example.org/platform", "http://192.0.2.2:8010").unwrap();
        assert_eq!(moved.as_str(), "http://192.0.2.2:8010/x");
    }
}
