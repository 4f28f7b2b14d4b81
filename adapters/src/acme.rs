//! [`AcmeAuthority`]: an authority that visitors' browsers trust, by instant-acme over our own HTTP client.
//!
//! Owns the protocol and its deadlines; never decides for which names a certificate is asked, or when again. Keys are made
//! here and leave it in the answer alone.

mod door;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use common::name::HostName;
use common::port::PublicAuthority;
use common::port::edge::Challenge;
use common::port::public_authority::{Account, Error, Order, Progress};
use instant_acme::{
    AccountCredentials, AuthorizationStatus, ChallengeStatus, ChallengeType, Identifier,
    NewAccount, NewOrder, OrderStatus, Problem,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use reqwest::{Certificate, Client};
use tokio::time::timeout;

use door::Door;

const CONNECTS_WITHIN: Duration = Duration::from_secs(5);
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);
/// Of all requests that a step takes.
const STEP_WITHIN: Duration = Duration::from_mins(1);
/// How soon an order is looked at again where the authority does not say, and how late at most.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
const LAST_LOOK_AGAIN: Duration = Duration::from_mins(5);
/// The library tries three times with other nonces; what is refused then may be asked again at once.
const OF_THE_MOMENT: [&str; 2] = ["badNonce", "serverInternal"];

/// Which authority, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeSettings {
    /// The URL of its directory.
    pub directory: String,
    /// Whom it may write to, as `mailto:` addresses.
    pub contacts: Vec<String>,
    /// PEM: whom to trust instead of the authorities that the machine trusts.
    pub trusted: Option<Vec<u8>>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[error("the certificates that the authority is trusted by cannot be used")]
pub struct Untrusted(#[source] reqwest::Error);

/// An ACME authority.
#[derive(Clone)]
pub struct AcmeAuthority {
    settings: AcmeSettings,
    http: Client,
}

impl fmt::Debug for AcmeAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcmeAuthority")
            .field("directory", &self.settings.directory)
            .finish_non_exhaustive()
    }
}

impl AcmeAuthority {
    pub fn new(settings: AcmeSettings) -> Result<Self, Untrusted> {
        let mut http = Client::builder()
            .no_proxy()
            .https_only(true)
            .connect_timeout(CONNECTS_WITHIN)
            .timeout(ANSWERS_WITHIN);
        if let Some(trusted) = &settings.trusted {
            let trusted = Certificate::from_pem_bundle(trusted).map_err(Untrusted)?;
            http = http.tls_certs_only(trusted);
        }
        let http = http.build().map_err(Untrusted)?;
        Ok(AcmeAuthority { settings, http })
    }

    fn door(&self) -> Door {
        Door::new(self.http.clone())
    }

    async fn account(
        &self,
        door: &Door,
        account: &Account,
    ) -> Result<instant_acme::Account, Error> {
        let credentials: AccountCredentials =
            serde_json::from_str(&account.0).map_err(Error::unavailable)?;
        let builder = instant_acme::Account::builder_with_http(Box::new(door.clone()));
        builder.from_credentials(credentials).await.map_err(|err| self.of_directory(err))
    }

    async fn found(
        &self,
        door: &Door,
        account: &Account,
        order: &Order,
    ) -> Result<instant_acme::Order, Error> {
        let account = self.account(door, account).await?;
        let found = account.order(order.url.clone()).await;
        // Without a word besides, as some have it.
        let is_none = matches!(found, Err(instant_acme::Error::Json(_))) && door.found_nothing();
        if is_none {
            Err(given_up("malformed", "there is no such order"))
        } else {
            found.map_err(of)
        }
    }

    /// What is met first is the directory: something else may stand at its URL.
    fn of_directory(&self, err: instant_acme::Error) -> Error {
        if matches!(err, instant_acme::Error::Json(_)) {
            let directory = &self.settings.directory;
            return Error::unavailable(format!("{directory} is no directory of an ACME authority"));
        }
        of(err)
    }
}

/// A step: a conversation with an end, and with what the authority says about asking again.
async fn step<T>(
    door: &Door,
    talk: impl Future<Output = Result<T, Error>> + Send,
) -> Result<T, Error> {
    let ended = match timeout(STEP_WITHIN, talk).await {
        Ok(ended) => ended,
        Err(_) => Err(Error::unavailable("the authority did not answer in time")),
    };
    ended.map_err(|mut err| {
        let (Error::Unavailable { wait, .. } | Error::Refused { wait, .. }) = &mut err;
        *wait = wait.or_else(|| door.wait());
        err
    })
}

fn of(err: instant_acme::Error) -> Error {
    if let instant_acme::Error::Api(problem) = &err {
        refused(problem)
    } else {
        Error::unavailable(err)
    }
}

fn refused(problem: &Problem) -> Error {
    let kind = problem.r#type.as_deref().unwrap_or("refused");
    let kind = kind.rsplit(':').next().unwrap_or(kind).to_owned();
    let nested = problem.subproblems.iter().filter_map(|inner| inner.detail.as_deref());
    let told: Vec<&str> = problem.detail.as_deref().into_iter().chain(nested).collect();
    let detail = if told.is_empty() { "it did not say why".to_owned() } else { told.join("; ") };
    if OF_THE_MOMENT.contains(&kind.as_str()) {
        return Error::unavailable(format!("{kind}: {detail}"));
    }
    Error::Refused { kind, detail, wait: None }
}

