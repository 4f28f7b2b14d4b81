//! `avishkar logs NAME [-f]`.

use futures::StreamExt as _;
use reqwest::Method;

use crate::cli::Logs;
use crate::client::Client;
use crate::output::Output;

pub(crate) async fn run(client: &Client, args: &Logs) -> anyhow::Result<()> {
    let path =
        format!("/api/v1/instances/{}/logs?tail={}&follow={}", args.name, args.tail, args.follow);
    let response = client.open(client.request(Method::GET, &path)?).await?;
    let mut pieces = response.bytes_stream();
    let mut pending = Vec::new();
    while let Some(piece) = pieces.next().await {
        pending.extend_from_slice(&piece?);
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            Output::line(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']))?;
        }
    }
    if !pending.is_empty() {
        Output::line(&String::from_utf8_lossy(&pending))?;
    }
    Ok(())
}
