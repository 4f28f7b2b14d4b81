//! The command line's way to the platform: the app manager's HTTP interface.

use std::time::Duration;

use anyhow::Context as _;
use common::problem::Problem;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::credentials::{self, Credentials};
use crate::failure::Failure;

const DEFAULT_SERVER: &str = "http://127.0.0.1:8010";
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A client for one server, signed in or not.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    pub(crate) server: String,
    token: Option<String>,
}

impl Client {
    /// Uses `server`, else the one that `login` noted, else this machine's; and the token noted for it.
    pub(crate) fn new(server: Option<String>) -> anyhow::Result<Self> {
        let known = credentials::load()?;
        let server = server.or_else(|| known.as_ref().map(|known| known.server.clone()));
        let server = checked(&server.unwrap_or_else(|| DEFAULT_SERVER.to_owned()))?;
        let token =
            known.filter(|known: &Credentials| known.server == server).map(|known| known.token);
        let http = reqwest::Client::builder().connect_timeout(CONNECT_WITHIN).build()?;
        Ok(Client { http, server, token })
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.send(self.request(Method::GET, path)?.timeout(ANSWER_WITHIN)).await
    }

    pub(crate) async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> anyhow::Result<T> {
        self.send(self.request(Method::POST, path)?.timeout(ANSWER_WITHIN).json(body)).await
    }

    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.send(self.request(Method::DELETE, path)?.timeout(ANSWER_WITHIN)).await
    }

    /// Signing in is the one thing that needs no token.
    pub(crate) async fn sign_in<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> anyhow::Result<T> {
        let request =
            self.http.post(format!("{}{path}", self.server)).timeout(ANSWER_WITHIN).json(body);
        self.send(request).await
    }

    /// A request that carries the token; the caller adds body and deadline.
    pub(crate) fn request(&self, method: Method, path: &str) -> anyhow::Result<RequestBuilder> {
        let token = self.token.as_ref().ok_or(Failure::SignedOut)?;
        Ok(self.http.request(method, format!("{}{path}", self.server)).bearer_auth(token))
    }

    /// A request that carries the token where there is one: platform initializers know nobody by name.
    pub(crate) fn request_by_anyone(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.server));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> anyhow::Result<T> {
        let unreachable = |source| Failure::Unreachable { server: self.server.clone(), source };
        let body = self.open(request).await?.bytes().await.map_err(unreachable)?;
        serde_json::from_slice(&body).context("the platform's answer is not what it should be")
    }

    /// Sends, and turns refusals into failures; the body is still to be read.
    pub(crate) async fn open(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let unreachable = |source| Failure::Unreachable { server: self.server.clone(), source };
        let response = request.send().await.map_err(unreachable)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let problem = response.json::<Problem>().await.unwrap_or_else(|_| unexplained(status));
        Err(Failure::Refused(Box::new(problem)).into())
    }
}

/// The server's URL, without a slash at its end.
fn checked(server: &str) -> Result<String, Failure> {
    let is_url = Url::parse(server)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !is_url {
        let wrong = format!("{server:?} is not the URL of a server; write it as http://HOST:PORT");
        return Err(Failure::Usage(wrong));
    }
    Ok(server.trim_end_matches('/').to_owned())
}

fn unexplained(status: StatusCode) -> Problem {
    let detail = format!("the platform answered {status} without saying why");
    Problem::new(status.as_u16(), "UNEXPLAINED", "The platform refused", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_url_with_a_scheme() {
        assert_eq!(checked("http://192.0.2.10:8010/").unwrap(), "http://192.0.2.10:8010");
        assert!(checked("https://example.org").is_ok());
        for wrong in ["192.0.2.10:8010", "localhost:8010", "ftp://example.org", "http://", ""] {
            assert!(matches!(checked(wrong), Err(Failure::Usage(_))), "{wrong}");
        }
    }
}
