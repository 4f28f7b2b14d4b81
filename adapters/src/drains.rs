//! [`DrainsClient`]: the node manager over HTTPS with mutual TLS, for who speaks for people.
//!
//! Owns deadlines; never decides whether to ask again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::name::NodeName;
use common::port::drains::Error;
use common::port::{Drains, Store};
use common::service::ServiceName;
use reqwest::{Client, RequestBuilder};

use crate::leaders::{InvalidCertificates, LeaderClient};

/// It writes one record.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

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
        self.leader.ask(&format!("nodes/{node}/drain"), asked).await.map(drop)
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
