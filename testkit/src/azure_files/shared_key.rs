//! Signatures of Azure Storage, made from their description and by none of the code that they are to check.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::percent_decode_str;
use sha2::{Digest as _, Sha256};

/// The headers that are signed without their names, in this order.
const STANDARD: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

/// What is signed of a request.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    pub method: &'a str,
    /// As it is sent, encoded.
    pub path: &'a str,
    /// As it is sent, encoded.
    pub query: &'a str,
    /// By their names in small letters.
    pub headers: &'a [(&'a str, &'a str)],
}

/// The value of the header `Authorization`.
pub fn authorization(account: &str, key: &str, request: Signed<'_>) -> String {
    format!("SharedKey {account}:{}", sign(key, &string_to_sign(account, request)))
}

fn string_to_sign(account: &str, request: Signed<'_>) -> String {
    let value = |wanted: &str| {
        let found = request.headers.iter().find(|(name, _)| *name == wanted);
        let value = found.map_or("", |(_, value)| *value);
        if wanted == "content-length" && value == "0" { String::new() } else { value.to_owned() }
    };
    let mut lines = vec![request.method.to_owned()];
    lines.extend(STANDARD.map(value));
    let mut own: Vec<String> = request
        .headers
        .iter()
        .filter(|(name, _)| name.starts_with("x-ms-"))
        .map(|(name, value)| format!("{name}:{}", value.trim()))
        .collect();
    own.sort();
    lines.extend(own);
    lines.push(format!("/{account}{}", request.path));
    let mut pairs = pairs(request.query);
    pairs.sort();
    lines.extend(pairs.into_iter().map(|(name, value)| format!("{}:{value}", name.to_lowercase())));
    lines.join("\n")
}

/// The decoded pairs of a query.
pub fn pairs(query: &str) -> Vec<(String, String)> {
    let decoded =
        |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

/// The fields of an account SAS that are signed, in this order, after the account's name.
const SAS_FIELDS: [&str; 9] = ["sp", "ss", "srt", "st", "se", "sip", "spr", "sv", "ses"];

/// A shared access signature that lets its bearer list and read blobs and files until `expiry`, as `2030-01-01T00:00Z`.
pub fn account_sas(account: &str, key: &str, expiry: &str) -> String {
    let fields = [("sv", "2022-11-02"), ("ss", "bf"), ("srt", "sco"), ("sp", "rl"), ("se", expiry)];
    let value = |name: &str| {
        let found = fields.iter().find(|(field, _)| *field == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let signature = sas_signature(account, key, value);
    let encoded = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let mut parts: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    parts.push(format!("sig={}", encoded(&signature)));
    parts.join("&")
}

/// The signature of an account SAS with these fields.
pub fn sas_signature(account: &str, key: &str, field: impl Fn(&str) -> Option<String>) -> String {
    let mut lines = vec![account.to_owned()];
    lines.extend(SAS_FIELDS.map(|name| field(name).unwrap_or_default()));
    lines.push(String::new());
    sign(key, &lines.join("\n"))
}

/// HMAC-SHA256 (RFC 2104), in base64.
fn sign(key: &str, text: &str) -> String {
    const BLOCK: usize = 64;
    let mut key = BASE64.decode(key).expect("the key is in base64");
    if key.len() > BLOCK {
        key = Sha256::digest(&key).to_vec();
    }
    key.resize(BLOCK, 0);
    let pad = |with: u8| key.iter().map(|byte| byte ^ with).collect::<Vec<u8>>();
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    BASE64.encode(Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_rfc_4231() {
        // Its second case: the key "Jefe".
        let signature = sign("SmVmZQ==", "what do ya want for nothing?");
        let hex = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(common::digest::hex(&BASE64.decode(signature).unwrap()), hex);
    }

    #[test]
    fn what_is_signed_is_what_azure_publishes() {
        let headers = [
            ("x-ms-version", "2015-02-21"),
            ("content-length", "0"),
            ("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT"),
        ];
        let request = Signed {
            method: "GET",
            path: "/mycontainer",
            query: "restype=container&comp=metadata&timeout=20",
            headers: &headers,
        };
        assert_eq!(
            string_to_sign("myaccount", request),
            "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n\
             /myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20"
        );
    }
}