fn given_up(kind: &str, detail: &str) -> Error {
    Error::Refused { kind: kind.to_owned(), detail: detail.to_owned(), wait: None }
}

/// What it wants answered, or why it does not ask any more.
async fn asked(order: &mut instant_acme::Order) -> Result<Vec<Challenge>, Error> {
    let mut challenges = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(of)?;
        let status = authorization.status;
        if status == AuthorizationStatus::Valid {
            continue;
        }
        if status != AuthorizationStatus::Pending {
            let told = authorization.challenges.iter().find_map(|one| one.error.as_ref());
            return Err(told.map_or_else(|| given_up("invalid", "it did not say why"), refused));
        }
        let Some(challenge) = authorization.challenge(ChallengeType::Http01) else {
            return Err(given_up("unsupported", "the authority does not ask over HTTP"));
        };
        if challenge.status == ChallengeStatus::Pending {
            let answer = challenge.key_authorization().as_str().to_owned();
            challenges.push(Challenge { token: challenge.token.clone(), answer });
        }
    }
    Ok(challenges)
}

/// The authority says why at the challenge, not at the order.
async fn why_invalid(order: &mut instant_acme::Order) -> Error {
    if let Some(problem) = &order.state().error {
        return refused(problem);
    }
    match asked(order).await {
        Err(err) => err,
        Ok(_) => given_up("invalid", "it did not say why"),
    }
}

/// A request for a certificate of the order's key, DER.
fn request_for(host: &HostName, key: &str) -> Result<Vec<u8>, rcgen::Error> {
    let key = KeyPair::from_pem(key)?;
    let mut wanted = CertificateParams::new(vec![host.to_string()])?;
    wanted.distinguished_name = DistinguishedName::new();
    Ok(wanted.serialize_request(&key)?.der().to_vec())
}

#[async_trait]
impl PublicAuthority for AcmeAuthority {
    fn directory(&self) -> &str {
        &self.settings.directory
    }

    async fn register(&self) -> Result<Account, Error> {
        let door = &self.door();
        step(door, async {
            let contact: Vec<&str> = self.settings.contacts.iter().map(String::as_str).collect();
            let wanted = NewAccount {
                contact: &contact,
                terms_of_service_agreed: true,
                only_return_existing: false,
            };
            let builder = instant_acme::Account::builder_with_http(Box::new(door.clone()));
            let made = builder.create(&wanted, self.settings.directory.clone(), None).await;
            let (_, credentials) = made.map_err(|err| self.of_directory(err))?;
            serde_json::to_string(&credentials).map(Account).map_err(Error::unavailable)
        })
        .await
    }

    async fn order(&self, account: &Account, host: &HostName) -> Result<Order, Error> {
        let door = &self.door();
        step(door, async {
            let key = KeyPair::generate().map_err(Error::unavailable)?.serialize_pem();
            let account = self.account(door, account).await?;
            let names = [Identifier::Dns(host.to_string())];
            let order = account.new_order(&NewOrder::new(&names)).await.map_err(of)?;
            Ok(Order { url: order.url().to_owned(), key })
        })
        .await
    }

    async fn look(&self, account: &Account, order: &Order) -> Result<Progress, Error> {
        let door = &self.door();
        step(door, async {
            let mut order = self.found(door, account, order).await?;
            let again = door.wait().unwrap_or(LOOK_AGAIN).min(LAST_LOOK_AGAIN);
            Ok(match order.state().status {
                OrderStatus::Pending => match asked(&mut order).await? {
                    challenges if challenges.is_empty() => Progress::Works(again),
                    challenges => Progress::Asks(challenges),
                },
                OrderStatus::Processing => Progress::Works(again),
                OrderStatus::Ready => Progress::Ready,
                OrderStatus::Valid => match order.certificate().await.map_err(of)? {
                    Some(chain) => Progress::Made(chain),
                    None => Progress::Works(again),
                },
                OrderStatus::Invalid => return Err(why_invalid(&mut order).await),
            })
        })
        .await
    }

    async fn answered(&self, account: &Account, order: &Order) -> Result<(), Error> {
        let door = &self.door();
        step(door, async {
            let mut order = self.found(door, account, order).await?;
            let mut authorizations = order.authorizations();
            while let Some(authorization) = authorizations.next().await {
                let mut authorization = authorization.map_err(of)?;
                if authorization.status != AuthorizationStatus::Pending {
                    continue;
                }
                let challenge = authorization.challenge(ChallengeType::Http01);
                if let Some(mut challenge) = challenge
                    && challenge.status == ChallengeStatus::Pending
                {
                    challenge.set_ready().await.map_err(of)?;
                }
            }
            Ok(())
        })
        .await
    }

    async fn sign(&self, account: &Account, host: &HostName, order: &Order) -> Result<(), Error> {
        let door = &self.door();
        step(door, async {
            let request = request_for(host, &order.key);
            let request = request.map_err(Error::unavailable)?;
            let mut order = self.found(door, account, order).await?;
            if order.state().status == OrderStatus::Ready {
                order.finalize_csr(&request).await.map_err(of)?;
            }
            Ok(())
        })
        .await
    }
}
