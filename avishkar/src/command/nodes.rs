//! `avishkar nodes`.

use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::output::{Output, table};

#[derive(Serialize, Deserialize)]
struct Node {
    name: String,
    ip: String,
    verdict: String,
    reason: String,
}

pub(crate) async fn run(client: &Client, output: Output) -> anyhow::Result<()> {
    let nodes: Vec<Node> = client.get("/api/v1/nodes").await?;
    let row = |node: &Node| {
        vec![node.name.clone(), node.ip.clone(), node.verdict.clone(), node.reason.clone()]
    };
    let rows: Vec<Vec<String>> = nodes.iter().map(row).collect();
    output.answer(&nodes, &table(&["NODE", "ADDRESS", "STATE", "WHY"], &rows))
}
