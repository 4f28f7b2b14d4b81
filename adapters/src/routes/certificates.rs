//! The load balancer's certificates, over the same connections as its routes.

use async_trait::async_trait;
use common::name::HostName;
use common::port::Certificates;
use common::port::authority::Papers;
use common::port::certificates::{Error, HostCertificate, Listed};
use common::problem::Problem;
use reqwest::{Client, RequestBuilder};
use serde::de::{DeserializeOwned, IgnoredAny};

use super::{CHANGE_WITHIN, PROBE_WITHIN, RoutesClient};

/// What the load balancer itself says with a status of 500 and more.
const DECIDED: [&str; 2] = ["CERTIFICATES_OFF", "ROUTE_FAILED"];

impl RoutesClient {
    async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        request: impl FnOnce(&Client, String) -> RequestBuilder,
    ) -> Result<T, Error> {
        let answered = self.leader.send(&format!("certificates{path}"), request).await;
        let (status, body) = answered.map_err(Error::Unavailable)?;
        if (200..300).contains(&status) {
            return serde_json::from_slice(&body).map_err(|err| Error::Unavailable(err.into()));
        }
        Err(refused(status, &body))
    }
}

/// What the load balancer decided, in its own words; anything else means that it is not there.
fn refused(status: u16, body: &[u8]) -> Error {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) if status < 500 || DECIDED.contains(&problem.code.as_str()) => {
            Error::Refused(Box::new(problem))
        }
        Ok(problem) => Error::Unavailable(format!("{}: {}", problem.code, problem.detail).into()),
        Err(_) => Error::Unavailable(format!("it answered with status {status}").into()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_load_balancers_words_and_its_absence_as_such() {
        let problem = |status, code: &str| {
            let problem = Problem::new(status, code, "title", "why");
            refused(status, &serde_json::to_vec(&problem).unwrap())
        };
        for (status, code) in
            [(422, "CERTIFICATE_EXPIRED"), (503, "CERTIFICATES_OFF"), (503, "ROUTE_FAILED")]
        {
            let Error::Refused(told) = problem(status, code) else { panic!("{code}") };
            assert_eq!((told.status, told.code.as_str()), (status, code));
        }
        assert!(problem(503, "NOT_LEADING").is_retryable());
        assert!(refused(502, b"<html>").is_retryable());
    }
}
