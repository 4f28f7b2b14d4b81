//! [`LifecycleClient`]: the lifecycle manager over HTTPS with mutual TLS, for who speaks for people.
//!
//! Owns deadlines; never decides whether to ask again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use common::id::RequestId;
use common::name::NodeName;
use common::port::upkeep::{Addition, Error, Machine, Pin, Target};
use common::port::{Store, Upkeep};
use common::service::ServiceName;
use reqwest::{Client, RequestBuilder};

use crate::leaders::{InvalidCertificates, LeaderClient};

/// What is asked is read from records, or written down.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// Names a request, so that a repeat is known.
const REQUEST: &str = "Idempotency-Key";

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
    ) -> Result<Bytes, Error> {
        let asked = |http: &Client, url| request(http, url).timeout(ANSWERS_WITHIN);
        self.leader.ask(path, asked).await
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
