//! `avishkar logs NAME [-f]`.

use futures::StreamExt as _;
use reqwest::Method;

use crate::cli::Logs;
use crate::client::Client;
use crate::output::Output;

pub(crate) async fn run(client: &Client, args: &Logs, output: Output) -> anyhow::Result<()> {
    let path =
        format!("/api/v1/instances/{}/logs?tail={}&follow={}", args.name, args.tail, args.follow);
    let response = client.open(client.request(Method::GET, &path)?).await?;
    let mut pieces = response.bytes_stream();
    let mut pending = Vec::new();
    while let Some(piece) = pieces.next().await {
        pending.extend_from_slice(&piece?);
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            show(&line, output)?;
        }
    }
    if !pending.is_empty() {
        show(&pending, output)?;
    }
    Ok(())
}

/// A line of text, or for programs an object with it, as lines may go on for ever.
fn show(line: &[u8], output: Output) -> anyhow::Result<()> {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches(['\r', '\n']);
    if output.is_json() {
        Output::line(&serde_json::json!({ "line": text }).to_string())
    } else {
        Output::line(text)
    }
}
