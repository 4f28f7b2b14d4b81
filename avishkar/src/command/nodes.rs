//! `avishkar nodes`: what apps run on, and which of them serve none for a while.

use std::time::Duration;

use common::name::NodeName;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::cli::{NodeDrain, NodeReturn, Nodes, NodesAct};
use crate::client::{ANSWER_WITHIN, Client};
use crate::failure::Failure;
use crate::output::{Output, table};

const NODES: &str = "/api/v1/nodes";
/// Each look reads what stands of every app, from the store that the drain's own moves need.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Replicas start elsewhere, are served, and what is under way at the old ones comes to its end.
const PATIENCE: Duration = Duration::from_mins(10);
/// What has nowhere to go for so long waits for a person.
const STUCK_AFTER: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Node {
    name: String,
    ip: String,
    verdict: String,
    reason: String,
    drained_since: Option<String>,
    replicas: usize,
    stays: Vec<Stays>,
}

/// Why replicas of an instance are there yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stays {
    instance: String,
    code: String,
    detail: String,
}

pub(crate) async fn run(client: &Client, args: Nodes, output: Output) -> anyhow::Result<()> {
    match args.act {
        None | Some(NodesAct::List) => list(client, output).await,
        Some(NodesAct::Drain(args)) => drain(client, &args, output).await,
        Some(NodesAct::Return(args)) => take_back(client, &args, output).await,
    }
}

async fn list(client: &Client, output: Output) -> anyhow::Result<()> {
    let nodes: Vec<Node> = client.get(NODES).await?;
    output.answer(&nodes, &text(&nodes))
}

async fn drain(client: &Client, args: &NodeDrain, output: Output) -> anyhow::Result<()> {
    let name = &args.node;
    let request = client.request(Method::PUT, &format!("{NODES}/{name}/drain"))?;
    client.open(request.timeout(ANSWER_WITHIN)).await?;
    if args.no_wait {
        let text = format!("{name} gets nothing new, and what it has is made elsewhere");
        return output.answer(&json!({ "node": name, "state": "draining" }), &text);
    }
    let look = async || client.get::<Vec<Node>>(NODES).await;
    until_empty(name, output, look).await?;
    let text = format!("{name} is drained: no replica is on it until `avishkar nodes return`");
    output.answer(&json!({ "node": name, "state": "drained" }), &text)
}

async fn take_back(client: &Client, args: &NodeReturn, output: Output) -> anyhow::Result<()> {
    let name = &args.node;
    let request = client.request(Method::DELETE, &format!("{NODES}/{name}/drain"))?;
    client.open(request.timeout(ANSWER_WITHIN)).await?;
    let text = format!("{name} may have replicas again");
    output.answer(&json!({ "node": name, "state": "returned" }), &text)
}

/// Looks again and again; that nobody can be asked for a while says nothing about the node.
async fn until_empty(
    name: &NodeName,
    output: Output,
    look: impl AsyncFn() -> anyhow::Result<Vec<Node>>,
) -> anyhow::Result<()> {
    let give_up = Instant::now() + PATIENCE;
    let (mut told, mut since) = (String::new(), Instant::now());
    loop {
        let (now, node) = match look().await {
            Ok(nodes) => match nodes.into_iter().find(|node| node.name == name.as_str()) {
                None => anyhow::bail!("{name} is no node any more"),
                Some(node) if node.drained_since.is_none() => {
                    anyhow::bail!("{name} was returned meanwhile");
                }
                // Before the verdict is there, something may be on its way to the node.
                Some(node) if node.replicas == 0 && is_emptied(&node) => return Ok(()),
                Some(node) => (progress(&node), Some(node)),
            },
            Err(err) => match err.downcast_ref::<Failure>() {
                Some(Failure::Unreachable { .. }) => {
                    (format!("{name}: waiting for the platform"), None)
                }
                Some(Failure::Refused(problem)) if problem.status >= 500 => {
                    (format!("{name}: waiting for the platform: {}", problem.detail), None)
                }
                Some(_) | None => return Err(err.context(format!("the drain of {name} goes on"))),
            },
        };
        if now != told {
            output.progress(&now);
            (told, since) = (now, Instant::now());
        }
        if let Some(stays) = node.and_then(|node| node.stays.into_iter().next())
            && since.elapsed() > STUCK_AFTER
        {
            return Err(stuck(name, stays).into());
        }
        if Instant::now() > give_up {
            let hint =
                format!("it goes on; see `avishkar nodes`, or `avishkar nodes return {name}`");
            return Err(Failure::TimedOut { what: format!("the drain of {name}"), hint }.into());
        }
        sleep(LOOK_EVERY).await;
    }
}

/// What it was is dead, or its replicas have been told to go.
fn is_emptied(node: &Node) -> bool {
    matches!(node.verdict.as_str(), "draining" | "dead")
}

