//! [`Arm`]: Azure's interface of resources over HTTPS.
//!
//! Owns tokens, repeats and waiting: for a busy resource, for a limit of requests, for an operation that goes on after
//! its request was answered. Waits as long as it must: who asks has the deadline.

use std::time::Duration;

use reqwest::header::{HeaderMap, IF_NONE_MATCH, LOCATION, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Url};
use serde_json::Value;
use tokio::time::sleep;

use super::failure::{Fault, Refusal};
use super::resource::Resource;
use super::tokens::Tokens;

const OPERATION: &str = "azure-asyncoperation";
/// How often a request is sent whose answer does not come, or is that of a broken service.
const TRIES: u32 = 4;
/// Before the first repeat; then twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// However long Azure says: more is asked for anew.
const LONGEST_PAUSE: Duration = Duration::from_mins(2);
/// Larger is no answer of Azure's.
const LARGEST: usize = 8 << 20;

/// Asks Azure.
#[derive(Debug)]
pub(super) struct Arm {
    pub(super) http: Client,
    pub(super) base: Url,
    pub(super) tokens: Tokens,
    /// How long to wait where Azure does not say.
    pub(super) pace: Duration,
}

/// What a request may do to what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    Replace,
    /// [`Made::Existed`] instead.
    Keep,
}

/// What became of making something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    Done,
    /// It was there, and is as it was.
    Existed,
}

/// Whether a request may be sent again when its answer did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Twice {
    Harmless,
    Harmful,
}

struct Request<'a> {
    method: Method,
    url: Url,
    body: Option<&'a Value>,
    existing: Existing,
    twice: Twice,
}

struct Answer {
    status: u16,
    body: Value,
    operation: Option<Url>,
    location: Option<Url>,
    retry_after: Option<Duration>,
}

impl Arm {
    /// The resource as it is; none if it is not there.
    pub(super) async fn get(&self, resource: &Resource) -> Result<Option<Value>, Fault> {
        self.found(self.url(&resource.id, resource.version)).await
    }

    /// A virtual machine and how it runs.
    pub(super) async fn get_with_view(&self, computer: &Resource) -> Result<Option<Value>, Fault> {
        let mut url = self.url(&computer.id, computer.version);
        url.query_pairs_mut().append_pair("$expand", "instanceView");
        self.found(url).await
    }

    /// All resources of a kind, page after page; none if what they are in is not there.
    pub(super) async fn list(&self, kind: &Resource) -> Result<Vec<Value>, Fault> {
        let mut listed = Vec::new();
        let mut next = Some(self.url(&kind.id, kind.version));
        while let Some(url) = next {
            let Some(mut page) = self.found(url).await? else { break };
            if let Some(Value::Array(items)) = page.get_mut("value").map(Value::take) {
                listed.extend(items);
            }
            next = page.get("nextLink").and_then(Value::as_str).and_then(|link| self.ours(link));
        }
        Ok(listed)
    }

    /// Makes a resource what `body` says, and waits until it is.
    pub(super) async fn put(
        &self,
        resource: &Resource,
        body: &Value,
        existing: Existing,
    ) -> Result<Made, Fault> {
        let url = self.url(&resource.id, resource.version);
        let twice = Twice::Harmless;
        let request = Request { method: Method::PUT, url, body: Some(body), existing, twice };
        let answer = self.send(request).await?;
        if answer.status == 412 && existing == Existing::Keep {
            return Ok(Made::Existed);
        }
        self.finished(answer).await?;
        self.settled(resource).await?;
        Ok(Made::Done)
    }

    /// Removes a resource, and waits until it is gone.
    pub(super) async fn delete(&self, resource: &Resource) -> Result<(), Fault> {
        let url = self.url(&resource.id, resource.version);
        let answer = self.send(Request::new(Method::DELETE, url)).await?;
        if refusal(&answer).is_some_and(|refusal| refusal.is_missing()) {
            return Ok(());
        }
        self.finished(answer).await?;
        while self.get(resource).await?.is_some() {
            sleep(self.pace).await;
        }
        Ok(())
    }

    /// Makes a virtual machine start or stop, and waits until it has.
    pub(super) async fn switch(&self, computer: &Resource, verb: &str) -> Result<(), Fault> {
        self.order(computer, verb, Twice::Harmless).await
    }

    /// Makes a virtual machine begin anew: once for each call.
    pub(super) async fn restart(&self, computer: &Resource) -> Result<(), Fault> {
        self.order(computer, "restart", Twice::Harmful).await
    }

    async fn order(&self, computer: &Resource, verb: &str, twice: Twice) -> Result<(), Fault> {
        let url = self.url(&format!("{}/{verb}", computer.id), computer.version);
        let answer = self.send(Request { twice, ..Request::new(Method::POST, url) }).await?;
        self.finished(answer).await
    }

    async fn found(&self, url: Url) -> Result<Option<Value>, Fault> {
        let answer = self.send(Request::new(Method::GET, url)).await?;
        match refusal(&answer) {
            None => Ok(Some(answer.body)),
            Some(refusal) if refusal.is_missing() => Ok(None),
            Some(refusal) => Err(refusal.fault()),
        }
    }

