//! Tokens for Azure's interface of resources: asked for when there is none that holds, shown to nobody.

use std::error::Error as _;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use azure_core::Error;
use azure_core::cloud::CustomConfiguration;
use azure_core::credentials::TokenCredential as _;
use azure_core::error::ErrorKind;
use azure_core::http::headers::Headers;
use azure_core::http::{
    AsyncRawResponse, Body, ClientOptions, HttpClient, Request, RetryOptions, Transport,
};
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};
use reqwest::{Client, Url};

use super::failure::Fault;
use super::principal::ServicePrincipal;
use super::settings::Endpoints;

/// Gives tokens, the same one while it holds.
pub(super) struct Tokens {
    principal: ServicePrincipal,
    scope: String,
    authority: Url,
    http: Client,
    current: Mutex<Current>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("principal", &self.principal).finish_non_exhaustive()
    }
}

/// What keeps a token, and how often it was replaced.
#[derive(Clone)]
struct Current {
    credential: Arc<ClientSecretCredential>,
    turn: u32,
}

/// A token, and which one it is.
pub(super) struct Token {
    pub(super) secret: String,
    turn: u32,
}

impl Tokens {
    pub(super) fn new(
        principal: ServicePrincipal,
        endpoints: &Endpoints,
        http: Client,
    ) -> Result<Self, Error> {
        let authority = endpoints.authority.clone();
        let scope = format!("{}/.default", endpoints.arm.as_str().trim_end_matches('/'));
        let credential = credential(&principal, &authority, &http)?;
        let current = Mutex::new(Current { credential, turn: 0 });
        Ok(Tokens { principal, scope, authority, http, current })
    }

    pub(super) async fn get(&self) -> Result<Token, Fault> {
        let Current { credential, turn } = self.current().clone();
        let got = credential.get_token(&[&self.scope], None).await.map_err(fault)?;
        Ok(Token { secret: got.token.secret().to_owned(), turn })
    }

    /// This one is taken no more, whatever its time says: the next is another. What keeps a token cannot be told to
    /// forget it, and is replaced itself.
    pub(super) fn forget(&self, token: &Token) -> Result<(), Fault> {
        let mut current = self.current();
        if current.turn == token.turn {
            let credential = credential(&self.principal, &self.authority, &self.http);
            current.credential = credential.map_err(fault)?;
            current.turn += 1;
        }
        Ok(())
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn credential(
    principal: &ServicePrincipal,
    authority: &Url,
    http: &Client,
) -> Result<Arc<ClientSecretCredential>, Error> {
    let mut cloud = CustomConfiguration::default();
    // The library takes no other scheme; where the request really goes, the sender knows.
    let rest = authority.as_str().split_once("://").map_or("", |(_, rest)| rest);
    cloud.authority_host = format!("https://{rest}");
    let sender = Sender { http: http.clone(), scheme: authority.scheme().to_owned() };
    let client_options = ClientOptions {
        transport: Some(Transport::new(Arc::new(sender))),
        cloud: Some(Arc::new(cloud.into())),
        // Whoever wants a token decides whether to ask again.
        retry: RetryOptions::none(),
        ..ClientOptions::default()
    };
    ClientSecretCredential::new(
        &principal.directory,
        principal.client.clone(),
        principal.secret.clone(),
        Some(ClientSecretCredentialOptions { client_options }),
    )
}

/// Whether it was refused, or could not be asked, stands in what caused the error.
fn fault(err: Error) -> Fault {
    let mut status = err.http_status();
    let mut cause = err.source();
    while let (None, Some(inner)) = (status, cause) {
        status = inner.downcast_ref::<Error>().and_then(Error::http_status);
        cause = inner.source();
    }
    match status.map(u16::from) {
        Some(400..=407 | 409..=428) => Fault::Credentials(err.into()),
        Some(_) | None => Fault::Unavailable(err.into()),
    }
}

/// Sends the requests of the library, with our deadlines and our TLS.
#[derive(Debug)]
struct Sender {
    http: Client,
    scheme: String,
}

#[async_trait]
impl HttpClient for Sender {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let failed = |err: reqwest::Error| Error::new(ErrorKind::Io, err.without_url());
        let mut url = request.url().clone();
        let Body::Bytes(body) = request.body() else {
            return Err(Error::with_message(ErrorKind::Other, "a request for a token is short"));
        };
        if url.set_scheme(&self.scheme).is_err() {
            return Err(Error::with_message(ErrorKind::Other, "the authority has another scheme"));
        }
        let mut sending = self.http.post(url).body(body.clone());
        for (name, value) in request.headers().iter() {
            sending = sending.header(name.as_str(), value.as_str());
        }
        let answer = sending.send().await.map_err(failed)?;
        let status = answer.status().as_u16().into();
        let body = answer.bytes().await.map_err(failed)?;
        Ok(AsyncRawResponse::from_bytes(status, Headers::new(), body))
    }
}
