//! `avishkar probe URL`: for health checks, where an image has no other client.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::output::Output;

const ANSWER_WITHIN: Duration = Duration::from_secs(4);

pub(crate) async fn run(url: &str, output: Output) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().timeout(ANSWER_WITHIN).build()?;
    let response =
        client.get(url).send().await.with_context(|| format!("{url} does not answer"))?;
    let status = response.status();
    ensure!(status.as_u16() < 400, "{url} answers {status}");
    output.answer(&serde_json::json!({ "status": status.as_u16() }), &status.to_string())
}
