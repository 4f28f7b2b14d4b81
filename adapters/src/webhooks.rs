//! [`WebhookClient`]: signed requests to receivers outside of the platform.
//!
//! Owns the signature, deadlines, and where a request may go: a name is resolved once, the addresses
//! that are nobody's business are left out, and the request goes to one of the others. Never decides
//! whether to try again.

mod address;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::hmac;
use common::digest::hex;
use common::port::webhooks::{Error, Notice};
use common::port::{Clock, Webhooks};
use reqwest::{Client, Url};

use self::address::{PublicOnly, is_public};

const CONNECT_WITHIN: Duration = Duration::from_secs(3);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A secret with fewer bytes could be guessed.
const SHORTEST_SECRET: usize = 16;

/// Names the notice; the same at every attempt.
pub const DELIVERY_HEADER: &str = "x-avishkar-delivery";
/// When this attempt was signed, in seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "x-avishkar-timestamp";
/// `sha256=` and the HMAC-SHA256 in hexadecimal of the timestamp, a dot and the body.
pub const SIGNATURE_HEADER: &str = "x-avishkar-signature";

/// Where a receiver may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// On public addresses, over HTTPS.
    PublicOnly,
    /// The configuration says that this one may be on any address, also over plain HTTP.
    Anywhere,
}

/// Why a receiver cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReceiver {
    #[error("must be an https:// URL without a user in it")]
    Url,
    #[error(
        "leads to an address of this machine or of a private network; internal = true allows it"
    )]
    Forbidden,
    #[error("the secret has fewer than {SHORTEST_SECRET} bytes")]
    Secret,
}

/// Whom to tell.
pub struct Receiver {
    url: Url,
    reach: Reach,
    key: hmac::Key,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("reach", &self.reach).finish_non_exhaustive()
    }
}

impl Receiver {
    pub fn new(url: &str, secret: &[u8], reach: Reach) -> Result<Self, InvalidReceiver> {
        let url = check_url(url, reach)?;
        if secret.len() < SHORTEST_SECRET {
            return Err(InvalidReceiver::Secret);
        }
        Ok(Receiver { url, reach, key: hmac::Key::new(hmac::HMAC_SHA256, secret) })
    }
}

/// Whether a receiver may have this URL, as far as it can be told without resolving its name.
pub fn check_url(url: &str, reach: Reach) -> Result<Url, InvalidReceiver> {
    let url = Url::parse(url).map_err(|_| InvalidReceiver::Url)?;
    let scheme = matches!((url.scheme(), reach), ("https", _) | ("http", Reach::Anywhere));
    if !scheme || !url.has_host() || !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidReceiver::Url);
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let literal: Option<IpAddr> = host.parse().ok();
    if reach == Reach::PublicOnly && literal.is_some_and(|address| !is_public(address)) {
        return Err(InvalidReceiver::Forbidden);
    }
    Ok(url)
}

/// Tells receivers.
pub struct WebhookClient {
    receivers: BTreeMap<String, Receiver>,
    public: Client,
    anywhere: Client,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for WebhookClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookClient").field("receivers", &self.receivers).finish_non_exhaustive()
    }
}

impl WebhookClient {
    /// Fails where the machine's TLS settings cannot be read.
    pub fn new(
        receivers: BTreeMap<String, Receiver>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, reqwest::Error> {
        let builder = || {
            Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(CONNECT_WITHIN)
                .timeout(ANSWER_WITHIN)
                // The name is resolved for each request, and its address looked at.
                .pool_max_idle_per_host(0)
        };
        let public = builder().dns_resolver(PublicOnly).build()?;
        Ok(WebhookClient { receivers, public, anywhere: builder().build()?, clock })
    }
}

/// What the header of the signature says.
fn signature(key: &hmac::Key, timestamp: &str, body: &[u8]) -> String {
    let mut signing = hmac::Context::with_key(key);
    signing.update(timestamp.as_bytes());
    signing.update(b".");
    signing.update(body);
    format!("sha256={}", hex(signing.sign().as_ref()))
}

#[async_trait]
impl Webhooks for WebhookClient {
    async fn tell(&self, receiver: &str, notice: &Notice) -> Result<(), Error> {
        let receiver = self.receivers.get(receiver).ok_or(Error::Unknown)?;
        let http = match receiver.reach {
            Reach::PublicOnly => &self.public,
            Reach::Anywhere => &self.anywhere,
        };
        let timestamp = self.clock.now().as_second().to_string();
        let request = http
            .post(receiver.url.clone())
            .header("content-type", "application/json")
            .header(DELIVERY_HEADER, notice.id.hyphenated().to_string())
            .header(SIGNATURE_HEADER, signature(&receiver.key, &timestamp, &notice.body))
            .header(TIMESTAMP_HEADER, timestamp)
            .body(notice.body.clone());
        let response = request.send().await.map_err(|err| {
            // The error would name the URL, which may hold a secret of the receiver's.
            let err = err.without_url();
            if address::is_forbidden(&err) {
                Error::Forbidden
            } else {
                Error::Unavailable(err.into())
            }
        })?;
        let status = response.status();
        if status.is_success() { Ok(()) } else { Err(Error::Refused { status: status.as_u16() }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef";

    #[test]
    fn a_receiver_is_public_unless_the_configuration_says_otherwise() {
        for fine in ["https://hooks.example.org/x", "https://198.51.100.7.example.org/"] {
            assert!(Receiver::new(fine, SECRET, Reach::PublicOnly).is_ok(), "{fine}");
        }
        for internal in [
            "https://127.0.0.1/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://169.254.169.254/latest",
            "https://10.1.2.3:8443/",
        ] {
            let refused = Receiver::new(internal, SECRET, Reach::PublicOnly).unwrap_err();
            assert_eq!(refused, InvalidReceiver::Forbidden, "{internal}");
            assert!(Receiver::new(internal, SECRET, Reach::Anywhere).is_ok(), "{internal}");
        }
        for wrong in [
            "http://hooks.example.org/",
            "ftp://example.org/",
            "example.org",
            "https://a:b@example.org/",
        ] {
            let refused = Receiver::new(wrong, SECRET, Reach::PublicOnly).unwrap_err();
            assert_eq!(refused, InvalidReceiver::Url, "{wrong}");
        }
        let short = Receiver::new("https://example.org/", b"short", Reach::PublicOnly);
        assert_eq!(short.unwrap_err(), InvalidReceiver::Secret);
    }

    #[test]
    fn the_signature_is_that_of_rfc_2104() {
        // Made with: printf '1767225600.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
        let made = signature(&key, "1767225600", br#"{"a":1}"#);
        assert_eq!(made, "sha256=539b0e21b535c5201ef7d1453c0a0de4ad132293226de9018be0cfbf0092faa6");
    }

    #[test]
    fn nothing_of_a_receiver_is_shown() {
        let receiver = Receiver::new("https://example.org/token", SECRET, Reach::PublicOnly);
        let shown = format!("{:?}", receiver.unwrap());
        assert!(!shown.contains("token") && !shown.contains("0123"), "{shown}");
    }
}
