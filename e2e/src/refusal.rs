//! How the platform said no: a problem document, or document 001's form of one.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::RequestBuilder;
use serde_json::Value;
use tokio::time::Instant;

/// An answer to bad input.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub status: u16,
    /// Empty where the answer has none.
    pub code: String,
    pub detail: String,
    pub took: Duration,
}

impl Refusal {
    /// Sends a request, and reads the answer whatever it is.
    pub async fn of(request: RequestBuilder) -> anyhow::Result<Self> {
        let asked = Instant::now();
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let body = answer.text().await?;
        Ok(Refusal::read(status, &body, asked.elapsed()))
    }

    /// From an answer that was read by hand.
    pub fn of_text(answer: &str, took: Duration) -> anyhow::Result<Self> {
        let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
        let status = status.with_context(|| format!("no answer: {answer:?}"))?.parse()?;
        let (head, rest) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
        // What follows is the answer to what was sent after the request.
        let length =
            |line: &str| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok();
        let length = head.lines().find_map(length).unwrap_or(rest.len());
        Ok(Refusal::read(status, rest.get(..length).unwrap_or(rest), took))
    }

    fn read(status: u16, body: &str, took: Duration) -> Self {
        let json: Value = serde_json::from_str(body).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (code, detail) = match json["message"][0]["error"].as_str() {
            Some(error) => {
                let (code, detail) = error.split_once(": ").unwrap_or((error, ""));
                (code.to_owned(), detail.to_owned())
            }
            None => (text(&json["code"]), text(&json["detail"])),
        };
        Refusal { status, code, detail, took }
    }
}

/// What was not refused as it should have been. All of it is told at once.
#[derive(Debug, Clone, Default)]
pub struct Wrongs(Vec<String>);

impl Wrongs {
    pub fn note(&mut self, wrong: impl Into<String>) {
        self.0.push(wrong.into());
    }

    /// The answer must have this status and code, within this time.
    pub fn check(&mut self, what: &str, found: &Refusal, wanted: (u16, &str), within: Duration) {
        let Refusal { status, code, detail, took } = found;
        if (*status, code.as_str()) != wanted {
            self.note(format!("{what}: {status} {code} ({detail:.200}), not {wanted:?}"));
        }
        if *took > within {
            self.note(format!("{what}: told after {took:?}, not within {within:?}"));
        }
    }

    pub fn none(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.0.is_empty(), "{}", self.0.join("\n"));
        Ok(())
    }
}
