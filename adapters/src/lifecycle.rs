//! [`LifecycleClient`]: the lifecycle manager over HTTPS with mutual TLS, for who speaks for people.
//!
//! Owns deadlines and how refusals are read; never decides whether to ask again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::id::RequestId;
use common::name::NodeName;
use common::port::upkeep::{Addition, Error, Machine, Pin, Target};
use common::port::{Store, Upkeep};
use common::problem::Problem;
use common::service::ServiceName;
use reqwest::{Client, RequestBuilder};

use crate::leaders::{InvalidCertificates, LeaderClient};

/// What is asked is read from records, or written down.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// Names a request, so that a repeat is known.
const REQUEST: &str = "Idempotency-Key";
/// What an instance says that leads no more, or never did.
const NOT_LEADING: &str = "NOT_LEADING";

/// Asks the lifecycle manager that leads; connections are kept while it does.
#[derive(Debug)]
pub struct LifecycleClient {
    leader: LeaderClient,
}

impl LifecycleClient {
    /// `store`: says who leads; `ca`: the platform's CA; `identity`: the caller's certificate and key; both PEM.
    pub fn new(
        store: Arc<dyn Store>,
        ca: &[u8],
        identity: &[u8],
    ) -> Result<Self, InvalidCertificates> {
        let leader = LeaderClient::new(store, ServiceName::LifecycleManager, ca, identity)?;
        Ok(LifecycleClient { leader })
    }

    /// The body of a success. Names in `path` need no escaping: letters, digits, `_` and `-`.
    async fn ask(
        &self,
        path: &str,
        request: impl FnOnce(&Client, String) -> RequestBuilder,
    ) -> Result<Vec<u8>, Error> {
        let asked = |http: &Client, url| request(http, url).timeout(ANSWERS_WITHIN);
        let answered = self.leader.send(path, asked).await;
        let (status, body) = answered.map_err(Error::Unavailable)?;
        if (200..300).contains(&status) { Ok(body.into()) } else { Err(refused(status, &body)) }
    }
}

/// What the lifecycle manager decided, in its own words; anything else means that it is not there.
fn refused(status: u16, body: &[u8]) -> Error {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) if problem.code == NOT_LEADING => {
            Error::Unavailable(format!("{}: {}", problem.code, problem.detail).into())
        }
        Ok(problem) => Error::Refused(Box::new(problem)),
        Err(_) => Error::Unavailable(format!("it answered with status {status}").into()),
    }
}

#[async_trait]
impl Upkeep for LifecycleClient {
    async fn machines(&self) -> Result<Vec<Machine>, Error> {
        let body = self.ask("machines", Client::get).await?;
        serde_json::from_slice(&body).map_err(|err| Error::Unavailable(err.into()))
    }

    async fn restart(&self, request: RequestId, target: &Target) -> Result<(), Error> {
        let id = request.to_string();
        let ask = |http: &Client, url| http.post(url).header(REQUEST, id);
        self.ask(&format!("restarts/{target}"), ask).await.map(drop)
    }

    async fn add(&self, request: RequestId, addition: &Addition) -> Result<(), Error> {
        let id = request.to_string();
        let ask = |http: &Client, url| http.post(url).header(REQUEST, id).json(addition);
        self.ask("machines", ask).await.map(drop)
    }

    async fn remove(&self, machine: &NodeName) -> Result<(), Error> {
        self.ask(&format!("machines/{machine}"), Client::delete).await.map(drop)
    }

    async fn pin(&self, machine: &NodeName, pin: &Pin) -> Result<(), Error> {
        let ask = |http: &Client, url| http.put(url).json(pin);
        self.ask(&format!("machines/{machine}/host-key"), ask).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_lifecycle_managers_words_and_its_absence_as_such() {
        let problem = |status, code: &str| {
            let problem = Problem::new(status, code, "title", "why");
            refused(status, &serde_json::to_vec(&problem).unwrap())
        };
        for (status, code) in
            [(409, "MACHINE_IN_USE"), (503, "NOT_READY"), (503, "STORE_UNAVAILABLE")]
        {
            let Error::Refused(told) = problem(status, code) else { panic!("{code}") };
            assert_eq!((told.status, told.code.as_str()), (status, code));
        }
        assert!(problem(503, NOT_LEADING).is_retryable());
        assert!(refused(502, b"<html>").is_retryable() && refused(307, b"").is_retryable());
    }
}
