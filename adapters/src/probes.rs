//! [`HttpProbes`]: looks at services over HTTP, plain or with mutual TLS, a connection for each look.
//!
//! Owns what is asked and how an answer is read; never decides whether a service is down.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use common::port::Probes;
use common::port::probes::{Ill, Seen};
use reqwest::{Certificate, Client, ClientBuilder, Identity, Response, StatusCode, Url};

const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// So much of an answer is read: what is longer is no `Ok`.
const LONGEST: usize = 64;

/// Document 001's way to ask and its answer, and document 000's.
const HEALTH: (&str, &str) = ("/health", "Ok");
const HEALTH_CHECK: (&str, &str) = ("/healthCheck", "ok");

/// Looks at services.
#[derive(Clone)]
pub struct HttpProbes {
    http: Client,
    /// None without certificates of its own.
    inside: Option<Client>,
}

impl fmt::Debug for HttpProbes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpProbes").finish_non_exhaustive()
    }
}

impl HttpProbes {
    /// Fails where the machine's TLS settings cannot be read. Without certificates nothing is known of what is
    /// looked at inside.
    pub fn new() -> Result<Self, reqwest::Error> {
        Ok(HttpProbes { http: builder().build()?, inside: None })
    }

    /// `ca`: the platform's CA; `identity`: the caller's certificate and key; both PEM.
    pub fn with_certificates(ca: &[u8], identity: &[u8]) -> Result<Self, reqwest::Error> {
        let inside = builder()
            .tls_certs_only([Certificate::from_pem(ca)?])
            .identity(Identity::from_pem(identity)?)
            .https_only(true)
            .build()?;
        Ok(HttpProbes { inside: Some(inside), ..HttpProbes::new()? })
    }
}

fn builder() -> ClientBuilder {
    // A kept connection would answer where nobody listens for new ones any more.
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_WITHIN)
        .pool_max_idle_per_host(0)
}

/// One look, by one client, at one place.
#[derive(Debug)]
struct Look<'a> {
    http: &'a Client,
    base: Url,
}

impl Look<'_> {
    async fn within(&self, within: Duration) -> Seen {
        let looked = tokio::time::timeout(within, self.take()).await;
        looked.unwrap_or(Seen::Ill(Ill::Late))
    }

    async fn ask(&self, (path, well): (&str, &str)) -> Result<Seen, reqwest::Error> {
        let mut url = self.base.clone();
        url.set_path(path);
        let response = self.http.get(url).send().await?;
        let status = response.status();
        if status != StatusCode::OK {
            return Ok(Seen::Ill(Ill::Status(status.as_u16())));
        }
        let text = beginning(response).await?;
        let is_well = std::str::from_utf8(&text).is_ok_and(|text| text.trim() == well);
        Ok(if is_well { Seen::Well } else { Seen::Ill(Ill::Strange) })
    }

    async fn take(&self) -> Seen {
        let seen = self.ask(HEALTH).await.unwrap_or_else(|err| failed(&err));
        if seen == Seen::Ill(Ill::Status(StatusCode::NOT_FOUND.as_u16())) {
            return self.ask(HEALTH_CHECK).await.unwrap_or_else(|err| failed(&err));
        }
        seen
    }
}

/// The answer, or enough of it to see that it is too long.
async fn beginning(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut text = Vec::new();
    while text.len() <= LONGEST
        && let Some(chunk) = response.chunk().await?
    {
        text.extend_from_slice(&chunk);
    }
    Ok(text)
}

fn failed(err: &reqwest::Error) -> Seen {
    if err.is_dns() || err.is_builder() {
        Seen::Unknown
    } else if err.is_timeout() {
        Seen::Ill(Ill::Late)
    } else {
        Seen::Ill(Ill::Silent)
    }
}

/// `http://<address>`; none if there is more or less in it than a host and a port.
fn base(address: &str) -> Option<Url> {
    let (_, port) = address.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    let url = Url::parse(&format!("http://{address}")).ok()?;
    let is_plain = url.has_host()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    is_plain.then_some(url)
}

#[async_trait]
impl Probes for HttpProbes {
    async fn look(&self, address: &str, within: Duration) -> Seen {
        let Some(base) = base(address) else { return Seen::Unknown };
        Look { http: &self.http, base }.within(within).await
    }

    async fn look_inside(&self, address: SocketAddr, within: Duration) -> Seen {
        let Some(http) = &self.inside else { return Seen::Unknown };
        let Ok(base) = Url::parse(&format!("https://{address}")) else { return Seen::Unknown };
        Look { http, base }.within(within).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port_and_nothing_else() {
        for fine in ["192.0.2.1:8010", "app-manager:8010", "[2001:db8::1]:80"] {
            assert!(base(fine).is_some(), "{fine}");
        }
        for wrong in [
            "",
            ":80",
            "a:b",
            "example.org",
            "[2001:db8::1]",
            "192.0.2.1:8010/x",
            "a@b:1",
            "a:1?b",
            "a:1#b",
            "a b",
        ] {
            assert!(base(wrong).is_none(), "{wrong}");
        }
    }
}
