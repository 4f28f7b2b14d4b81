//! The command line's way to the platform: the app manager's HTTP interface.

use std::time::Duration;

use anyhow::Context as _;
use common::problem::Problem;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::credentials::{self, Credentials};
use crate::failure::Failure;

const DEFAULT_SERVER: &str = "http://127.0.0.1:8010";
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

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
        let server = server.unwrap_or_else(|| DEFAULT_SERVER.to_owned());
        let server = server.trim_end_matches('/').to_owned();
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

    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> anyhow::Result<T> {
        let response = self.open(request).await?;
        response.json().await.context("the platform's answer is not what it should be")
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

fn unexplained(status: StatusCode) -> Problem {
    let detail = format!("the platform answered {status} without saying why");
    Problem::new(status.as_u16(), "UNEXPLAINED", "The platform refused", detail)
}
