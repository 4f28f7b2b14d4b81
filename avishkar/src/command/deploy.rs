//! `avishkar deploy`: upload, release, deployment, URL.

use std::time::Duration;

use anyhow::Context as _;
use common::record::course::Share;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde::{Deserialize, Serialize};

use super::instance::Accepted;
use super::{naming, pack, wait};
use crate::cli::Deploy;
use crate::client::Client;
use crate::output::Output;

const UPLOAD_WITHIN: Duration = Duration::from_mins(10);

#[derive(Serialize)]
struct Wish {
    release: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    replicas: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    canary: Option<Share>,
}

#[derive(Deserialize)]
struct Released {
    number: u32,
}

pub(crate) async fn run(client: &Client, args: Deploy, output: Output) -> anyhow::Result<()> {
    let app = match args.name {
        Some(name) => name,
        None => naming::name_of(&args.source)?,
    };
    output.progress(&format!("packing {}", args.source.display()));
    let file = tokio::fs::File::from_std(pack::pack(&args.source)?);
    let size = file.metadata().await?.len();
    output.progress(&format!("uploading {size} bytes as {app}"));
    let part = Part::stream_with_length(file, size)
        .file_name(format!("{app}.zip"))
        .mime_str("application/zip")?;
    let request = client.request(Method::POST, &format!("/api/v1/apps/{app}/releases"))?;
    let form = Form::new().part("bundle", part);
    let released: Released = client.send(request.timeout(UPLOAD_WITHIN).multipart(form)).await?;

    output.progress(&format!("release {} of {app}", released.number));
    let wish = Wish { release: released.number, replicas: args.replicas, canary: args.canary };
    let accepted: Accepted = client.post(&format!("/api/v1/apps/{app}/deployments"), &wish).await?;
    if let Some(what) = &accepted.waiting_for {
        output.progress(&format!("accepted; it goes on when the {what} is back"));
    }
    if args.no_wait {
        return output.answer(
            &accepted,
            &format!("{} accepted as {}", accepted.instance, accepted.request_id),
        );
    }
    let instance = wait::until_done(client, &accepted, output).await?;
    let url = instance.url.clone().context("the instance has no URL")?;
    let text = match args.canary {
        Some(share) => format!("release {} gets {share} of the requests to {url}", released.number),
        None => url,
    };
    output.answer(&instance, &text)
}
