//! [`DrainsClient`]: the node manager over HTTPS with mutual TLS, for who speaks for people.
//!
//! Owns deadlines and how refusals are read; never decides whether to ask again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::name::NodeName;
use common::port::drains::Error;
use common::port::{Drains, Store};
use common::problem::Problem;
use common::service::ServiceName;
use reqwest::{Client, RequestBuilder};

use crate::leaders::{InvalidCertificates, LeaderClient};

/// It writes one record.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// What an instance says that leads no more, or never did.
const NOT_LEADING: &str = "NOT_LEADING";

/// Asks the node manager that leads; connections are kept while it does.
#[derive(Debug)]
pub struct DrainsClient {
    leader: LeaderClient,
}

impl DrainsClient {
    /// `store`: says who leads; `ca`: the platform's CA; `identity`: the caller's certificate and key; both PEM.
    pub fn new(
        store: Arc<dyn Store>,
        ca: &[u8],
        identity: &[u8],
    ) -> Result<Self, InvalidCertificates> {
        let leader = LeaderClient::new(store, ServiceName::NodeManager, ca, identity)?;
        Ok(DrainsClient { leader })
    }

    /// Names need no escaping in a path: letters, digits and `-`.
    async fn ask(
        &self,
        node: &NodeName,
        request: impl FnOnce(&Client, String) -> RequestBuilder,
    ) -> Result<(), Error> {
        let asked = |http: &Client, url| request(http, url).timeout(ANSWERS_WITHIN);
        let answered = self.leader.send(&format!("nodes/{node}/drain"), asked).await;
        let (status, body) = answered.map_err(Error::Unavailable)?;
        if (200..300).contains(&status) { Ok(()) } else { Err(refused(status, &body)) }
    }
}

/// What the node manager decided, in its own words; anything else means that it is not there.
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
impl Drains for DrainsClient {
    async fn begin(&self, node: &NodeName) -> Result<(), Error> {
        self.ask(node, Client::put).await
    }

    async fn end(&self, node: &NodeName) -> Result<(), Error> {
        self.ask(node, Client::delete).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_node_managers_words_and_its_absence_as_such() {
        let problem = |status, code: &str| {
            let problem = Problem::new(status, code, "title", "why");
            refused(status, &serde_json::to_vec(&problem).unwrap())
        };
        for (status, code) in [(409, "LAST_NODE"), (503, "STORE_UNAVAILABLE")] {
            let Error::Refused(told) = problem(status, code) else { panic!("{code}") };
            assert_eq!((told.status, told.code.as_str()), (status, code));
        }
        assert!(problem(503, NOT_LEADING).is_retryable());
        assert!(refused(502, b"<html>").is_retryable() && refused(307, b"").is_retryable());
    }
}
