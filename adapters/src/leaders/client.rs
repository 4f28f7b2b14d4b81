//! [`LeaderClient`]: whoever leads a service, over HTTPS with mutual TLS.
//!
//! Owns connections, that the leader is looked for again where it does not answer as one, and how a keeper's refusals are read;
//! whether to ask again is decided by nobody here.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use common::port::keeper::Error;
use common::port::{Cause, Store};
use common::problem::Problem;
use common::service::ServiceName;
use reqwest::{Certificate, Client, Identity, RequestBuilder};

use super::Leader;

const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// What an instance says that leads no more, or never did.
const NOT_LEADING: &str = "NOT_LEADING";

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[error("the certificates cannot be used")]
pub struct InvalidCertificates(#[source] pub(crate) reqwest::Error);

/// Asks the instance of a service that leads; connections are kept while it does.
pub(crate) struct LeaderClient {
    service: ServiceName,
    leader: Leader,
    ca: Certificate,
    identity: Identity,
    /// Connections to the leader that was asked last.
    open: Mutex<Option<(SocketAddr, Client)>>,
}

impl fmt::Debug for LeaderClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaderClient").field("leader", &self.leader).finish_non_exhaustive()
    }
}

impl LeaderClient {
    /// `store`: says who leads; `ca`: the platform's CA; `identity`: the caller's certificate and key; both PEM.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        service: ServiceName,
        ca: &[u8],
        identity: &[u8],
    ) -> Result<Self, InvalidCertificates> {
        let ca = Certificate::from_pem(ca).map_err(InvalidCertificates)?;
        let identity = Identity::from_pem(identity).map_err(InvalidCertificates)?;
        let leader = Leader::new(store, service);
        let client = LeaderClient { service, leader, ca, identity, open: Mutex::new(None) };
        // Whether the certificates can be used is told now, not at the first call.
        client.client(SocketAddr::from(([127, 0, 0, 1], 9))).map_err(InvalidCertificates)?;
        Ok(client)
    }

    /// Whoever listens there must prove to be of the service, whatever its address.
    fn client(&self, leader: SocketAddr) -> Result<Client, reqwest::Error> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = open.as_ref().filter(|(address, _)| *address == leader) {
            return Ok(client.clone());
        }
        let client = Client::builder()
            .tls_certs_only([self.ca.clone()])
            .identity(self.identity.clone())
            .https_only(true)
            .no_proxy()
            .connect_timeout(CONNECT_WITHIN)
            .resolve(self.service.as_str(), leader)
            // An instance that stands by points at an address; the leader is asked by its name.
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        *open = Some((leader, client.clone()));
        Ok(client)
    }

    /// The status and the body of what the leader answers at a path below `/api/v1/`. Who answers with 5xx may not lead
    /// any more.
    pub(crate) async fn send(
        &self,
        path: &str,
        request: impl FnOnce(&Client, String) -> RequestBuilder,
    ) -> Result<(u16, Bytes), Cause> {
        let address = self.leader.address().await?;
        let url = format!("https://{}:{}/api/v1/{path}", self.service.as_str(), address.port());
        let answered = answer(request(&self.client(address)?, url)).await;
        if answered.as_ref().map_or(true, |(status, _)| *status >= 300 && !is_decided(*status)) {
            self.leader.forget();
        }
        Ok(answered?)
    }

    /// As `send`, of a leader that keeps what is asked about: the body of a success, or what it says against it.
    pub(crate) async fn ask(
        &self,
        path: &str,
        request: impl FnOnce(&Client, String) -> RequestBuilder,
    ) -> Result<Bytes, Error> {
        let (status, body) = self.send(path, request).await.map_err(Error::Unavailable)?;
        if (200..300).contains(&status) { Ok(body) } else { Err(refused(status, &body)) }
    }
}

/// What the leader decided, in its own words; anything else means that it is not there.
fn refused(status: u16, body: &[u8]) -> Error {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) if problem.code == NOT_LEADING => {
            Error::Unavailable(format!("{}: {}", problem.code, problem.detail).into())
        }
        Ok(problem) => Error::Refused(Box::new(problem)),
        Err(_) => Error::Unavailable(format!("it answered with status {status}").into()),
    }
}

fn is_decided(status: u16) -> bool {
    (400..500).contains(&status)
}

async fn answer(request: RequestBuilder) -> Result<(u16, Bytes), reqwest::Error> {
    let response = request.send().await?;
    Ok((response.status().as_u16(), response.bytes().await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_leaders_words_and_its_absence_as_such() {
        let problem = |status, code: &str| {
            let problem = Problem::new(status, code, "title", "why");
            refused(status, &serde_json::to_vec(&problem).unwrap())
        };
        for (status, code) in [
            (409, "LAST_NODE"),
            (409, "MACHINE_IN_USE"),
            (503, "NOT_READY"),
            (503, "STORE_UNAVAILABLE"),
            (503, "CERTIFICATES_OFF"),
            (422, "CERTIFICATE_EXPIRED"),
        ] {
            let Error::Refused(told) = problem(status, code) else { panic!("{code}") };
            assert_eq!((told.status, told.code.as_str()), (status, code));
        }
        assert!(problem(503, NOT_LEADING).is_retryable());
        assert!(refused(502, b"<html>").is_retryable() && refused(307, b"").is_retryable());
    }
}
