//! What the edge itself says: the table it has accepted, and the table its workers serve. Never the load
//! balancer's file, which the edge may have refused.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use common::port::edge::Table;
use serde::Deserialize;
use serde_json::Value;

use crate::sources::Place;

/// Prints the accepted table, a line feed, and the answer of the control socket; a missing table is empty.
const ASK: &str = r#"
use IO::Socket::UNIX;
local $/;
if (open my $file, "<", "/var/lib/avishkar/edge/accepted.json") { print <$file> }
my $socket = IO::Socket::UNIX->new("/run/avishkar/edge/control.sock") or die "the control socket: $!";
print $socket "GET /status HTTP/1.0\r\nHost: edge\r\n\r\n";
my $answer = <$socket>;
$answer =~ s/^.*?\r\n\r\n//s;
print "\n", $answer;
"#;
/// What a front door may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// What all workers of the edge serve; -1 before the first table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Served {
    pub epoch: i64,
    pub generation: i64,
    pub routes: usize,
}

/// What a front door answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Door {
    /// 0: nothing.
    pub status: u16,
    /// Which instance the app says it is, if it says so.
    pub instance: Option<String>,
}

/// One edge.
#[derive(Debug, Clone, Default)]
pub struct Edge {
    pub name: String,
    /// The table that it has accepted.
    pub table: Option<Table>,
    pub served: Served,
    /// What each app answers through its front port.
    pub doors: BTreeMap<String, Door>,
}

/// Looks at one edge, and asks every app once as a user would.
pub(super) async fn look(edge: &Place) -> anyhow::Result<Edge> {
    let said = edge.exec(&["perl", "-e", ASK]).await?;
    let (accepted, served) = said.split_once('\n').context("the edge said one thing only")?;
    let table = (!accepted.is_empty()).then(|| serde_json::from_str(accepted)).transpose()?;
    let served = serde_json::from_str(served).with_context(|| format!("the edge said {said}"))?;
    let doors = match &table {
        Some(table) => doors(&edge.address, table).await?,
        None => BTreeMap::new(),
    };
    Ok(Edge { name: edge.name.clone(), table, served, doors })
}

async fn doors(address: &str, table: &Table) -> anyhow::Result<BTreeMap<String, Door>> {
    let http = reqwest::Client::builder().timeout(ANSWERS_WITHIN).build()?;
    let asking = table.routes.iter().map(|route| {
        let request = http.get(format!("http://{address}:{}/", route.front_port));
        async move { (route.instance.to_string(), ask(request).await.unwrap_or_default()) }
    });
    let answers: Vec<_> = futures::future::join_all(asking).await;
    let count = answers.len();
    let doors: BTreeMap<_, _> = answers.into_iter().collect();
    ensure!(doors.len() == count, "an instance has two routes: {table:?}");
    Ok(doors)
}

async fn ask(request: reqwest::RequestBuilder) -> anyhow::Result<Door> {
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap_or_default();
    Ok(Door { status, instance: body["instance"].as_str().map(str::to_owned) })
}