fn progress(node: &Node) -> String {
    let name = &node.name;
    let mut text = match node.replicas {
        1 => format!("{name}: 1 replica is on it yet"),
        count => format!("{name}: {count} replicas are on it yet"),
    };
    for Stays { instance, code, detail } in &node.stays {
        text.push_str(&format!("; {instance}: {code}: {detail}"));
    }
    text
}

/// The replicas serve where they are, and go as soon as there is room.
fn stuck(name: &NodeName, stays: Stays) -> Failure {
    let Stays { instance, code, detail } = stays;
    let hint = format!(
        "{instance} is served from {name} until there is room elsewhere; `avishkar nodes return {name}` ends the drain"
    );
    Failure::Request { code, message: detail, hint: Some(hint), output: Vec::new() }
}

fn text(nodes: &[Node]) -> String {
    let row = |node: &Node| {
        let replicas = node.replicas.to_string();
        let (name, ip) = (node.name.clone(), node.ip.clone());
        vec![name, ip, state(node).to_owned(), replicas, node.reason.clone()]
    };
    let rows: Vec<Vec<String>> = nodes.iter().map(row).collect();
    let mut text = table(&["NODE", "ADDRESS", "STATE", "REPLICAS", "WHY"], &rows);
    for node in nodes {
        for Stays { instance, code, detail } in &node.stays {
            text.push_str(&format!("\n{}: {instance}: {code}: {detail}", node.name));
        }
    }
    text
}

/// What is emptied and has nothing left is drained.
fn state(node: &Node) -> &str {
    let is_drained = node.drained_since.is_some() && node.replicas == 0;
    if is_drained && node.verdict == "draining" { "drained" } else { &node.verdict }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use common::problem::Problem;

    use super::*;

    fn nodes(verdict: &str, replicas: usize, stays: &[&str]) -> Vec<Node> {
        let stays = stays.iter().map(|code| {
            let detail = "no live node has room for one more replica".to_owned();
            Stays { instance: "shop".to_owned(), code: (*code).to_owned(), detail }
        });
        vec![Node {
            name: "node-1".to_owned(),
            ip: "192.0.2.1".to_owned(),
            verdict: verdict.to_owned(),
            reason: "it is drained until it is returned".to_owned(),
            drained_since: Some("2026-01-01T00:00:00Z".to_owned()),
            replicas,
            stays: stays.collect(),
        }]
    }

    async fn drained(
        looks: &Cell<usize>,
        look: impl AsyncFn() -> anyhow::Result<Vec<Node>>,
    ) -> anyhow::Result<()> {
        let counted = async || {
            looks.set(looks.get() + 1);
            look().await
        };
        until_empty(&"node-1".parse().unwrap(), Output::new(true), counted).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_is_waited_for_until_it_is_emptied_and_has_no_replica() {
        let looks = Cell::new(0);
        let look = async || {
            let problem = Problem::new(503, "STORE_UNAVAILABLE", "title", "the store is away");
            match looks.get() {
                // Nothing is on it, but something may be on its way.
                1 => Ok(nodes("live", 0, &[])),
                2 => Ok(nodes("draining", 2, &[])),
                3 => Err(Failure::Refused(Box::new(problem)).into()),
                // For a moment, as while a node is asked for a second time.
                4 => Ok(nodes("draining", 1, &["NO_NODE_FITS"])),
                _ => Ok(nodes("draining", 0, &[])),
            }
        };
        drained(&looks, look).await.unwrap();
        assert_eq!(looks.get(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn replicas_without_another_place_stay_and_are_told_with_their_code_and_sentence() {
        let began = Instant::now();
        let looks = Cell::new(0);
        let look = async || Ok(nodes("draining", 1, &["NO_NODE_FITS"]));
        let err = drained(&looks, look).await.unwrap_err();
        assert_eq!(err.to_string(), "NO_NODE_FITS: no live node has room for one more replica");
        let waited = began.elapsed().as_secs();
        assert!((30..=32).contains(&waited), "{waited} s");
        assert!(looks.get() <= 17, "{} looks", looks.get());
    }

    #[tokio::test(start_paused = true)]
    async fn who_returns_a_node_ends_the_wait_for_it() {
        let look = async || {
            let mut nodes = nodes("live", 1, &[]);
            nodes[0].drained_since = None;
            Ok(nodes)
        };
        let err = drained(&Cell::new(0), look).await.unwrap_err();
        assert_eq!(err.to_string(), "node-1 was returned meanwhile");
    }

    #[test]
    fn a_drained_node_says_so_once_it_is_empty() {
        let mut all = nodes("draining", 0, &[]);
        all.extend(nodes("draining", 3, &["NO_NODE_FITS"]));
        all.extend(nodes("dead", 0, &[]));
        let states: Vec<&str> = all.iter().map(state).collect();
        assert_eq!(states, ["drained", "draining", "dead"]);
        let text = text(&all);
        let last = "node-1: shop: NO_NODE_FITS: no live node has room for one more replica";
        assert!(text.ends_with(last), "{text}");
    }
}
