//! `avishkar releases NAME`, `avishkar rollback NAME [RELEASE]` and `avishkar promote NAME`.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::instance::{Accepted, Instance};
use super::wait;
use crate::cli::{Promote, Releases, Rollback};
use crate::client::Client;
use crate::output::{Output, table};

/// A release that was in service, as `GET /api/v1/instances/{name}/releases` shows it.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    number: u32,
    /// `canary`, `serving`, `former` or `rolled_back`.
    state: String,
    /// How many of a hundred requests a canary gets.
    #[serde(default)]
    share: Option<u8>,
    since: String,
    rolled_back_at: Option<String>,
    by: Option<String>,
    image_digest: Option<String>,
    bundle_digest: Option<String>,
    request_id: String,
}

/// How much of a digest people read.
const SHORT: usize = "sha256:".len() + 12;

pub(crate) async fn list(client: &Client, args: &Releases, output: Output) -> anyhow::Result<()> {
    let kept: Vec<Kept> = client.get(&format!("/api/v1/instances/{}/releases", args.name)).await?;
    let row = |kept: &Kept| {
        vec![
            kept.number.to_string(),
            state(kept),
            kept.since.clone(),
            kept.by.clone().unwrap_or_default(),
            kept.image_digest.iter().flat_map(|digest| digest.chars()).take(SHORT).collect(),
        ]
    };
    let rows: Vec<Vec<String>> = kept.iter().map(row).collect();
    let text = if rows.is_empty() {
        format!("no release of {} was in service yet", args.name)
    } else {
        table(&["RELEASE", "STATE", "SINCE", "BY", "IMAGE"], &rows)
    };
    output.answer(&kept, &text)
}

fn state(kept: &Kept) -> String {
    match kept.share {
        Some(share) => format!("{} {share} %", kept.state),
        None => kept.state.replace('_', " "),
    }
}

pub(crate) async fn promote(client: &Client, args: &Promote, output: Output) -> anyhow::Result<()> {
    let path = format!("/api/v1/instances/{}/promote", args.name);
    let accepted: Accepted = client.post(&path, &json!({})).await?;
    if args.no_wait {
        return output.answer(
            &accepted,
            &format!("{} accepted as {}", accepted.instance, accepted.request_id),
        );
    }
    let instance: Instance = wait::until_done(client, &accepted, output).await?;
    output.answer(
        &instance,
        &format!("release {} of {} gets all requests", instance.release, instance.name),
    )
}

pub(crate) async fn go_back(
    client: &Client,
    args: &Rollback,
    output: Output,
) -> anyhow::Result<()> {
    let path = format!("/api/v1/instances/{}/rollback", args.name);
    let accepted: Accepted = client.post(&path, &json!({ "release": args.release })).await?;
    if args.no_wait {
        return output.answer(
            &accepted,
            &format!("{} accepted as {}", accepted.instance, accepted.request_id),
        );
    }
    let instance: Instance = wait::until_done(client, &accepted, output).await?;
    output.answer(&instance, &format!("{} is back at release {}", instance.name, instance.release))
}
