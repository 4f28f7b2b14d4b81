//! `avishkar stop NAME`.

use super::instance::Accepted;
use super::wait;
use crate::cli::Stop;
use crate::client::Client;
use crate::output::Output;

pub(crate) async fn run(client: &Client, args: &Stop, output: Output) -> anyhow::Result<()> {
    let accepted: Accepted = client.delete(&format!("/api/v1/instances/{}", args.name)).await?;
    if args.no_wait {
        return output.answer(
            &accepted,
            &format!("{} accepted as {}", accepted.instance, accepted.request_id),
        );
    }
    let instance = wait::until_done(client, &accepted, output).await?;
    output.answer(&instance, &format!("{} is stopped", instance.name))
}
