//! Tokens: for the test's service principal, until they are told to be over.

use std::collections::BTreeSet;

use serde_json::json;

use super::answer::{Answer, Request};
use super::{CLIENT, DIRECTORY, SECRET};

#[derive(Debug, Default)]
pub(super) struct Tokens {
    given: u32,
    valid: BTreeSet<String>,
}

impl Tokens {
    pub(super) fn given(&self) -> u32 {
        self.given
    }

    pub(super) fn expire(&mut self) {
        self.valid.clear();
    }

    /// A grant of client credentials (RFC 6749, 4.4).
    pub(super) fn give(&mut self, request: &Request, base: &str) -> Answer {
        let path = format!("/{DIRECTORY}/oauth2/v2.0/token");
        let form = [
            ("client_id", CLIENT.to_owned()),
            ("client_secret", SECRET.to_owned()),
            ("grant_type", "client_credentials".to_owned()),
            ("scope", format!("{base}/.default")),
        ];
        let said: BTreeSet<(String, String)> =
            request.body.split('&').filter_map(|pair| pair.split_once('=')).map(plain).collect();
        let wanted: BTreeSet<(String, String)> =
            form.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        if request.method != "POST" || request.path != path || said != wanted {
            let body = json!({
                "error": "invalid_client",
                "error_description": "AADSTS7000215: Invalid client secret provided.",
                "error_codes": [7_000_215],
            });
            return Answer::new(401, body);
        }
        self.given += 1;
        let token = format!("token-{}", self.given);
        self.valid.insert(token.clone());
        let body = json!({"token_type": "Bearer", "expires_in": 3599, "access_token": token});
        Answer::new(200, body)
    }

    /// What a request without a good token is told.
    pub(super) fn refuse(&self, request: &Request) -> Option<Answer> {
        let said = request.header("authorization").unwrap_or_default();
        let Some(token) = said.strip_prefix("Bearer ") else {
            return Some(Answer::refused(401, "AuthenticationFailed", "The header is missing."));
        };
        let over = || Answer::refused(401, "ExpiredAuthenticationToken", "The token is over.");
        (!self.valid.contains(token)).then(over)
    }
}

/// A pair of a form as it was meant.
fn plain((name, value): (&str, &str)) -> (String, String) {
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'+' => b' ',
            b'%' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).unwrap_or(b'?')
            }
            other => other,
        };
        bytes.push(byte);
    }
    (name.to_owned(), String::from_utf8_lossy(&bytes).into_owned())
}
