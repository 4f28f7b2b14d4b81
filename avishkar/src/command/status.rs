//! `avishkar status NAME`: one instance. Without a name: the platform, and what visitors ask of it.

mod platform;
mod traffic;

use super::instance::{Canary, Instance};
use crate::cli::Status;
use crate::client::Client;
use crate::output::{Output, table};

pub(crate) async fn run(client: &Client, args: &Status, output: Output) -> anyhow::Result<()> {
    let Some(name) = &args.name else {
        return platform::run(client, args.data.as_deref(), output).await;
    };
    let instance: Instance = client.get(&format!("/api/v1/instances/{name}")).await?;
    output.answer(&instance, &text(&instance))
}

fn text(instance: &Instance) -> String {
    let mut text = format!("{} is {}", instance.name, instance.state);
    if let Some(step) = &instance.step {
        text.push_str(&format!(" ({step})"));
    }
    text.push_str(&format!("\napp {}, release {}", instance.app, instance.release));
    match instance.serving.filter(|serving| *serving != instance.release) {
        Some(serving) => text.push_str(&format!(" (release {serving} is served)\n")),
        None => text.push('\n'),
    }
    if let Some(Canary { release, share, promoted }) = &instance.canary {
        let next = if *promoted { ", and is to get all" } else { "" };
        text.push_str(&format!("canary release {release} gets {share} % of the requests{next}\n"));
    }
    if let Some(url) = &instance.url {
        text.push_str(&format!("url {url}\n"));
    }
    if let Some(visitors) = &instance.traffic {
        text.push_str(&format!("traffic {}\n", traffic::sentence(visitors)));
    }
    text.push_str(&format!("request {}\n", instance.request_id));
    if !instance.replicas.is_empty() {
        let rows: Vec<Vec<String>> = instance
            .replicas
            .iter()
            .map(|replica| {
                let node = replica.node.clone().unwrap_or_else(|| "-".to_owned());
                vec![replica.slot.to_string(), node, replica.state.clone()]
            })
            .collect();
        text.push_str(&format!("\n{}\n", table(&["REPLICA", "NODE", "STATE"], &rows)));
    }
    if let Some(failure) = &instance.failure {
        text.push_str(&format!("\n{}: {}\n", failure.code, failure.message));
        for line in &failure.output {
            text.push_str(&format!("  | {line}\n"));
        }
        if let Some(hint) = &failure.hint {
            text.push_str(&format!("hint: {hint}\n"));
        }
    }
    text
}