    /// Waits until the operation that an answer begins has ended.
    async fn finished(&self, answer: Answer) -> Result<(), Fault> {
        if let Some(refusal) = refusal(&answer) {
            return Err(refusal.fault());
        }
        let mut pause = self.pause(&answer);
        match (answer.operation, answer.location) {
            (Some(operation), _) => loop {
                sleep(pause).await;
                let seen = self.send(Request::new(Method::GET, operation.clone())).await?;
                let status = seen.body.get("status").and_then(Value::as_str).unwrap_or_default();
                match (refusal(&seen), status.to_ascii_lowercase().as_str()) {
                    // What became of an operation is kept for a while only: the resource itself tells.
                    (Some(refusal), _) if refusal.is_missing() => return Ok(()),
                    (Some(refusal), _) => return Err(refusal.fault()),
                    (None, "succeeded") => return Ok(()),
                    (None, "failed" | "canceled") => {
                        return Err(Refusal::read(0, &seen.body).fault());
                    }
                    (None, _) => pause = self.pause(&seen),
                }
            },
            (None, Some(location)) if answer.status == 202 => loop {
                sleep(pause).await;
                let seen = self.send(Request::new(Method::GET, location.clone())).await?;
                match refusal(&seen) {
                    Some(refusal) if refusal.is_missing() => return Ok(()),
                    Some(refusal) => return Err(refusal.fault()),
                    None if seen.status != 202 => return Ok(()),
                    None => pause = self.pause(&seen),
                }
            },
            (None, _) => Ok(()),
        }
    }

    /// Waits until nothing is done to a resource any more.
    async fn settled(&self, resource: &Resource) -> Result<(), Fault> {
        loop {
            let seen = self.get(resource).await?;
            let state =
                seen.as_ref().and_then(|seen| seen.pointer("/properties/provisioningState"));
            match state.and_then(Value::as_str).unwrap_or("Succeeded") {
                "Succeeded" => return Ok(()),
                "Failed" | "Canceled" => {
                    return Err(Fault::Refused(format!("{resource} was not made as asked for")));
                }
                _ => sleep(self.pace).await,
            }
        }
    }

    /// Sends a request until it is answered for good.
    async fn send(&self, request: Request<'_>) -> Result<Answer, Fault> {
        let mut failed = 0;
        let mut has_renewed = false;
        loop {
            let token = match self.tokens.get().await {
                Ok(token) => token,
                Err(fault) if fault.is_passing() && failed + 1 < TRIES => {
                    sleep(backoff(failed)).await;
                    failed += 1;
                    continue;
                }
                Err(fault) => return Err(fault),
            };
            let answer = match self.attempt(&request, &token.secret).await {
                Ok(answer) => answer,
                Err(err) => {
                    let may_repeat = request.twice == Twice::Harmless || err.is_connect();
                    failed += 1;
                    if failed >= TRIES || !may_repeat {
                        return Err(Fault::Unavailable(err.without_url().into()));
                    }
                    sleep(backoff(failed - 1)).await;
                    continue;
                }
            };
            match answer.status {
                // It ran out on the way, or was called back.
                401 if !has_renewed => {
                    has_renewed = true;
                    self.tokens.forget(&token)?;
                }
                429 => sleep(self.pause(&answer)).await,
                408 | 500..=504 if request.twice == Twice::Harmless && failed + 1 < TRIES => {
                    let pause = answer.retry_after.unwrap_or_else(|| backoff(failed));
                    failed += 1;
                    sleep(pause).await;
                }
                _ if refusal(&answer).is_some_and(|refusal| refusal.is_busy()) => {
                    sleep(self.pause(&answer)).await;
                }
                _ => return Ok(answer),
            }
        }
    }

    async fn attempt(&self, request: &Request<'_>, token: &str) -> Result<Answer, reqwest::Error> {
        let mut sending: RequestBuilder =
            self.http.request(request.method.clone(), request.url.clone()).bearer_auth(token);
        if request.existing == Existing::Keep {
            sending = sending.header(IF_NONE_MATCH, "*");
        }
        sending = match (request.body, &request.method) {
            (Some(body), _) => sending.json(body),
            (None, &Method::POST) => sending.body(""),
            (None, _) => sending,
        };
        let mut answer = sending.send().await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if bytes.len() + chunk.len() <= LARGEST {
                bytes.extend_from_slice(&chunk);
            }
        }
        let headers = answer.headers();
        Ok(Answer {
            status: answer.status().as_u16(),
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
            operation: text(headers, OPERATION).and_then(|link| self.ours(link)),
            location: text(headers, LOCATION.as_str()).and_then(|link| self.ours(link)),
            retry_after: text(headers, RETRY_AFTER.as_str())
                .and_then(|seconds| seconds.parse().ok())
                .map(|seconds| Duration::from_secs(seconds).min(LONGEST_PAUSE)),
        })
    }

    fn pause(&self, answer: &Answer) -> Duration {
        answer.retry_after.unwrap_or(self.pace)
    }

    fn url(&self, path: &str, version: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(path);
        url.query_pairs_mut().append_pair("api-version", version);
        url
    }

    /// A link, unless it leads to somebody else: the token goes nowhere but to Azure.
    fn ours(&self, link: &str) -> Option<Url> {
        Url::parse(link).ok().filter(|url| url.origin() == self.base.origin())
    }
}

impl Request<'_> {
    fn new(method: Method, url: Url) -> Self {
        let (existing, twice) = (Existing::Replace, Twice::Harmless);
        Request { method, url, body: None, existing, twice }
    }
}

fn backoff(failed: u32) -> Duration {
    FIRST_PAUSE * 2_u32.pow(failed)
}

fn refusal(answer: &Answer) -> Option<Refusal> {
    let is_refused = !(200..300).contains(&answer.status);
    is_refused.then(|| Refusal::read(answer.status, &answer.body))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
