//! Asking Azure Files: who asks, how often, and for how long.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use common::port::Clock;
use object_store::azure::split_sas;
use reqwest::header::AUTHORIZATION;
use reqwest::redirect::Policy;
use reqwest::{Method, Url};
use tokio::time::timeout;

use super::answer::{self, Answer, Failure};
use super::sign::SharedKey;
use crate::share::settings::{AzureCredential, AzureSettings, InvalidShare, is_here};
use crate::share::{CONNECT_WITHIN, FIRST_PAUSE, LONGEST_PAUSE, PAUSE, RETRIES, RETRY_WITHIN};

/// The version of the interface that is spoken: it encodes names that XML cannot hold, and keeps dots at their ends.
const VERSION: &str = "2024-11-04";
/// How long one question may take altogether.
const WITHIN: Duration = Duration::from_mins(2);

/// A question without a body.
#[derive(Debug)]
pub(super) struct Question {
    method: Method,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    range: Option<String>,
}

impl Question {
    pub(super) fn get(path: &[&str]) -> Self {
        let path = path.iter().map(|&segment| segment.to_owned()).collect();
        Question { method: Method::GET, path, query: Vec::new(), range: None }
    }

    pub(super) fn head(path: &[&str]) -> Self {
        Question { method: Method::HEAD, ..Question::get(path) }
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.query.push((name, value.to_owned()));
        self
    }

    pub(super) fn ranged(mut self, range: String) -> Self {
        self.range = Some(range);
        self
    }
}

/// Asks one share.
pub(super) struct Client {
    pub(super) place: String,
    http: reqwest::Client,
    share: Url,
    credential: Credential,
    clock: Arc<dyn Clock>,
}

enum Credential {
    Key(Box<SharedKey>),
    /// What is added to each URL.
    Sas(Vec<(String, String)>),
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn new(
        settings: &AzureSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, InvalidShare> {
        let mut share = settings.endpoint("file")?;
        share
            .path_segments_mut()
            .map_err(|()| InvalidShare::Endpoint)?
            .pop_if_empty()
            .push(&settings.name);
        let unreadable = |what: &str| InvalidShare::Secret(what.to_owned());
        let credential = match &settings.credential {
            AzureCredential::Key(secret) => {
                let key = SharedKey::new(&settings.account, &secret.read()?);
                Credential::Key(key.map(Box::new).ok_or_else(|| unreadable("it is not in base64"))?)
            }
            AzureCredential::Sas(secret) => {
                let pairs = split_sas(&secret.read()?);
                let pairs = pairs.map_err(|_| unreadable("it is not a shared access signature"))?;
                Credential::Sas(pairs)
            }
        };
        let mut http = reqwest::Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .read_timeout(PAUSE);
        if is_here(&share) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|_| InvalidShare::Tls)?;
        Ok(Client { place: share.to_string(), http, share, credential, clock })
    }

    /// Asks until there is an answer, for a while, and more and more seldom.
    pub(super) async fn ask(&self, question: &Question) -> Result<Answer, Failure> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(RETRIES)
            .with_total_delay(Some(RETRY_WITHIN))
            .with_jitter();
        let asking = (|| self.ask_once(question))
            .retry(pauses)
            .when(Failure::is_retryable)
            .adjust(|failure, pause| pause.map(|pause| pause.max(wanted_pause(failure))));
        let late = |_| Failure::Lost("it took too long".to_owned());
        timeout(WITHIN, asking).await.map_err(late)?
    }

    async fn ask_once(&self, question: &Question) -> Result<Answer, Failure> {
        let mut url = self.share.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(&question.path);
        }
        if !question.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&question.query);
        }
        let date = self.clock.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        // Sorted: that is how they are signed.
        let mut headers = vec![("x-ms-allow-trailing-dot", "true".to_owned()), ("x-ms-date", date)];
        headers.extend(question.range.clone().map(|range| ("x-ms-range", range)));
        headers.push(("x-ms-version", VERSION.to_owned()));
        let authorization = match &self.credential {
            Credential::Key(key) => Some(key.authorize(&question.method, &url, &headers)),
            Credential::Sas(pairs) => {
                url.query_pairs_mut().extend_pairs(pairs);
                None
            }
        };
        let mut request = self.http.request(question.method.clone(), url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        answer::read(request.send().await.map_err(Failure::lost)?).await
    }
}

/// How long the service wants to be left alone.
fn wanted_pause(failure: &Failure) -> Duration {
    match failure {
        Failure::Busy { after, .. } => after.unwrap_or_default().min(LONGEST_PAUSE),
        Failure::Absent | Failure::Refused(_) | Failure::Lost(_) | Failure::Strange(_) => {
            Duration::ZERO
        }
    }
}
