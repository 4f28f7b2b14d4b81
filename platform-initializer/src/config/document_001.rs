//! Document 001's two files: which services there are, and which machines.
//!
//! Most of their fields say how an image is built and a machine is signed in to. Here images are built with the
//! platform and machines belong to the lifecycle manager: those fields are read, and said to mean nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use chassis::config::Problem;
use common::nesting;
use common::service::ServiceName;
use serde_json::{Map, Value};

use super::{Machine, by_name, unknown};

const SERVICES: &str = "platform.services_file";
const MACHINES: &str = "machines.file";
const NAME: &str = "service_name";
/// Document 001's services that are part of others here.
const WITHIN: [(&str, &str); 2] = [
    ("authenticator", "the app manager signs people in"),
    ("scheduler", "the app manager keeps schedules"),
];
/// Part of the base, which is not started here.
const BASE: [&str; 3] = ["lifecycle_manager", "platform_initializer", "bootstrapper"];
const SERVICE_FIELDS: [&str; 10] = [
    "folder_name",
    NAME,
    "docker_file_name",
    "image_file_name",
    "container_name",
    "service_start_shell_file",
    "service_end_shell_file",
    "host_port",
    "container_port",
    "host_src_path",
];
const MACHINE_FIELDS: [&str; 5] =
    ["vm_name", "vm_ip", "vm_username", "vm_key_path", "vm_service_path"];

/// `services.json`: a list of services.
pub(super) fn services(
    text: &str,
    problems: &mut Vec<Problem>,
    ignored: &mut Vec<String>,
) -> BTreeSet<ServiceName> {
    let mut found = BTreeSet::new();
    let mut meaningless = BTreeMap::new();
    for (number, row) in rows(SERVICES, text, problems) {
        let key = format!("{SERVICES}[{number}]");
        wrong_fields(&key, &row, &SERVICE_FIELDS, problems);
        count(&row, &[NAME], &mut meaningless);
        for port in ["host_port", "container_port"] {
            if row.get(port).is_some_and(|port| !is_port(port)) {
                let message = "must be a port, from 1 to 65535";
                problems.push(Problem::new(&format!("{key}.{port}"), message));
            }
        }
        let Some(name) = required(&key, &row, NAME, problems) else { continue };
        let within = WITHIN.iter().find(|(other, _)| *other == name);
        match by_name(&name) {
            Some(service) if !found.insert(service) => {
                problems.push(Problem::new(&key, format!("{service} stands twice")));
            }
            Some(_) => {}
            None if within.is_some() => {
                ignored.extend(within.map(|(name, why)| format!("{SERVICES}: {name}: {why}")));
            }
            None if BASE.contains(&name.as_str()) => {
                ignored.push(format!("{SERVICES}: {name}: it is not started and stopped here"));
            }
            None => problems.push(unknown(&format!("{key}.{NAME}"), &name)),
        }
    }
    ignored.extend(said(SERVICES, &meaningless));
    if found.is_empty() && problems.is_empty() {
        problems.push(Problem::new(SERVICES, "names no service that is started here"));
    }
    found
}

/// `vm-details.json`: a list of machines.
pub(super) fn machines(
    text: &str,
    problems: &mut Vec<Problem>,
    ignored: &mut Vec<String>,
) -> Vec<Machine> {
    let mut found: Vec<Machine> = Vec::new();
    let mut meaningless = BTreeMap::new();
    for (number, row) in rows(MACHINES, text, problems) {
        let key = format!("{MACHINES}[{number}]");
        wrong_fields(&key, &row, &MACHINE_FIELDS, problems);
        count(&row, &["vm_name", "vm_ip"], &mut meaningless);
        let name = required(&key, &row, "vm_name", problems);
        let ip = required(&key, &row, "vm_ip", problems);
        let (Some(name), Some(ip)) = (name, ip) else { continue };
        let Ok(ip) = ip.parse::<IpAddr>() else {
            let message = format!("{ip:?} is no IP address");
            problems.push(Problem::new(&format!("{key}.vm_ip"), message));
            continue;
        };
        let twice = |other: &Machine| other.name == name || other.ip == Some(ip);
        if found.iter().any(twice) {
            problems.push(Problem::new(&key, format!("{name} or {ip} stands twice")));
            continue;
        }
        found.push(Machine { name, ip: Some(ip) });
    }
    ignored.extend(said(MACHINES, &meaningless));
    if found.is_empty() && problems.is_empty() {
        problems.push(Problem::new(MACHINES, "names no machine"));
    }
    found
}

/// The objects of the list, each with its number.
fn rows(key: &str, text: &str, problems: &mut Vec<Problem>) -> Vec<(usize, Map<String, Value>)> {
    if nesting::too_deep_at(text).is_some() {
        problems.push(Problem::new(key, "is nested too deep"));
        return Vec::new();
    }
    let list = match serde_json::from_str::<Vec<Value>>(text) {
        Ok(list) => list,
        Err(err) => {
            let message =
                format!("is no JSON list of objects: line {} column {}", err.line(), err.column());
            problems.push(Problem::new(key, message));
            return Vec::new();
        }
    };
    let mut rows = Vec::new();
    for (number, row) in list.into_iter().enumerate() {
        if let Value::Object(row) = row {
            rows.push((number, row));
        } else {
            problems.push(Problem::new(&format!("{key}[{number}]"), "must be an object"));
        }
    }
    rows
}

