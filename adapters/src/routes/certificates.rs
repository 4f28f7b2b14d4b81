//! The load balancer's certificates, over the same connections as its routes.

use async_trait::async_trait;
use common::name::HostName;
use common::port::Certificates;
use common::port::authority::Papers;
use common::port::certificates::{Error, HostCertificate, Listed};
use reqwest::{Client, RequestBuilder};
use serde::de::{DeserializeOwned, IgnoredAny};

use super::{CHANGE_WITHIN, PROBE_WITHIN, RoutesClient};

impl RoutesClient {
    async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        request: impl FnOnce(&Client, String) -> RequestBuilder,
    ) -> Result<T, Error> {
        let body = self.leader.ask(&format!("certificates{path}"), request).await?;
        serde_json::from_slice(&body).map_err(|err| Error::Unavailable(err.into()))
    }
}

#[async_trait]
impl Certificates for RoutesClient {
    async fn set(&self, host: &HostName, papers: &Papers) -> Result<HostCertificate, Error> {
        let request = |http: &Client, url| http.put(url).timeout(CHANGE_WITHIN).json(papers);
        self.ask(&format!("/{host}"), request).await
    }

    async fn list(&self) -> Result<Listed, Error> {
        let request = |http: &Client, url| http.get(url).timeout(PROBE_WITHIN);
        self.ask("", request).await
    }

    async fn remove(&self, host: &HostName) -> Result<(), Error> {
        let request = |http: &Client, url| http.delete(url).timeout(CHANGE_WITHIN);
        self.ask::<IgnoredAny>(&format!("/{host}"), request).await.map(drop)
    }
}
