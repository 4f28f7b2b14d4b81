//! [`RoutesClient`]: the load balancer over HTTPS with mutual TLS.
//!
//! Owns deadlines and how refusals are read; never decides whether to ask again.

mod certificates;
mod other_edge;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::failure::{Failure, FailureCode};
use common::id::Generation;
use common::name::LegacyName;
use common::port::routes::{Error, Probed, Problem, RouteTraffic, Routed, Visitors, WantedRoute};
use common::port::{Routes, Store};
use common::service::ServiceName;
use reqwest::{Client, RequestBuilder};
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::leaders::LeaderClient;

pub use crate::leaders::InvalidCertificates;
pub use other_edge::OtherEdgeClient;

/// A change waits for the edge (15 s) and for requests under way (10 s), both settings there.
const CHANGE_WITHIN: Duration = Duration::from_mins(1);
const PROBE_WITHIN: Duration = Duration::from_secs(10);
/// It is answered from memory.
const TRAFFIC_WITHIN: Duration = Duration::from_secs(2);

/// Asks the load balancer that leads; connections are kept while it does.
#[derive(Debug)]
pub struct RoutesClient {
    leader: LeaderClient,
}

impl RoutesClient {
    /// `store`: says who leads; `ca`: the platform's CA; `identity`: the caller's certificate and key; both PEM.
    pub fn new(
        store: Arc<dyn Store>,
        ca: &[u8],
        identity: &[u8],
    ) -> Result<Self, InvalidCertificates> {
        let leader = LeaderClient::new(store, ServiceName::LoadBalancer, ca, identity)?;
        Ok(RoutesClient { leader })
    }

    /// Calls the leader at a path below the routes'; names need no escaping: letters, digits, `_` and `-`.
    async fn call<T: DeserializeOwned>(
        &self,
        path: &str,
        request: impl FnOnce(&Client, String) -> RequestBuilder,
    ) -> Result<T, Error> {
        self.call_at(&format!("routes{path}"), request).await
    }

    async fn call_at<T: DeserializeOwned>(
        &self,
        path: &str,
        request: impl FnOnce(&Client, String) -> RequestBuilder,
    ) -> Result<T, Error> {
        let answered = self.leader.send(path, request).await;
        let (status, body) = answered.map_err(Error::Unavailable)?;
        if (200..300).contains(&status) {
            return serde_json::from_slice(&body).map_err(|err| Error::Unavailable(err.into()));
        }
        Err(refused(status, &body))
    }
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
        let request = |http: &Client, url| http.post(url).timeout(CHANGE_WITHIN).json(route);
        self.call("", request).await
    }

    async fn remove(&self, instance: &LegacyName, generation: Generation) -> Result<(), Error> {
        let query = [("generation", generation.0)];
        let request = |http: &Client, url| http.delete(url).query(&query).timeout(CHANGE_WITHIN);
        self.call::<IgnoredAny>(&format!("/{instance}"), request).await.map(drop)
    }

    async fn probe(&self, instance: &LegacyName, path: &str) -> Result<Option<u16>, Error> {
        let request =
            |http: &Client, url| http.post(url).query(&[("path", path)]).timeout(PROBE_WITHIN);
        let probed: Probed = self.call(&format!("/{instance}/probe"), request).await?;
        Ok(probed.status)
    }

    async fn traffic(&self, instance: &LegacyName) -> Result<RouteTraffic, Error> {
        let request = |http: &Client, url| http.get(url).timeout(TRAFFIC_WITHIN);
        self.call(&format!("/{instance}/traffic"), request).await
    }

    async fn visitors(&self) -> Result<BTreeMap<LegacyName, Visitors>, Error> {
        let request = |http: &Client, url| http.get(url).timeout(TRAFFIC_WITHIN);
        self.call_at("traffic", request).await
    }
}

#[cfg(test)]
mod tests {
    use common::port::store::{Lifetime, Op};
    use common::record::leader::{Advertised, CandidateRecord};
    use common::record::{self, path};
    use testkit::MemoryStore;

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

    async fn client(leader: Option<&str>) -> RoutesClient {
        let store = Arc::new(MemoryStore::new());
        if let Some(internal) = leader {
            let internal = Some(internal.to_owned());
            let advertised = Advertised { plain: "192.0.2.1:8050".to_owned(), internal };
            let record = CandidateRecord { schema: 1, advertised };
            let op = Op::PutSequential {
                path: path::candidate(ServiceName::LoadBalancer),
                value: record::encode(&record),
                lifetime: Lifetime::Persistent,
            };
            store.commit(vec![op]).await.unwrap();
        }
        let name = vec!["deployment-manager".to_owned()];
        let made = rcgen::generate_simple_self_signed(name).unwrap();
        let identity = format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem());
        RoutesClient::new(store, made.cert.pem().as_bytes(), identity.as_bytes()).unwrap()
    }

    #[tokio::test]
    async fn without_a_leader_that_listens_it_is_unavailable() {
        for leader in [None, Some("127.0.0.1:9"), Some("nowhere")] {
            let err = client(leader).await.probe(&"shop".parse().unwrap(), "/").await.unwrap_err();
            assert!(err.is_retryable(), "{leader:?}: {err:?}");
        }
    }
}
