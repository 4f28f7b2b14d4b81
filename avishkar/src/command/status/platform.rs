//! `avishkar status`: how the platform itself is, asked of every service that listens for people.

use std::time::Duration;

use anyhow::Context as _;
use common::service::ServiceName;
use futures::future::join_all;
use reqwest::{Client as Http, Url};
use serde::Serialize;

use crate::client::Client;
use crate::failure::{Failure, IS_IT_RUNNING};
use crate::output::{Output, table};

const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Where services listen on the machine of the app manager.
const SERVICES: [(ServiceName, u16); 4] = [
    (ServiceName::AppManager, 8010),
    (ServiceName::DeploymentManager, 8030),
    (ServiceName::NodeManager, 8040),
    (ServiceName::LoadBalancer, 8050),
];

/// How one service is.
#[derive(Debug, Serialize)]
struct Told {
    service: ServiceName,
    /// `ready`, `not ready` or `silent`.
    state: &'static str,
    /// What does not hold, one sentence each.
    why: Vec<String>,
}

pub(super) async fn run(client: &Client, output: Output) -> anyhow::Result<()> {
    let server = Url::parse(&client.server).context("the server's address is no URL")?;
    let http = Http::builder().timeout(ANSWER_WITHIN).build()?;
    let asked = SERVICES.map(|(service, port)| {
        let port = if service == ServiceName::AppManager { server.port() } else { Some(port) };
        ask(&http, server.clone(), service, port)
    });
    let states = join_all(asked).await;
    let row = |state: &Told| {
        let why = if state.why.is_empty() { "-".to_owned() } else { state.why.join("; ") };
        vec![state.service.to_string(), state.state.to_owned(), why]
    };
    let rows: Vec<Vec<String>> = states.iter().map(row).collect();
    output.answer(&states, &table(&["SERVICE", "STATE", "WHY"], &rows))?;
    let failing = states.iter().filter(|state| state.state != "ready").count();
    if failing > 0 {
        let is_silent = states.iter().all(|state| state.state == "silent");
        let hint = is_silent.then_some(IS_IT_RUNNING);
        return Err(Failure::Unfit { failing, checks: states.len(), hint }.into());
    }
    Ok(())
}

async fn ask(http: &Http, mut server: Url, service: ServiceName, port: Option<u16>) -> Told {
    server.set_path("/readyz");
    server.set_query(Some("verbose"));
    // Only a URL without a host has no port, and the server's has one.
    let asked = match server.set_port(port) {
        Ok(()) => http.get(server).send().await,
        Err(()) => return Told { service, state: "silent", why: vec!["no address".to_owned()] },
    };
    let read = match asked {
        Ok(answer) => Ok((answer.status().is_success(), answer.text().await.unwrap_or_default())),
        Err(err) => Err(err),
    };
    match read {
        Ok((true, _)) => Told { service, state: "ready", why: Vec::new() },
        Ok((false, text)) => Told { service, state: "not ready", why: failing(&text) },
        Err(err) => Told { service, state: "silent", why: vec![reason(&err)] },
    }
}

/// The conditions that do not hold, of the lines that a service lists.
fn failing(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.strip_prefix("[-] ")).map(str::to_owned).collect()
}

fn reason(err: &reqwest::Error) -> String {
    if err.is_timeout() { "it does not answer".to_owned() } else { "nobody listens".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_does_not_hold_is_told() {
        let text = "[+] store\n[-] edge: the edge cannot be reached\nnot ready\n";
        assert_eq!(failing(text), ["edge: the edge cannot be reached"]);
    }
}
