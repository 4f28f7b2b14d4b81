//! [`RoutesClient`]: the load balancer over HTTPS with mutual TLS.
//!
//! Owns deadlines and how refusals are read; never decides whether to ask again.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use common::failure::{Failure, FailureCode};
use common::id::Generation;
use common::name::LegacyName;
use common::port::Routes;
use common::port::routes::{Error, Probed, Problem, Routed, WantedRoute};
use reqwest::{Certificate, Client, Identity, RequestBuilder, Url};
use serde::de::{DeserializeOwned, IgnoredAny};

const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// A change waits for the edge (15 s) and for requests under way (10 s), both settings there.
const CHANGE_WITHIN: Duration = Duration::from_mins(1);
const PROBE_WITHIN: Duration = Duration::from_secs(10);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSettings {
    #[error("the load balancer's address is no https URL")]
    Url,
    #[error("the certificates cannot be used")]
    Certificates(#[source] reqwest::Error),
}

/// Asks the load balancer; connections are kept.
#[derive(Clone)]
pub struct RoutesClient {
    http: Client,
    base: Url,
}

impl fmt::Debug for RoutesClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutesClient").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl RoutesClient {
    /// `base`: `https://<name in its certificate>:<port>`; `ca`: the platform's CA; `identity`: the
    /// caller's certificate and key; all PEM.
    pub fn new(base: &str, ca: &[u8], identity: &[u8]) -> Result<Self, InvalidSettings> {
        let base = Url::parse(base).ok().filter(|url| url.scheme() == "https");
        let base = base.ok_or(InvalidSettings::Url)?;
        let client = || {
            Client::builder()
                .tls_certs_only([Certificate::from_pem(ca)?])
                .identity(Identity::from_pem(identity)?)
                .https_only(true)
                .no_proxy()
                .connect_timeout(CONNECT_WITHIN)
                // An instance that stands by sends its callers to the leader.
                .redirect(reqwest::redirect::Policy::limited(2))
                .build()
        };
        let http = client().map_err(InvalidSettings::Certificates)?;
        Ok(RoutesClient { http, base })
    }

    /// Names need no escaping: letters, digits, `_` and `-`.
    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/api/v1/routes{path}"));
        url
    }
}

async fn answer<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, Error> {
    let unavailable = |err: reqwest::Error| Error::Unavailable(err.into());
    let response = request.send().await.map_err(unavailable)?;
    let status = response.status();
    let body = response.bytes().await.map_err(unavailable)?;
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|err| Error::Unavailable(err.into()));
    }
    Err(refused(status.as_u16(), &body))
}

/// What the load balancer decided is told as such; anything else means that it is not there.
fn refused(status: u16, body: &[u8]) -> Error {
    let Ok(Problem { problem, generation }) = serde_json::from_slice(body) else {
        return Error::Unavailable(format!("it answered with status {status}").into());
    };
    if let Some(generation) = generation {
        return Error::Stale(generation);
    }
    match problem.code.parse::<FailureCode>() {
        Ok(code) => Error::Failed(Failure::new(code, problem.detail)),
        Err(_) if status < 500 => {
            let message = format!("{}: {}", problem.code, problem.detail);
            Error::Failed(Failure::new(FailureCode::Internal, message))
        }
        Err(_) => Error::Unavailable(format!("{}: {}", problem.code, problem.detail).into()),
    }
}

#[async_trait]
impl Routes for RoutesClient {
    async fn set(&self, route: &WantedRoute) -> Result<Routed, Error> {
        answer(self.http.post(self.url("")).timeout(CHANGE_WITHIN).json(route)).await
    }

    async fn remove(&self, instance: &LegacyName, generation: Generation) -> Result<(), Error> {
        let request = self.http.delete(self.url(&format!("/{instance}")));
        let request = request.query(&[("generation", generation.0)]).timeout(CHANGE_WITHIN);
        answer::<IgnoredAny>(request).await.map(drop)
    }

    async fn probe(&self, instance: &LegacyName, path: &str) -> Result<Option<u16>, Error> {
        let request = self.http.post(self.url(&format!("/{instance}/probe")));
        let request = request.query(&[("path", path)]).timeout(PROBE_WITHIN);
        answer::<Probed>(request).await.map(|probed| probed.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(status: u16, code: &str, generation: Option<u64>) -> Vec<u8> {
        let problem = common::problem::Problem::new(status, code, "title", "why");
        let generation = generation.map(Generation);
        serde_json::to_vec(&Problem { problem, generation }).unwrap()
    }

    #[test]
    fn a_stale_generation_is_told_with_the_one_that_stands() {
        let err = refused(409, &problem(409, "STALE_GENERATION", Some(7)));
        assert!(matches!(err, Error::Stale(Generation(7))), "{err:?}");
    }

    #[test]
    fn a_reason_of_the_closed_list_is_a_failure() {
        let err = refused(503, &problem(503, "FRONT_PORTS_EXHAUSTED", None));
        let Error::Failed(failure) = err else { panic!("{err:?}") };
        assert_eq!(failure, Failure::new(FailureCode::FrontPortsExhausted, "why"));
    }

    #[test]
    fn what_can_pass_may_be_asked_again_and_what_cannot_is_final() {
        for body in [problem(503, "STORE_UNAVAILABLE", None), b"<html>".to_vec(), Vec::new()] {
            assert!(matches!(refused(503, &body), Error::Unavailable(_)));
        }
        let err = refused(422, &problem(422, "ROUTE_INVALID", None));
        assert!(!err.is_retryable(), "{err:?}");
    }

    #[test]
    fn only_https_is_spoken() {
        for base in ["http://load-balancer:9050", "load-balancer:9050", ""] {
            let made = RoutesClient::new(base, b"", b"");
            assert!(matches!(made, Err(InvalidSettings::Url)), "{base}");
        }
    }

    #[tokio::test]
    async fn a_load_balancer_that_is_not_there_is_unavailable() {
        let name = vec!["deployment-manager".to_owned()];
        let made = rcgen::generate_simple_self_signed(name).unwrap();
        let identity = format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem());
        let base = "https://127.0.0.1:9";
        let client = RoutesClient::new(base, made.cert.pem().as_bytes(), identity.as_bytes());
        let err = client.unwrap().probe(&"shop".parse().unwrap(), "/").await.unwrap_err();
        assert!(err.is_retryable(), "{err:?}");
    }
}
