//! A node's own Docker engine, spoken to directly: the raw API, without the platform.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::docker::container_of;
use serde_json::{Value, json};
use tokio::io::{Join, join};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::{Instant, timeout};

use crate::figure::median;
use crate::http::Connection;
use crate::pipe;

const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const PINGS: usize = 30;
/// Apps have networks of their own, where a container's start takes longer than on Docker's bridge: so has the floor.
const FLOOR_NETWORK: &str = "avishkar-bench-floor";

/// One connection to an engine, through a pipe that stands before anything is measured.
#[derive(Debug)]
pub(crate) struct Engine {
    child: Child,
    connection: Connection<Join<ChildStdout, ChildStdin>>,
    round_trip: Duration,
    has_network: bool,
}

impl Engine {
    /// The engine of a node.
    pub(crate) async fn of(node: &str) -> anyhow::Result<Self> {
        let id = container_of(node).await?;
        Engine::through(&["exec", "-i", &id, "docker", "system", "dial-stdio"]).await
    }

    pub(crate) async fn of_this_machine() -> anyhow::Result<Self> {
        Engine::through(&["system", "dial-stdio"]).await
    }

    /// Opens the pipe: `docker system dial-stdio` carries standard input and output to the engine's socket.
    async fn through(arguments: &[&str]) -> anyhow::Result<Self> {
        let (child, stdin, stdout) = pipe::open(arguments)?;
        let connection = Connection::over(join(stdout, stdin));
        let mut engine =
            Engine { child, connection, round_trip: Duration::ZERO, has_network: false };
        engine.round_trip = engine.measure_round_trip().await?;
        Ok(engine)
    }

    /// What one request costs besides what it asks for: almost all of it is the pipe.
    pub(crate) fn round_trip(&self) -> Duration {
        self.round_trip
    }

    async fn measure_round_trip(&mut self) -> anyhow::Result<Duration> {
        let mut seconds = Vec::new();
        for _ in 0..PINGS {
            let began = Instant::now();
            self.ask("GET", "/_ping", &Value::Null).await?;
            seconds.push(began.elapsed().as_secs_f64());
        }
        Ok(Duration::from_secs_f64(median(&seconds)))
    }

    /// The request that makes a container like this one in another network of the same kind, which stands before anything is
    /// measured.
    pub(crate) async fn body_like(
        &mut self,
        inspected: &Value,
        port: u16,
    ) -> anyhow::Result<Value> {
        let path = format!("/networks/{FLOOR_NETWORK}");
        if !self.has_network && self.question(&path).await.is_err() {
            let network = json!({ "Name": FLOOR_NETWORK, "Driver": "bridge" });
            self.ask("POST", "/networks/create", &network).await?;
        }
        self.has_network = true;
        Ok(like(inspected, port))
    }

    /// Creates and starts a container: two requests, as anyone would send them.
    pub(crate) async fn run(&mut self, name: &str, body: &Value) -> anyhow::Result<()> {
        self.ask("POST", &format!("/containers/create?name={name}"), body).await?;
        self.ask("POST", &format!("/containers/{name}/start"), &Value::Null).await
    }

    pub(crate) async fn signal(&mut self, name: &str, signal: &str) -> anyhow::Result<()> {
        self.ask("POST", &format!("/containers/{name}/kill?signal={signal}"), &Value::Null).await
    }

    pub(crate) async fn remove(&mut self, name: &str) -> anyhow::Result<()> {
        self.ask("DELETE", &format!("/containers/{name}?force=true&v=true"), &Value::Null).await
    }

    /// What the engine knows of a container.
    pub(crate) async fn inspect(&mut self, name: &str) -> anyhow::Result<Value> {
        self.question(&format!("/containers/{name}/json")).await
    }

    /// Containers that run, with this label: `name=value`.
    pub(crate) async fn labelled(&mut self, label: &str) -> anyhow::Result<Vec<Value>> {
        let asked = format!("/containers/json?filters=%7B%22label%22:%5B%22{label}%22%5D%7D");
        Ok(serde_json::from_value(self.question(&asked).await?)?)
    }

    /// Anything that is answered with JSON.
    pub(crate) async fn question(&mut self, path: &str) -> anyhow::Result<Value> {
        self.ask("GET", path, &Value::Null).await?;
        Ok(serde_json::from_slice(self.connection.body())?)
    }

    /// Anything else; an answer that is no success is an error.
    pub(crate) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<()> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let answer = timeout(ANSWER_WITHIN, self.connection.ask(request.as_bytes())).await;
        let answer = answer.with_context(|| format!("{method} {path}: no answer"))??;
        let said = String::from_utf8_lossy(self.connection.body());
        ensure!(answer.status < 300, "{method} {path}: {}: {}", answer.status, said.trim());
        Ok(())
    }

    /// Ends the pipe in order, so that its far end does not stay behind.
    pub(crate) async fn close(mut self) -> anyhow::Result<()> {
        if self.has_network {
            self.ask("DELETE", &format!("/networks/{FLOOR_NETWORK}"), &Value::Null).await?;
        }
        drop(self.connection);
        timeout(ANSWER_WITHIN, self.child.wait()).await??;
        Ok(())
    }
}

/// The request that makes a container like this one, limits and all, on another port. Without labels: the platform must
/// not take it for one of its own.
fn like(inspected: &Value, port: u16) -> Value {
    let mut body = inspected["Config"].clone();
    body["Labels"] = json!({});
    body["Hostname"] = json!("");
    body["HostConfig"] = inspected["HostConfig"].clone();
    body["HostConfig"]["NetworkMode"] = json!(FLOOR_NETWORK);
    if let Some(bindings) = body["HostConfig"]["PortBindings"].as_object_mut() {
        for binding in bindings.values_mut() {
            binding[0]["HostPort"] = json!(port.to_string());
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_differs_by_network_port_and_labels_only() {
        let inspected = json!({
            "Id": "abc",
            "Config": {"Image": "sha256:00", "Env": ["PORT=8080"], "Labels": {"a": "b"}, "Hostname": "abc"},
            "HostConfig": {
                "Memory": 1, "NetworkMode": "avishkar_net_1",
                "PortBindings": {"8080/tcp": [{"HostIp": "192.0.2.11", "HostPort": "20000"}]},
            },
        });
        let expected = json!({
            "Image": "sha256:00", "Env": ["PORT=8080"], "Labels": {}, "Hostname": "",
            "HostConfig": {
                "Memory": 1, "NetworkMode": "avishkar-bench-floor",
                "PortBindings": {"8080/tcp": [{"HostIp": "192.0.2.11", "HostPort": "30200"}]},
            },
        });
        assert_eq!(like(&inspected, 30200), expected);
    }
}
