//! `avishkar apps`.

use super::instance::Instance;
use crate::client::Client;
use crate::output::{Output, table};

pub(crate) async fn run(client: &Client, output: Output) -> anyhow::Result<()> {
    let instances: Vec<Instance> = client.get("/api/v1/instances").await?;
    let row = |instance: &Instance| {
        vec![
            instance.name.clone(),
            instance.app.clone(),
            instance.release.to_string(),
            instance.state.clone(),
            instance.replicas.len().to_string(),
            instance.url.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = instances.iter().map(row).collect();
    let text = if rows.is_empty() {
        "nothing is deployed; try `avishkar deploy DIR`".to_owned()
    } else {
        table(&["NAME", "APP", "RELEASE", "STATE", "REPLICAS", "URL"], &rows)
    };
    output.answer(&instances, &text)
}
