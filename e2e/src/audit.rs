//! I1, no lost command: whatever was accepted, by HTTP or over the bus, has come to exactly one end that can
//! be read; nobody owes a message; every service has read its topic to the end.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use common::record::operation::Operation;
use serde_json::Value;

use crate::bus::Injector;
use crate::cluster;
use crate::history;
use crate::sources::Sources;
use crate::truth::tree::Tree;

/// Kinds of operations that only remember that a message was heard: they have no end of their own.
const HEARD: [&str; 7] =
    ["ans-node", "deployed", "not-deployed", "stopped", "not-stopped", "done", "not-done"];
/// The folders of records that may owe messages.
const OWING: [&str; 4] =
    ["/avishkar/deployments", "/avishkar/instances", "/avishkar/placements", "/avishkar/scale"];

/// Fails with the first command of the composed platform that is not settled yet, or not as it should be.
pub async fn is_settled() -> anyhow::Result<()> {
    is_settled_at(&cluster::sources().await?).await
}

/// The same of any platform.
pub async fn is_settled_at(sources: &Sources) -> anyhow::Result<()> {
    let injector = Injector::connect_to(&sources.kafka)?;
    history::is_read_to_the_end(&injector, &sources.kafka).await?;
    let history = history::read(&injector).await?;
    history.dead_letters_say_why()?;
    let taken = history.is_answered()?;

    let mut folders = vec!["/avishkar/operations", "/avishkar/requests"];
    folders.extend(OWING);
    let tree = Tree::read(&sources.zookeeper, &folders).await?;
    let operations: BTreeMap<String, Operation> = tree.records("/avishkar/operations")?;
    for command in &taken {
        let name = format!("{}.{}.{}", command.request, command.service, command.kind);
        ensure!(operations.contains_key(&name), "nobody remembers {command:?}");
    }
    for (name, operation) in &operations {
        let kind = name.rsplit('.').next().unwrap_or_default();
        let has_ended = operation.outcome.is_some() || HEARD.contains(&kind);
        ensure!(has_ended, "{name} has no outcome: {operation:?}");
    }
    let requests: BTreeMap<String, Value> = tree.records("/avishkar/requests")?;
    for (request, asked) in &requests {
        let kind = asked["kind"].as_str().context("a request is of no kind")?;
        let name = format!("{request}.app-manager.{kind}");
        ensure!(operations.contains_key(&name), "nobody remembers {name}: {asked}");
    }
    for folder in OWING {
        for (name, record) in tree.records::<Value>(folder)? {
            let owed = record["owed"].as_array().map_or(0, Vec::len);
            ensure!(owed == 0, "{folder}/…/{name} still owes {owed} messages: {record}");
        }
    }
    Ok(())
}
