//! The command line's way to the platform: the app manager's HTTP interface.

mod doors;
mod known;

use std::time::Duration;

use anyhow::Context as _;
use common::problem::Problem;
use reqwest::{Method, Request, RequestBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::credentials::{self, Credentials};
use crate::failure::Failure;
use doors::{Doors, may_repeat};

const DEFAULT_SERVER: &str = "http://127.0.0.1:8010";
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A client for one platform, signed in or not.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    doors: Doors,
    known: Option<Credentials>,
}

impl Client {
    /// Uses `server`, else the one that `login` noted, else this machine's; and what was noted of its platform: the
    /// token, and other servers, which are asked where it does not answer.
    pub(crate) fn new(server: Option<&str>) -> anyhow::Result<Self> {
        let noted = credentials::load()?;
        let typed = server.map(checked).transpose()?;
        let known = match (&typed, &noted) {
            (Some(server), Some(noted)) => noted.of(server).cloned(),
            (None, Some(noted)) => Some(noted.current().clone()),
            (_, None) => None,
        };
        let of_platform = || known.as_ref().map(|known| known.server.clone());
        let first = typed.or_else(of_platform).unwrap_or_else(|| DEFAULT_SERVER.to_owned());
        let servers = known.iter().flat_map(Credentials::servers);
        let others: Vec<String> = servers.filter(|server| **server != first).cloned().collect();
        let mut http = reqwest::Client::builder().connect_timeout(CONNECT_WITHIN);
        // A proxy would look for it on its own machine.
        if others.iter().chain([&first]).all(|server| credentials::is_of_this_computer(server)) {
            http = http.no_proxy();
        }
        let http = http.build()?;
        Ok(Client { http, doors: Doors::new(first, others), known })
    }

    /// The server that is asked now.
    pub(crate) fn server(&self) -> &str {
        self.doors.now()
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
        let url = format!("{}{path}", self.server());
        self.send(self.http.post(url).timeout(ANSWER_WITHIN).json(body)).await
    }

    /// A request that carries the token; the caller adds body and deadline.
    pub(crate) fn request(&self, method: Method, path: &str) -> anyhow::Result<RequestBuilder> {
        let known = self.known.as_ref().ok_or(Failure::SignedOut)?;
        let request = self.http.request(method, format!("{}{path}", self.server()));
        Ok(request.bearer_auth(&known.token))
    }

    /// A request that carries the token where there is one: platform initializers know nobody by name.
    pub(crate) fn request_by_anyone(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.server()));
        match &self.known {
            Some(known) => request.bearer_auth(&known.token),
            None => request,
        }
    }

    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> anyhow::Result<T> {
        let body = self.open(request).await?.bytes().await.map_err(|err| self.unreachable(err))?;
        serde_json::from_slice(&body).context("the platform's answer is not what it should be")
    }

    /// Sends, and turns refusals into failures; the body is still to be read.
    pub(crate) async fn open(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let response = self.ask(request.build().map_err(|err| self.unreachable(err))?).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let problem = response.json::<Problem>().await.unwrap_or_else(|_| unexplained(status));
        Err(Failure::Refused(Box::new(problem)).into())
    }

    /// Asks the platform: where one of its servers does not answer, the next, if the request may be sent again.
    async fn ask(&self, mut request: Request) -> Result<Response, Failure> {
        if request.try_clone().is_none() && self.doors.count() > 1 {
            // What is read as it is sent can be sent once.
            let from = self.server().to_owned();
            self.find_open().await;
            request = self.moved(request, &from);
        }
        for left in (0..self.doors.count()).rev() {
            let again = request.try_clone();
            match (self.http.execute(request).await, again) {
                (Ok(response), _) => {
                    if left + 1 < self.doors.count() {
                        self.note().await;
                    }
                    return Ok(response);
                }
                (Err(err), Some(again)) if left > 0 && may_repeat(&err, &again) => {
                    let from = self.server().to_owned();
                    self.doors.next();
                    request = self.moved(again, &from);
                }
                (Err(err), _) => return Err(self.unreachable(err)),
            }
        }
        Err(Failure::Usage("there is no server to ask".to_owned()))
    }

    /// Turns to the first server that answers at all, if one does.
    async fn find_open(&self) {
        for _ in 0..self.doors.count() {
            let url = format!("{}/livez", self.server());
            if self.http.get(url).timeout(CONNECT_WITHIN).send().await.is_ok() {
                return;
            }
            self.doors.next();
        }
    }

    fn moved(&self, mut request: Request, from: &str) -> Request {
        if let Some(url) = doors::at(request.url(), from, self.server()) {
            *request.url_mut() = url;
        }
        request
    }

    /// Notes for the next command which server answers, and where others are by now. That it cannot is no failure of
    /// what was asked for.
    async fn note(&self) {
        let Some(known) = self.known.clone() else { return };
        let servers = self.servers_with_token(&known.token).await;
        drop(credentials::update(&known.with_servers(servers)));
    }

    /// The server that is asked now, those that the platform says it has, and those that were known.
    pub(crate) async fn servers_with_token(&self, token: &str) -> Vec<String> {
        let mut servers = vec![self.server().to_owned()];
        let url = format!("{}/api/v1/platform", self.server());
        let asked = self.http.get(url).bearer_auth(token).timeout(CONNECT_WITHIN).send().await;
        if let Ok(answer) = asked
            && let Ok(platform) = answer.json::<known::Platform>().await
        {
            servers.extend(platform.doors(self.server()));
        }
        servers.extend(self.doors.in_order());
        servers
    }

    fn unreachable(&self, source: reqwest::Error) -> Failure {
        Failure::Unreachable { server: self.server().to_owned(), source }
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
