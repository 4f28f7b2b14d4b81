//! Shared Key: how a request to Azure Storage is signed with an account's key.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::{Method, Url};

/// An account's key.
pub(super) struct SharedKey {
    account: String,
    key: hmac::Key,
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedKey").field("account", &self.account).finish_non_exhaustive()
    }
}

impl SharedKey {
    /// None unless the key is in base64.
    pub(super) fn new(account: &str, key: &str) -> Option<Self> {
        let key = BASE64.decode(key).ok().filter(|key| !key.is_empty())?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        Some(SharedKey { account: account.to_owned(), key })
    }

    /// The header `Authorization` of a request without a body. `headers` are all that begin with `x-ms-`, sorted.
    pub(super) fn authorize(
        &self,
        method: &Method,
        url: &Url,
        headers: &[(&str, String)],
    ) -> String {
        let text = string_to_sign(&self.account, method, url, headers);
        let signature = hmac::sign(&self.key, text.as_bytes());
        format!("SharedKey {}:{}", self.account, BASE64.encode(signature.as_ref()))
    }
}

/// What is signed, by the rules of 2015-02-21 and later: no header but those of Azure has a value, and a length of
/// zero is left out.
fn string_to_sign(account: &str, method: &Method, url: &Url, headers: &[(&str, String)]) -> String {
    const STANDARD_HEADERS: usize = 11;
    let mut text = format!("{method}\n{}", "\n".repeat(STANDARD_HEADERS));
    for (name, value) in headers {
        text.push_str(&format!("{name}:{value}\n"));
    }
    text.push_str(&format!("/{account}{}", url.path()));
    let mut pairs: Vec<(String, String)> =
        url.query_pairs().map(|(name, value)| (name.to_lowercase(), value.into_owned())).collect();
    pairs.sort();
    for (name, value) in pairs {
        text.push_str(&format!("\n{name}:{value}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_what_azure_publishes() {
        // The second example of `Authorize with Shared Key`, List Blobs with a container's metadata.
        let url = "https://myaccount.blob.core.windows.net/mycontainer?restype=container&comp=metadata&timeout=20";
        let headers = [
            ("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT".to_owned()),
            ("x-ms-version", "2015-02-21".to_owned()),
        ];
        assert_eq!(
            string_to_sign("myaccount", &Method::GET, &Url::parse(url).unwrap(), &headers),
            "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n\
             /myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20"
        );
    }

    #[test]
    fn a_key_is_in_base64_and_is_not_shown() {
        assert!(SharedKey::new("example", "not base64!").is_none());
        assert!(SharedKey::new("example", "").is_none());
        let key = SharedKey::new("example", "c2VjcmV0").unwrap();
        assert!(!format!("{key:?}").contains("c2VjcmV0"));
    }
}
