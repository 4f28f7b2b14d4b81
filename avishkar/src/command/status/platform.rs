//! `avishkar status`: how the platform itself is, asked of every service that listens for people.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use common::service::ServiceName;
use futures::future::join_all;
use reqwest::Url;
use serde::Serialize;

use super::traffic;
use crate::client::Client;
use crate::command::instance::Instance;
use crate::command::up::given::Given;
use crate::command::up::settings::Settings;
use crate::doctor::{self, default_folder};
use crate::failure::{Failure, IS_IT_RUNNING};
use crate::output::{Output, table};

/// Where services listen on the machine of the app manager, unless they were told otherwise.
const SERVICES: [(ServiceName, u16); 5] = [
    (ServiceName::AppManager, 8010),
    (ServiceName::DeploymentManager, 8030),
    (ServiceName::NodeManager, 8040),
    (ServiceName::LoadBalancer, 8050),
    (ServiceName::Monitoring, 8070),
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

pub(super) async fn run(
    client: &Client,
    data: Option<&Path>,
    output: Output,
) -> anyhow::Result<()> {
    let asked: Vec<_> = match listeners(data)? {
        // The platform of this machine knows where it listens.
        Some(listeners) if data.is_some() || is_one_of(client.server(), &listeners) => {
            let url = |(service, at)| Some((service, Url::parse(&format!("http://{at}/")).ok()?));
            listeners.into_iter().filter_map(url).collect()
        }
        Some(_) | None => of_server(client.server())?,
    };
    let asked = asked.into_iter().map(|(service, door)| ask(service, door));
    let states = join_all(asked).await;
    let row = |state: &Told| {
        let why = if state.why.is_empty() { "-".to_owned() } else { state.why.join("; ") };
        vec![state.service.to_string(), state.state.to_owned(), why]
    };
    let rows: Vec<Vec<String>> = states.iter().map(row).collect();
    let mut text = table(&["SERVICE", "STATE", "WHY"], &rows);
    if let Some(traffic) = traffic(client, &states, output).await {
        text = format!("{}\n\n{traffic}", text.trim_end());
    }
    output.answer(&states, &text)?;
    let failing = states.iter().filter(|state| state.state != "ready").count();
    if failing > 0 {
        let is_silent = states.iter().all(|state| state.state == "silent");
        let hint = is_silent.then_some(IS_IT_RUNNING);
        return Err(Failure::Unfit { failing, checks: states.len(), hint }.into());
    }
    Ok(())
}

/// What visitors ask of the apps that whoever is signed in may see; programs are told it of each instance.
async fn traffic(client: &Client, states: &[Told], output: Output) -> Option<String> {
    let is_ready = |told: &Told| told.service == ServiceName::AppManager && told.state == "ready";
    if output.is_json() || !states.iter().any(is_ready) {
        return None;
    }
    let instances: Vec<Instance> = client.get("/api/v1/instances").await.ok()?;
    traffic::rows(&instances)
}

async fn ask(service: ServiceName, door: Url) -> Told {
    match doctor::ask(door).await {
        doctor::Told::Ready => Told { service, state: "ready", why: Vec::new() },
        doctor::Told::NotReady(why) => Told { service, state: "not ready", why },
        doctor::Told::Silent(why) => Told { service, state: "silent", why: vec![why.to_owned()] },
    }
}

/// Where the services of a platform on this machine listen, as it was told; none where there was no `up`.
fn listeners(data: Option<&Path>) -> anyhow::Result<Option<Vec<(ServiceName, SocketAddr)>>> {
    let data = match data {
        Some(data) => std::path::absolute(data)?,
        None => match default_folder() {
            Ok(data) => data,
            Err(_) => return Ok(None),
        },
    };
    let Some(given) = Given::load(&data) else { return Ok(None) };
    let settings = Settings::read(given.sources(&data)).map_err(|err| Failure::usage(&err))?;
    Ok(Some(settings.listeners()))
}

fn is_one_of(server: &str, listeners: &[(ServiceName, SocketAddr)]) -> bool {
    listeners.iter().any(|(_, at)| server == format!("http://{at}"))
}

/// The services of a platform elsewhere, beside its app manager.
fn of_server(server: &str) -> anyhow::Result<Vec<(ServiceName, Url)>> {
    let server = Url::parse(server).context("the server's address is no URL")?;
    let door = |(service, port)| {
        let mut door = server.clone();
        // Only a URL without a host has no port, and the server's has one.
        let set = service == ServiceName::AppManager || door.set_port(Some(port)).is_ok();
        set.then_some((service, door))
    };
    Ok(SERVICES.into_iter().filter_map(door).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_elsewhere_is_asked_beside_its_app_manager() {
        let doors = of_server("http://192.0.2.7:9010").unwrap();
        let doors: Vec<&str> = doors.iter().map(|(_, door)| door.as_str()).collect();
        let expected = ["http://192.0.2.7:9010/", "http://192.0.2.7:8030/"];
        assert_eq!(doors[..2], expected);
        assert_eq!(doors.len(), SERVICES.len());
    }

    #[test]
    fn the_platform_of_this_machine_is_known_by_its_address() {
        let listeners = [(ServiceName::AppManager, "127.0.0.1:9010".parse().unwrap())];
        assert!(is_one_of("http://127.0.0.1:9010", &listeners));
        assert!(!is_one_of("http://192.0.2.7:9010", &listeners));
    }
}
