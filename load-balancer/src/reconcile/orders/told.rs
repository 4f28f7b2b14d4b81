//! What people are told of orders: why one failed and what to do, in the list of certificates and as an event.

use std::time::Duration;

use common::id::{MessageId, RequestId};
use common::message::Event;
use common::name::HostName;
use common::port::certificates::HostCertificate;
use common::port::public_authority;
use common::record::owed::Owed;
use common::topic::Topic;
use jiff::Timestamp;
use uuid::Uuid;

use super::Error;
use crate::commands;
use crate::domain::renewal::{wait_after, wait_after_silence};

/// The verb of events.
const VERB: &str = "order certificate";
/// What an authority says is kept to so many characters.
const LONGEST: usize = 500;

/// A failure that somebody has to know about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: &'static str,
    pub(super) problem: String,
    pub(super) hint: String,
    /// How long the authority wants not to be asked.
    pub(super) wait: Option<Duration>,
    pub(super) order: Fate,
}

/// What becomes of an order that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes on when what failed is well again.
    Stays,
    /// There has to be another one.
    Over,
}

impl Failure {
    /// None for what is nothing but a wish to be called again.
    pub(super) fn of(err: &Error, host: &HostName, directory: &str) -> Option<Failure> {
        let give = format!("`avishkar certificate add {host}` takes one from elsewhere");
        let failure = |code, problem: String, hint: String, order| {
            Some(Failure { code, problem: one_line(&problem), hint, wait: None, order })
        };
        match err {
            Error::Authority(public_authority::Error::Unavailable { cause, wait }) => {
                let mut problem = format!("it cannot be reached: {cause}");
                let mut source = cause.source();
                while let Some(cause) = source {
                    problem = format!("{problem}: {cause}");
                    source = cause.source();
                }
                let hint = format!("see that the load balancer's machine reaches {directory}");
                let found = failure("CERTIFICATE_AUTHORITY_AWAY", problem, hint, Fate::Stays);
                found.map(|failure| Failure { wait: *wait, ..failure })
            }
            Error::Authority(public_authority::Error::Refused { kind, detail, wait }) => {
                let is_limit = kind == "rateLimited";
                let code = if is_limit { "CERTIFICATE_LIMITED" } else { "CERTIFICATE_REFUSED" };
                let problem = format!("{kind}: {detail}");
                let found = failure(code, problem, hint(kind, host, &give), Fate::Over);
                found.map(|failure| Failure { wait: *wait, ..failure })
            }
            Error::Endless => failure("CERTIFICATE_REFUSED", err.to_string(), give, Fate::Over),
            Error::Command(commands::Error::Unfit(unfit)) => {
                let problem = format!("what the authority made cannot be shown: {unfit}");
                failure(unfit.code(), problem, give, Fate::Over)
            }
            Error::Command(commands::Error::Unsealed(cause)) => {
                let hint = "see certificates.seal_file of the load balancer".to_owned();
                failure("CERTIFICATES_OFF", cause.to_string(), hint, Fate::Stays)
            }
            Error::Command(commands::Error::Failed(failed)) => {
                let hint = "see the load balancer's log for what the edge says".to_owned();
                let problem =
                    format!("the answer to the authority cannot be shown: {}", failed.message);
                failure("CERTIFICATE_NOT_SHOWN", problem, hint, Fate::Stays)
            }
            Error::Command(_) => None,
        }
    }
}

impl Failure {
    /// How long nothing is tried after so many failures in a row.
    pub(super) fn wait_after(&self, times: u32) -> Duration {
        match self.order {
            Fate::Stays => wait_after_silence(times, self.wait),
            Fate::Over => wait_after(times, self.wait),
        }
    }
}

/// What to do about a refusal, by the last word of its URN (RFC 8555, 6.7).
fn hint(kind: &str, host: &HostName, give: &str) -> String {
    match kind {
        "dns" | "connection" | "unauthorized" | "incorrectResponse" | "tls" => format!(
            "the authority asks at http://{host}/.well-known/acme-challenge/, port 80: see that this leads to the edge"
        ),
        "rateLimited" => format!("it is asked again by itself; {give}"),
        "rejectedIdentifier" | "unsupportedIdentifier" | "caa" => {
            format!(
                "this authority signs nothing for {host}: {give}, or another acme.directory does"
            )
        }
        "accountDoesNotExist" => "another account is made by itself".to_owned(),
        "userActionRequired"
        | "externalAccountRequired"
        | "invalidContact"
        | "unsupportedContact" => {
            "see [acme] of the load balancer's configuration, and the authority's terms".to_owned()
        }
        _ => give.to_owned(),
    }
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(LONGEST).collect()
}

/// The event that an order failed.
pub(super) fn failed(host: &HostName, failure: &Failure, at: Timestamp) -> Owed {
    let error = format!("{}: {}", failure.code, failure.problem);
    told(host, at, |verb, text| Event::NotDone { verb, text, error })
}

/// The event that there is a certificate.
pub(super) fn made(made: &HostCertificate) -> Owed {
    told(&made.host, made.since, |verb, text| Event::Done { verb, text })
}

fn told(host: &HostName, at: Timestamp, event: impl FnOnce(String, String) -> Event) -> Owed {
    // Its own: nothing is remembered under it, so nobody is told of its end.
    let request = RequestId(Uuid::nil()).derive(&format!("load-balancer order {host} {at}"));
    Owed {
        message_id: MessageId(request.derive("told").0),
        key: host.to_string(),
        envelope: event(VERB.to_owned(), host.to_string()).envelope(Topic::LoadBalancer, request),
        details: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(kind: &str, detail: &str) -> Error {
        let (kind, detail, wait) = (kind.to_owned(), detail.to_owned(), None);
        Error::Authority(public_authority::Error::Refused { kind, detail, wait })
    }

    fn failure(err: &Error) -> Failure {
        Failure::of(err, &"shop.example.org".parse().unwrap(), "https://ca.example.org").unwrap()
    }

    #[test]
    fn a_failure_is_told_in_the_authoritys_words_with_what_to_do_and_everybody_can_read_it() {
        let found = failure(&refused("unauthorized", "404\n from  192.0.2.1"));
        assert_eq!(found.problem, "unauthorized: 404 from 192.0.2.1");
        assert!(found.hint.contains("http://shop.example.org/.well-known/"), "{}", found.hint);
        let owed = failed(&"shop.example.org".parse().unwrap(), &found, Timestamp::UNIX_EPOCH);
        let text = "not done order certificate$shop.example.org Error - CERTIFICATE_REFUSED: \
                    unauthorized: 404 from 192.0.2.1";
        assert_eq!(owed.envelope.msg, text);
        assert_eq!(Event::decode(text).unwrap().encode(), text);
        assert_eq!(failure(&refused("rateLimited", "no")).code, "CERTIFICATE_LIMITED");
        assert!(failure(&refused("caa", "no")).hint.contains("certificate add shop.example.org"));
        assert_eq!(failure(&refused("x", &"long ".repeat(1000))).problem.chars().count(), LONGEST);
    }

    #[test]
    fn an_order_outlives_an_authority_that_is_away() {
        let away = Error::Authority(public_authority::Error::unavailable("connection refused"));
        let found = failure(&away);
        assert_eq!((found.code, found.order), ("CERTIFICATE_AUTHORITY_AWAY", Fate::Stays));
        assert_eq!(found.problem, "it cannot be reached: connection refused");
        assert_eq!(failure(&refused("dns", "no")).order, Fate::Over);
        assert_eq!(failure(&Error::Endless).order, Fate::Over);
    }
}
