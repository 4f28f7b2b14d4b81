//! What the deployment manager is told: messages 5, 7 and 10.

use std::net::IpAddr;

use super::map::{self, Map};
use super::text::{self, Excerpt, malformed};
use super::{TextError, on_topic};
use crate::failure::FailureCode;
use crate::name::{LegacyName, NodeName};

/// A message on `DeploymentManager`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeploymentCommand {
    /// Message 5, `deploy app$<instance>`.
    Deploy { instance: LegacyName },
    /// Message 7, `ans-node$<map>`.
    AnswerNode(NodeAnswer),
    /// Message 10, `stop app$<instance>`; an older form has `$<ip>` behind it, which is ignored.
    Stop { instance: LegacyName },
}

on_topic!(DeploymentCommand, DeploymentManager);

impl DeploymentCommand {
    pub fn encode(&self) -> String {
        match self {
            DeploymentCommand::Deploy { instance } => format!("deploy app${instance}"),
            DeploymentCommand::AnswerNode(answer) => format!("ans-node${}", answer.encode()),
            DeploymentCommand::Stop { instance } => format!("stop app${instance}"),
        }
    }

    pub fn decode(text: &str) -> Result<Self, TextError> {
        let (verb, payload) = text::split(text);
        match verb {
            "deploy app" => Ok(DeploymentCommand::Deploy { instance: text::instance(payload)? }),
            "ans-node" => Ok(DeploymentCommand::AnswerNode(NodeAnswer::decode(payload)?)),
            "stop app" => Ok(DeploymentCommand::Stop { instance: instance_to_stop(payload)? }),
            _ => Err(TextError::UnknownKind),
        }
    }

    /// Names the kind where requests are told apart.
    pub fn kind(&self) -> &'static str {
        match self {
            DeploymentCommand::Deploy { .. } => "deploy-app",
            DeploymentCommand::AnswerNode(_) => "ans-node",
            DeploymentCommand::Stop { .. } => "stop-app",
        }
    }
}

fn instance_to_stop(payload: &str) -> Result<LegacyName, TextError> {
    let Some((instance, ip)) = payload.split_once('$') else { return text::instance(payload) };
    if ip.parse::<IpAddr>().is_err() {
        return Err(malformed(format!("{:?} behind the instance is no address", Excerpt(ip))));
    }
    text::instance(instance)
}

/// The answer to message 6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAnswer {
    pub instance: LegacyName,
    /// The node, or why there is none: `NO_NODE_FITS`, `PORTS_EXHAUSTED` or `UNKNOWN_INSTANCE`.
    pub node: Result<NodeChoice, FailureCode>,
}

/// The chosen node and the host port leased on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeChoice {
    /// `node_id` and `node_name` on the wire; ours are the same. Never empty.
    pub id: String,
    pub name: NodeName,
    pub ip: IpAddr,
    pub os: String,
    pub port: u16,
}

impl NodeAnswer {
    /// The map of message 7, as document 001's programs read it.
    pub fn encode(&self) -> String {
        let app_name = ("app_name", map::Value::Text(self.instance.as_str()));
        match &self.node {
            Ok(node) => map::write(&[
                ("node_id", map::Value::Text(&node.id)),
                ("node_name", map::Value::Text(node.name.as_str())),
                ("node_ip", map::Value::Text(&node.ip.to_string())),
                ("node_os", map::Value::Text(&node.os)),
                ("port", map::Value::Integer(node.port.into())),
                app_name,
            ]),
            Err(code) => map::write(&[
                ("node_id", map::Value::Text("")),
                ("node_name", map::Value::Text("")),
                ("node_ip", map::Value::Text("")),
                ("node_os", map::Value::Text("")),
                ("port", map::Value::Integer(0)),
                app_name,
                ("error", map::Value::Text(code.as_str())),
            ]),
        }
    }

    /// Reads the map; quotes may be single or double, `port` an integer or its text.
    pub fn decode(text: &str) -> Result<Self, TextError> {
        let map = map::read(text).map_err(malformed)?;
        let instance = text::instance(field(&map, "app_name")?)?;
        let id = field(&map, "node_id")?;
        let error = map.get("error").map(String::as_str).filter(|error| !error.is_empty());
        let node = match (id, error) {
            ("", Some(error)) => Err(error.parse().map_err(|_| no(error, "failure code"))?),
            ("", None) => return Err(malformed("neither a node nor an error")),
            (_, Some(_)) => return Err(malformed("both a node and an error")),
            (id, None) => Ok(choice(id, &map)?),
        };
        Ok(NodeAnswer { instance, node })
    }
}

fn choice(id: &str, map: &Map) -> Result<NodeChoice, TextError> {
    let name = field(map, "node_name")?;
    let ip = field(map, "node_ip")?;
    let port = field(map, "port")?;
    Ok(NodeChoice {
        id: id.to_owned(),
        name: name.parse().map_err(|_| no(name, "node"))?,
        ip: ip.parse().map_err(|_| no(ip, "address"))?,
        os: field(map, "node_os")?.to_owned(),
        port: port.parse().ok().filter(|port| *port > 0).ok_or_else(|| no(port, "port"))?,
    })
}

fn field<'a>(map: &'a Map, key: &str) -> Result<&'a str, TextError> {
    map.get(key).map(String::as_str).ok_or_else(|| malformed(format!("the map has no {key}")))
}

fn no(text: &str, what: &str) -> TextError {
    malformed(format!("{:?} is no {what}", Excerpt(text)))
}
