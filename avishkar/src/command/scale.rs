//! `avishkar scale NAME N`.

use super::instance::Accepted;
use super::wait;
use crate::cli::Scale;
use crate::client::Client;
use crate::output::Output;

pub(crate) async fn run(client: &Client, args: &Scale, output: Output) -> anyhow::Result<()> {
    let body = serde_json::json!({ "replicas": args.replicas });
    let accepted: Accepted =
        client.post(&format!("/api/v1/instances/{}/scale", args.name), &body).await?;
    if args.no_wait {
        return output.answer(
            &accepted,
            &format!("{} accepted as {}", accepted.instance, accepted.request_id),
        );
    }
    let instance = wait::until_done(client, &accepted, output).await?;
    output.answer(&instance, &format!("{} has {} replicas", instance.name, instance.replicas.len()))
}