fn wrong_fields(key: &str, row: &Map<String, Value>, known: &[&str], problems: &mut Vec<Problem>) {
    for field in row.keys().filter(|field| !known.contains(&field.as_str())) {
        let message = format!("is not known; known are {}", known.join(", "));
        problems.push(Problem::new(&format!("{key}.{field}"), message));
    }
}

fn required(
    key: &str,
    row: &Map<String, Value>,
    field: &str,
    problems: &mut Vec<Problem>,
) -> Option<String> {
    let text = row.get(field).and_then(Value::as_str).map(str::trim);
    let text = text.filter(|text| !text.is_empty()).map(str::to_owned);
    if text.is_none() {
        problems.push(Problem::new(&format!("{key}.{field}"), "must be a text"));
    }
    text
}

/// Document 001's files have ports as numbers and as texts.
fn is_port(value: &Value) -> bool {
    let port = match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_u64().and_then(|number| u16::try_from(number).ok()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    port.is_some_and(|port: u16| port > 0)
}

fn count(row: &Map<String, Value>, meant: &[&str], meaningless: &mut BTreeMap<String, usize>) {
    for field in row.keys().filter(|field| !meant.contains(&field.as_str())) {
        *meaningless.entry(field.clone()).or_default() += 1;
    }
}

fn said(key: &str, meaningless: &BTreeMap<String, usize>) -> Option<String> {
    let fields: Vec<&str> = meaningless.keys().map(String::as_str).collect();
    (!fields.is_empty())
        .then(|| format!("{key}: these fields mean nothing here: {}", fields.join(", ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As the document shows it.
    fn service(name: &str, port: u16) -> Value {
        json!({
            "folder_name": name, "service_name": name,
            "docker_file_name": format!("{name}_docker_file"),
            "image_file_name": format!("{name}_img"),
            "container_name": format!("{name}_container"),
            "service_start_shell_file": format!("{name}_start.sh"),
            "service_end_shell_file": format!("{name}_end.sh"),
            "host_port": port, "container_port": 8050, "host_src_path": "/home",
        })
    }

    fn machine(name: &str, ip: &str) -> Value {
        json!({
            "vm_name": name, "vm_ip": ip, "vm_username": "azureuser",
            "vm_key_path": "/keys/vm", "vm_service_path": "/home/azureuser",
        })
    }

    #[test]
    fn the_documents_files_are_read_and_what_means_nothing_is_said() {
        let text = json!([
            service("application_manager", 8010),
            service("deployment_manager", 8030),
            service("fault_manager", 8070),
            service("scheduler", 8100),
            service("lifecycle_manager", 8080),
        ]);
        let (mut problems, mut ignored) = (Vec::new(), Vec::new());
        let found = services(&text.to_string(), &mut problems, &mut ignored);
        assert_eq!(problems, []);
        let expected =
            [ServiceName::AppManager, ServiceName::DeploymentManager, ServiceName::Monitoring];
        assert_eq!(found, expected.into_iter().collect());
        assert_eq!(ignored.len(), 3, "{ignored:?}");
        let text = json!([machine("VM1", "192.0.2.1"), machine("VM2", "192.0.2.2")]);
        ignored.clear();
        let found = machines(&text.to_string(), &mut problems, &mut ignored);
        assert_eq!(problems, []);
        assert_eq!(found[1], Machine { name: "VM2".to_owned(), ip: "192.0.2.2".parse().ok() });
        assert!(ignored[0].contains("vm_key_path"), "{ignored:?}");
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let mut unknown_field = service("node_manager", 8040);
        unknown_field["colour"] = json!("blue");
        let text = json!([
            service("sensor_manager", 8060),
            unknown_field,
            service("node_manager", 8040),
            { "service_name": 7, "host_port": 0 },
            "load_balancer",
        ]);
        let (mut problems, mut ignored) = (Vec::new(), Vec::new());
        services(&text.to_string(), &mut problems, &mut ignored);
        let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
        let expected = [
            "platform.services_file[4]",
            "platform.services_file[0].service_name",
            "platform.services_file[1].colour",
            "platform.services_file[2]",
            "platform.services_file[3].host_port",
            "platform.services_file[3].service_name",
        ];
        assert_eq!(keys, expected);
        let text = json!([
            machine("VM1", "192.0.2.1"),
            machine("VM2", "192.0.2.1"),
            machine("VM3", "node-3.example.org"),
            { "vm_name": "VM4" },
        ]);
        problems.clear();
        machines(&text.to_string(), &mut problems, &mut ignored);
        let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(keys, ["machines.file[1]", "machines.file[2].vm_ip", "machines.file[3].vm_ip"]);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let deep = "[".repeat(10_000);
        for text in ["", "{}", "[", "null", "[1]", "[]", deep.as_str()] {
            let (mut problems, mut ignored) = (Vec::new(), Vec::new());
            services(text, &mut problems, &mut ignored);
            assert_eq!(problems.len(), 1, "{text:.20}");
            problems.clear();
            machines(text, &mut problems, &mut ignored);
            assert_eq!(problems.len(), 1, "{text:.20}");
        }
    }
}
