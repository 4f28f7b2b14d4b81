//! `avishkar scale NAME N`.

use super::instance::Accepted;
use super::wait::{self, Wanted};
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
    let wanted = Wanted::Replicas(args.replicas);
    let instance = wait::until(client, &accepted.instance, wanted, output).await?;
    output.answer(&instance, &format!("{} has {} replicas", instance.name, instance.replicas.len()))
}
