//! [`OtherEdgeClient`]: the load balancer beside the other edge of a pair, over HTTPS with mutual TLS.
//!
//! Owns how it is reached and read; who asks has deadlines of his own.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use common::name::LegacyName;
use common::port::edge::{Error, TakenRoutes, Traffic, Visits};
use common::port::{Cause, OtherEdge};
use common::service::ServiceName;
use reqwest::{Certificate, Client, Identity, Method};
use serde::de::{DeserializeOwned, IgnoredAny};

use super::InvalidCertificates;

const CONNECT_WITHIN: Duration = Duration::from_secs(1);
const ANSWERS_WITHIN: Duration = Duration::from_secs(6);
/// The name in every certificate of a load balancer.
const NAME: &str = ServiceName::LoadBalancer.as_str();

/// Asks one load balancer at one address; connections are kept.
pub struct OtherEdgeClient {
    address: SocketAddr,
    http: Client,
}

impl fmt::Debug for OtherEdgeClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtherEdgeClient").field("address", &self.address).finish_non_exhaustive()
    }
}

impl OtherEdgeClient {
    /// `ca`: the platform's CA; `identity`: the caller's certificate and key; both PEM. Whoever listens at `address` must
    /// prove to be a load balancer.
    pub fn new(
        address: SocketAddr,
        ca: &[u8],
        identity: &[u8],
    ) -> Result<Self, InvalidCertificates> {
        let http = Client::builder()
            .tls_certs_only([Certificate::from_pem(ca).map_err(InvalidCertificates)?])
            .identity(Identity::from_pem(identity).map_err(InvalidCertificates)?)
            .https_only(true)
            .no_proxy()
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWERS_WITHIN)
            .resolve(NAME, address)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(InvalidCertificates)?;
        Ok(OtherEdgeClient { address, http })
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, Error> {
        let answered = self.send(method, path).await;
        answered.map_err(Error::Unavailable)
    }

    async fn send<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, Cause> {
        let url = format!("https://{NAME}:{}/api/v1/edge/{path}", self.address.port());
        let response = self.http.request(method, url).send().await?;
        let status = response.status();
        let body = response.bytes().await?;
        if status.is_success() {
            return Ok(serde_json::from_slice(&body)?);
        }
        match serde_json::from_slice::<common::problem::Problem>(&body) {
            Ok(problem) => Err(format!("{}: {}", problem.code, problem.detail).into()),
            Err(_) => Err(format!("it answered with status {status}").into()),
        }
    }
}

#[async_trait]
impl OtherEdge for OtherEdgeClient {
    async fn take_routes(&self) -> Result<TakenRoutes, Error> {
        self.call(Method::POST, "routes").await
    }

    async fn take_certificates(&self) -> Result<(), Error> {
        self.call::<IgnoredAny>(Method::POST, "certificates").await.map(drop)
    }

    async fn in_flight(&self) -> Result<BTreeMap<SocketAddr, u64>, Error> {
        self.call(Method::GET, "in-flight").await
    }

    async fn traffic(&self) -> Result<Traffic, Error> {
        self.call(Method::GET, "traffic").await
    }

    async fn visits(&self) -> Result<BTreeMap<LegacyName, Visits>, Error> {
        self.call(Method::GET, "visits").await
    }
}
